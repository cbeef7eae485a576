"""A comparison with a baseline as the sentence at the top of a page. Pure."""

from typing import TYPE_CHECKING

from howdah.scripts.reports import numbers
from howdah.scripts.reports.page import Tone, Verdict

if TYPE_CHECKING:
    from howdah.retrieval.evaluation.verdict import Verdict as Judged

_WORDS: dict[str, tuple[str, Tone]] = {
    "pass": ("Pass", "good"),
    "regressed": ("Regressed", "bad"),
    "inconclusive": ("Inconclusive", "unsure"),
}


def shown(verdict: "Judged", *, name: str, what: str = "") -> Verdict:
    """`name` is the measure for people, `what` the search that was compared. A gate that failed is bad, whatever it says."""
    word, tone = _WORDS[verdict.result]
    low, high = numbers.signed(verdict.low), numbers.signed(verdict.high)
    of = f"{what}: " if what else ""
    p = "" if "p = " in verdict.why else f" p = {numbers.fixed(verdict.p, 4)},"
    said = f"{of}{name} {numbers.signed(verdict.delta)} (95 % interval {low} to {high},{p} {verdict.n:,} pairs): {verdict.why}."
    return Verdict(word=word if not verdict.failed or verdict.result == "regressed" else f"{word}, gate failed", said=said,
                   tone="bad" if verdict.failed else tone)  # fmt: skip
