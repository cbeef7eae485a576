"""The page of `howdah eval answers --report`: measures, refusals, what changed, and the questions that went wrong. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from howdah.chains.evaluation.outcome import MEASURES
from howdah.scripts.eval_answers_output import WORDS
from howdah.scripts.reports import charts, numbers, verdicts
from howdah.scripts.reports.expected import short
from howdah.scripts.reports.page import Case, Figure, Page, Passage
from howdah.scripts.reports.tables import Table, figure, words
from howdah.scripts.reports.wins import told

if TYPE_CHECKING:
    from howdah.chains.evaluation.outcome import Cited, Outcome
    from howdah.chains.evaluation.summary import Refusals, Summary
    from howdah.retrieval.evaluation.verdict import Verdict

WORST = 15
HEADLINES: Sequence[tuple[str, str]] = (
    ("right", "Right"),
    ("citation_precision", "Right citations"),
    ("false_refusals", "Wrongly refused"),
    ("correct_refusals", "Rightly refused"),
)


@dataclass(frozen=True, kw_only=True)
class AnswersReport:
    """What the page is made of. `before` are the baseline's values of `metric` by question, where there is one; `about` is
    what the command knows of the run: collection, model, k …
    """

    about: Mapping[str, Any]
    summary: "Summary"
    outcomes: "Sequence[Outcome]"
    metric: str = "right"
    verdict: "Verdict | None" = None
    before: Mapping[str, float] = field(default_factory=dict)


def wrong(report: AnswersReport) -> "list[Outcome]":
    """Questions that did not end as they should, those that once did first; then those with unsupported sentences."""
    found = [each for each in report.outcomes if each.values["right"] == 0 or _unsupported(each)]
    return sorted(found, key=lambda each: _order(each, report.before))


def _order(each: "Outcome", before: Mapping[str, float]) -> tuple[float, float, bool]:
    right = each.values["right"]
    return right, right - before.get(each.id, right), each.refused


def build(report: AnswersReport) -> Page:
    about, summary = report.about, report.summary
    subtitle = (
        f"{summary.queries:,} questions, {summary.kinds['unanswerable']:,} of them unanswerable,"
        f" answered by {about['model']}"
    )
    page = Page(f"Answers from {about['collection']}", subtitle, facts=_facts(report), kind="Evaluation of answers")
    if report.verdict is not None:
        page.verdict = verdicts.shown(report.verdict, name=WORDS[report.metric])
    page.figures = [_headline(report, name, label) for name, label in HEADLINES if name in summary.metrics]
    _measures(page, summary)
    _baseline(page, report)
    _endings(page, report)
    _refusals(page, summary.refusals)
    _wrong(page, report)
    return page


def _headline(report: AnswersReport, name: str, label: str) -> Figure:
    its, of = report.summary.metrics[name], report.summary.counts[name]
    ends = f"{numbers.percent(its.low)} to {numbers.percent(its.high)}"
    return Figure(label=label, value=numbers.percent(its.mean), note=f"{ends}, of {of:,}")


def _measures(page: Page, summary: "Summary") -> None:
    section = page.section("How good are they?", "Means with their 95 % intervals, each of the questions that have it.")
    for title, wanted in (("More is better", True), ("Less is better", False)):
        names = [name for name, more in MEASURES.items() if more is wanted]
        said = "Shares of questions." if wanted else "Shares of sentences, and of questions that were refused."
        section.add(charts.bars(title, said, [_bar(summary, name) for name in names]))


def _bar(summary: "Summary", name: str) -> charts.Bar:
    its = summary.metrics.get(name)
    if its is None:
        return charts.Bar(label=WORDS[name], value=None)
    return charts.Bar(label=WORDS[name], value=its.mean, low=its.low, high=its.high)


def _baseline(page: Page, report: AnswersReport) -> None:
    changes = [
        charts.Change(
            label=each.question,
            before=report.before[each.id],
            after=each.values[report.metric],
            less=not MEASURES[report.metric],
        )
        for each in report.outcomes
        if each.id in report.before and report.metric in each.values
    ]
    if not changes:
        return
    chart = charts.wins("Question by question", told(changes, "question"), changes, measure=WORDS[report.metric])
    page.section("What changed since the baseline?", "Each question beside itself in the baseline.").add(chart)


def _endings(page: Page, report: AnswersReport) -> None:
    rows = []
    for label, kind in (("Answerable", False), ("Unanswerable", True)):
        its = [each for each in report.outcomes if each.unanswerable is kind]
        refused = sum(each.refused for each in its)
        right = sum(not each.refused and each.values["right"] == 1 for each in its)
        rows.append([label, len(its), None if kind else right, len(its) - refused - right, refused])
    labels = ("All", "Right", "Wrong", "Refused")
    columns = [words("Questions"), *(figure(label, numbers.count) for label in labels)]
    latency = ", ".join(f"{name} {numbers.milliseconds(ms)}" for name, ms in report.summary.latency_ms.items())
    page.section("What became of the questions?", f"An answer took {latency}.").add(Table(columns=columns, rows=rows))


def _refusals(page: Page, its: "Refusals") -> None:
    now = charts.Dot(x=its.coverage, y=its.risk, label="now", chosen=True)
    dots = [charts.Dot(x=each.coverage, y=each.risk) for each in its.points]
    said = (
        f"Now {numbers.percent(its.coverage)} of all questions are answered, and {numbers.percent(its.risk)} of these not"
        " rightly. A stricter bound goes to the left: fewer answers, fewer wrong ones."
    )
    lines = [charts.Line(label="bound", dots=[*sorted(dots, key=lambda dot: dot.x)])] if dots else []
    chart = charts.steps(
        "Risk over coverage", said, [*lines, charts.Line(label="", dots=[now])],
        x=charts.Axis(label="coverage: share of questions that are answered", show=_whole, low=0, high=1),
        y=charts.Axis(label="risk: share of answers that are not right", show=_whole, low=0),
    )  # fmt: skip
    page.section("When should it refuse?").add(chart)


def _whole(value: float) -> str:
    return numbers.percent(value, 0 if abs(value * 100 - round(value * 100)) < 1e-6 else 1)


# -- what went wrong


def _wrong(page: Page, report: AnswersReport) -> None:
    found = wrong(report)
    if not found:
        page.section(
            "What went wrong?", "Nothing: every question ended as it should, and every sentence has its support."
        )
        return
    text = f"{len(found):,} questions are not right, or have a sentence without support"
    text += f"; {WORST} of them:" if len(found) > WORST else ":"
    page.section("What went wrong?", text).add([_case(report, each) for each in found[:WORST]])


def _case(report: AnswersReport, each: "Outcome") -> Case:
    lost = (
        ", was right"
        if each.values["right"] == 0 and report.metric == "right" and report.before.get(each.id) == 1
        else ""
    )
    ending = "a sentence without support" if each.values["right"] else "refused" if each.refused else "answered wrongly"
    return Case(
        question=each.question,
        value=ending + lost,
        note=each.note or "",
        expected=_expected(each),
        found=_found(each),
        expected_label="Wanted",
        found_label="Came",
    )


def _expected(each: "Outcome") -> list[Passage]:
    if each.unanswerable:
        return [Passage(label="No answer: the documents do not say")]
    answers = [Passage(label=answer) for answer in each.answers]
    return answers + ([Passage(label=each.gold, mark="the place")] if each.gold else [])


def _found(each: "Outcome") -> list[Passage]:
    answer = Passage(label="The answer", text=short(each.answer) if each.answer else "", mark=each.model or "")
    bare = [
        Passage(label=short(sentence.text, 160), mark="no support")
        for sentence in each.sentences
        if not sentence.supported
    ]
    return [answer, *bare, *(_cited(one) for one in each.citations)]


def _cited(one: "Cited") -> Passage:
    mark = {True: "right", False: "wrong", None: ""}[one.right]
    return Passage(
        label=f"[{one.n}] {one.source or ''}".strip(), text=short(one.quote, 200), mark=mark, hit=one.right is True
    )


def _unsupported(each: "Outcome") -> bool:
    return any(not sentence.supported for sentence in each.sentences)


# -- how it was measured

_FACTS: Mapping[str, str] = {
    "questions": "Questions", "model": "Answers by", "embeddings": "Embedding model", "reranker": "Reranker", "k": "Passages",
    "filter": "Filter", "howdah": "Howdah", "at": "Measured",
}  # fmt: skip


def _facts(report: AnswersReport) -> dict[str, str]:
    about = report.about
    found = {label: str(about[name]) for name, label in _FACTS.items() if about.get(name) is not None}
    bound = report.summary.refusals.threshold
    return {
        **found,
        "Bound for refusals": numbers.fixed(bound),
        "Intervals": "95 %, percentile bootstrap over the questions",
    }
