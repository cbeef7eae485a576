"""The page of `howdah eval retrieval --report`: the measures, what changed query by query, and the worst queries. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from howdah.scripts.reports import charts, numbers, verdicts
from howdah.scripts.reports.expected import short
from howdah.scripts.reports.page import Case, Figure, Page, Passage
from howdah.scripts.reports.tables import Table, figure, words
from howdah.scripts.reports.wins import told

if TYPE_CHECKING:
    from howdah.retrieval.evaluation.evaluate import Run
    from howdah.retrieval.evaluation.saved import Evaluation
    from howdah.retrieval.evaluation.verdict import Verdict

WORST = 10
FOUND = 200
"""Characters of a hit."""
RELEVANT = 5
"""Relevant documents that are shown of a query: it may have hundreds."""
NAMES = {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR", "recall": "Recall", "precision": "Precision", "success": "Success"}


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """What the page is made of. `verdicts` are the runs', in their order, where there is a baseline; `before` are the
    baseline's values of the gate's measure, query by query, for each run. `texts` are relevant documents' beginnings.
    """

    evaluation: "Evaluation"
    metric: str
    verdicts: "Sequence[Verdict]" = ()
    before: Sequence[Mapping[str, float]] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[str] = ()

    @property
    def place(self) -> int:
        """Which run the page looks at closely: the first that failed, else the first."""
        return next((place for place, each in enumerate(self.verdicts) if each.failed), 0)

    @property
    def run(self) -> "Run":
        return self.evaluation.runs[self.place]

    @property
    def was(self) -> Mapping[str, float]:
        """The baseline's values beside that run's; empty without one."""
        return self.before[self.place] if self.before else {}


def measure(name: str) -> str:
    """ndcg@10 as nDCG@10."""
    kind, at, cutoff = name.partition("@")
    return f"{NAMES.get(kind, kind)}{at}{cutoff}"


def worst(run: "Run", metric: str, was: Mapping[str, float], count: int = WORST) -> list[str]:
    """Queries by what they lost against the baseline, where there is one, then by how little they have."""
    values = {query: row[metric] for query, row in run.values.items()}
    return sorted(values, key=lambda query: (values[query] - was.get(query, values[query]), values[query], query))[
        :count
    ]


def wanted(report: RetrievalReport) -> set[str]:
    """The corpus ids whose texts the page shows."""
    qrels = report.evaluation.tests.qrels
    return {id_ for query in worst(report.run, report.metric, report.was) for id_ in _relevant(qrels[query])[:RELEVANT]}


def build(report: RetrievalReport) -> Page:
    its = report.evaluation
    page = Page(f"Retrieval on {_where(its)}", _subtitle(report), facts=_facts(report), kind="Retrieval evaluation")
    if report.verdicts:
        verdict = report.verdicts[report.place]
        page.verdict = verdicts.shown(verdict, name=measure(verdict.metric), what=report.run.how.label)
    page.figures = _figures(report)
    _measures(page, report)
    _against_baseline(page, report)
    _side_by_side(page, report)
    _times(page, its)
    _worst(page, report)
    return page


# -- parts


def _where(its: "Evaluation") -> str:
    return str(its.corpus["name"]) if its.corpus["kind"] == "collection" else its.tests.folder.resolve().name


def _subtitle(report: RetrievalReport) -> str:
    its, runs = report.evaluation, report.evaluation.runs
    parts = [f"{len(its.tests.queries):,} queries", f"{its.corpus['documents']:,} documents"]
    parts.append(f"{len(runs)} searches side by side" if len(runs) > 1 else runs[0].how.label)
    return ", ".join(parts)


def _figures(report: RetrievalReport) -> list[Figure]:
    run, cutoffs = report.run, report.evaluation.cutoffs
    shown = [
        Figure(
            label=measure(name),
            value=numbers.fixed(run.metrics[name].mean),
            note=numbers.interval(run.metrics[name].low, run.metrics[name].high),
        )
        for name in (f"ndcg@{cutoffs.k}", f"recall@{cutoffs.depth}", f"mrr@{cutoffs.k}")
    ]
    latency = run.searched.latency
    half = f"half in {numbers.milliseconds(latency.p50)}"
    return [*shown, Figure(label="Latency, p95", value=numbers.milliseconds(latency.p95), note=half)]


def _measures(page: Page, report: RetrievalReport) -> None:
    runs = report.evaluation.runs
    several = len(runs) > 1
    held = [
        charts.Bar(
            label=run.how.label if several else measure(name),
            group=measure(name) if several else "",
            series=run.how.label if several else "",
            value=run.metrics[name].mean,
            low=run.metrics[name].low,
            high=run.metrics[name].high,
        )
        for name in runs[0].metrics
        for run in runs
    ]
    said = "The bar is the mean over the queries, the line through its end the 95 % interval of that mean."
    name = "Every measure, search by search" if several else f"Every measure of {runs[0].how.label}"
    page.section("How good is it?").add(charts.bars(name, said, held))


def _against_baseline(page: Page, report: RetrievalReport) -> None:
    if not report.was:
        return
    changes = _changes(report, report.was)
    text = f"Each query's {measure(report.metric)} beside its own in the baseline; {report.run.how.label}."
    page.section("What changed since the baseline?", text).add(_wins("Query by query", changes, report.metric))


def _side_by_side(page: Page, report: RetrievalReport) -> None:
    """Each other search against the first, by the same queries."""
    first, *others = report.evaluation.runs
    rows = [(run, run.apart[report.metric]) for run in others if run.apart is not None]
    if not rows:
        return
    name = measure(report.metric)
    table = Table(
        columns=[
            words("Search"), figure(f"{name}, difference", numbers.signed), figure("95 % from", numbers.signed),
            figure("to", numbers.signed), figure("p", lambda p: numbers.fixed(p, 4)),
        ],
        rows=[[run.how.label, its.delta, its.low, its.high, its.p] for run, its in rows],
    )  # fmt: skip
    text = f"By the same queries; p is the chance of such a difference where there is none. First: {first.how.label}."
    section = page.section("Which search is best?", text).add(table)
    for run, _ in rows[:3]:
        before = {query: row[report.metric] for query, row in first.values.items()}
        changes = [_change(report, query, before[query], row[report.metric]) for query, row in run.values.items()]
        section.add(_wins(f"{run.how.label} against {first.how.label}", changes, report.metric))


def _changes(report: RetrievalReport, was: Mapping[str, float]) -> list[charts.Change]:
    return [
        _change(report, query, was[query], row[report.metric])
        for query, row in report.run.values.items()
        if query in was
    ]


def _change(report: RetrievalReport, query: str, before: float, after: float) -> charts.Change:
    return charts.Change(label=report.evaluation.tests.queries[query], before=before, after=after)


def _wins(title: str, changes: Sequence[charts.Change], metric: str) -> charts.Chart:
    return charts.wins(title, told(changes, "query"), changes, measure=measure(metric))


def _times(page: Page, its: "Evaluation") -> None:
    columns = [
        words("Search"),
        *(figure(f"{name}, ms", lambda ms: numbers.fixed(ms, 1)) for name in ("p50", "p95", "p99")),
    ]
    columns.append(figure("Found nothing", numbers.count))
    rows = [[run.how.label, *run.searched.latency, len(run.empty)] for run in its.runs]
    text = "One search at a time, without the embedding of the query."
    page.section("How long does a search take?", text).add(Table(columns=columns, rows=rows))


# -- the worst queries


def _worst(page: Page, report: RetrievalReport) -> None:
    name, run = measure(report.metric), report.run
    by = f"Those that lost most {name} against the baseline." if report.was else f"Those with the least {name}."
    cases = [_case(report, query) for query in worst(run, report.metric, report.was)]
    page.section("Worst queries", f"{by} Search: {run.how.label}.").add(cases)


def _case(report: RetrievalReport, query: str) -> Case:
    its, run = report.evaluation, report.run
    relevant = _relevant(its.tests.qrels[query])
    ranking = [found.id for found in run.searched.rankings.get(query, ())]
    ranks = {id_: rank for rank, id_ in enumerate(ranking, start=1)}
    more = f", and {len(relevant) - RELEVANT:,} more" if len(relevant) > RELEVANT else ""
    was = f", was {numbers.fixed(report.was[query])}" if query in report.was else ""
    return Case(
        question=its.tests.queries[query],
        value=f"{measure(report.metric)} {numbers.fixed(run.values[query][report.metric])}{was}",
        expected=[_expected(report, id_, ranks) for id_ in relevant[:RELEVANT]],
        found=[_found(each, set(relevant)) for each in run.searched.shown.get(query, ())],
        expected_label=f"Relevant{more}",
        found_label="Found first",
    )


def _relevant(judged: Mapping[str, int]) -> list[str]:
    """The most relevant first."""
    return sorted((id_ for id_, gain in judged.items() if gain > 0), key=lambda id_: (-judged[id_], id_))


def _expected(report: RetrievalReport, id_: str, ranks: Mapping[str, int]) -> Passage:
    depth = report.evaluation.cutoffs.depth
    mark = f"rank {ranks[id_]}" if id_ in ranks else f"not among the first {depth}"
    mark = "not in the collection" if id_ in report.absent else mark
    return Passage(label=id_, text=report.texts.get(id_, ""), mark=mark, hit=id_ in ranks)


def _found(each: Any, relevant: set[str]) -> Passage:
    hit = each.id in relevant
    score = f"score {numbers.fixed(each.score)}"
    text = f"{each.title}: {each.text}" if each.title else each.text
    return Passage(label=each.id, text=short(text, FOUND), mark=f"relevant, {score}" if hit else score, hit=hit)


# -- how it was measured


def _facts(report: RetrievalReport) -> dict[str, str]:
    its = report.evaluation
    corpus, tests = its.corpus, its.tests
    found = {
        "Documents": f"{corpus['documents']:,}" + (f", sha256 {corpus['sha256'][:12]}…" if "sha256" in corpus else ""),
        "Queries": f"{len(tests.queries):,} of {tests.split}, sha256 {tests.queries_hash[:12]}…",
        "Judgements": f"sha256 {tests.qrels_hash[:12]}…",
        "Embedding model": its.model.partition("@")[0],
        "Search for": f"{its.cutoffs.k} documents, looked at down to {its.cutoffs.depth}",
        "Intervals": "95 %, percentile bootstrap over the queries",
    }
    found |= {_words(name): str(value) for name, value in its.settings.items()}
    found |= {_words(name): value for name, value in its.versions.items()}
    if report.absent:
        found["Relevant, not there"] = f"{len(report.absent):,} documents count as not found"
    if tests.hopeless or tests.unjudged:
        found["Left out"] = (
            f"{tests.unjudged:,} queries without a judgement, {len(tests.hopeless):,} with nothing relevant"
        )
    return {**found, "Measured": its.created.replace("T", " ").replace("+00:00", " UTC")}


_TITLES = {"postgresql": "PostgreSQL", "pgvector": "pgvector", "config": "Text-search configuration", "numpy": "NumPy"}


def _words(name: str) -> str:
    return _TITLES.get(name, name[:1].upper() + name[1:])
