"""What `howdah eval answers` shows: the measures with their intervals, refusals, times, and what went wrong."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from howdah.scripts import output

if TYPE_CHECKING:
    from howdah.chains.evaluation.outcome import Outcome
    from howdah.chains.evaluation.summary import Summary
    from howdah.retrieval.evaluation.verdict import Verdict

SHOWN = 5  # questions that went wrong
WORDS = {
    "right": "right, of all questions",
    "contains_answer": "answer holds the gold answer",
    "f1": "token F1 with the gold answer",
    "citation_precision": "citations that are right",
    "citation_recall": "a right citation is given",
    "passage_found": "a right passage was found",
    "unsupported_generated": "generated sentences unsupported",
    "unsupported_quoted": "quoted sentences unsupported",
    "false_refusals": "answerable, refused",
    "correct_refusals": "unanswerable, refused",
}


def show(
    about: Mapping[str, Any], summary: "Summary", outcomes: "Sequence[Outcome]", verdict: "Verdict | None",
    *, stale: Sequence[str],
) -> None:  # fmt: skip
    say = output.OUT.print
    part = f" (of {about['of']:,})" if about["of"] != summary.queries + len(stale) else ""
    say(
        output.escape(
            f"Collection {about['collection']!r}, answers by {about['model']}: "
            f"{output.plural(summary.queries, 'question')}{part}, {summary.kinds['unanswerable']:,} of them unanswerable"
        )
    )
    say("")
    say(f"{'':34}{'mean':>8}  {'95 % interval':18}{'of':>6}")
    for name, its in summary.metrics.items():
        measured = f"{its.mean:8.3f}  {f'[{its.low:.3f}, {its.high:.3f}]':18}{summary.counts[name]:>6,}"
        say(output.escape(f"{WORDS[name]:34}{measured}  {name}"))
    say("")
    times = " / ".join(f"{ms:,.0f}" for ms in summary.latency_ms.values())
    say(f"{'ms an answer, p50 / p95 / p99':34}{times:>8}")
    risk = f"answers {summary.refusals.coverage:.1%} of all questions, {summary.refusals.risk:.1%} of these not rightly"
    say(f"{'refusals':34}{risk}")
    _wrong(outcomes)
    if verdict is not None:
        _verdict(verdict)


def _wrong(outcomes: "Sequence[Outcome]") -> None:
    """A few of the questions that did not end as they should; a look at them says more than a mean."""
    wrong = [each for each in outcomes if each.values["right"] == 0]
    if not wrong:
        return
    output.note(
        f"\n{output.plural(len(wrong), 'question')} not right" + (", among them:" if len(wrong) > SHOWN else ":")
    )
    for each in wrong[:: max(len(wrong) // SHOWN, 1)][:SHOWN]:
        wanted = "no answer" if each.unanswerable else " | ".join(each.answers) or each.gold or "an answer"
        got = "(refused)" if each.refused else " ".join(each.answer.split())
        output.note(f"· {each.question}\n    wanted: {_short(wanted)}\n    got:    {_short(got)}")


def _short(text: str, width: int = 150) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _verdict(verdict: "Verdict") -> None:
    colour = {"pass": "green", "regressed": "red", "inconclusive": "yellow"}[verdict.result]
    what = f"{verdict.metric} {verdict.delta:+.3f} [{verdict.low:+.3f}, {verdict.high:+.3f}]"
    output.OUT.print("")
    output.OUT.print(
        f"[{colour}]{verdict.result}[/]: " + output.escape(f"{what} on {verdict.n:,} questions; {verdict.why}")
    )
