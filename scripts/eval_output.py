"""What an evaluation of retrieval shows: tables for people, one object for programs, and how far it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from howdah.scripts import output
from howdah.scripts.progress import Telling

if TYPE_CHECKING:
    from howdah.retrieval.evaluation.evaluate import Run
    from howdah.retrieval.evaluation.intervals import Difference
    from howdah.retrieval.evaluation.saved import Evaluation
    from howdah.retrieval.evaluation.verdict import Verdict

BESIDE = 3
"""Configurations whose figures with intervals fit a terminal side by side; more are a line each."""
SHORT = ("precision", "success")
"""Measures that a line has no room for."""
NAMES = {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that is told of an evaluation. `verdicts` are the runs', in their order, where there is a baseline."""

    evaluation: "Evaluation"
    verdicts: "Sequence[Verdict]"
    files: Sequence[Path]
    report: Path | None
    absent: Sequence[str]
    seconds: float

    @property
    def verdict(self) -> "Verdict | None":
        """The first that failed, else the first configuration's."""
        return next((each for each in self.verdicts if each.failed), self.verdicts[0] if self.verdicts else None)


class EvalProgress(Telling):
    """Told of every batch and every query."""

    what = "Reading"

    def __call__(self, what: str, done: int, total: int) -> None:
        if not self.bar.disable:
            if what != self.what:
                self.bar.reset(self.task)
            self.bar.update(self.task, description=output.escape(what), completed=done, total=total)
        else:
            self.line(f"{what}: {done:,} of {total:,}")
        self.what = what


# -- for programs


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The first configuration's figures at the top, every one's in `runs`, in the order in which they were named."""
    from howdah.retrieval.evaluation.saved import run_to_dict

    its = outcome.evaluation
    runs = [_with_comparisons(run_to_dict(run), run) for run in its.runs]
    for entry, its_verdict in zip(runs, outcome.verdicts, strict=False):
        entry["verdict"] = asdict(its_verdict)
    first = {name: runs[0][name] for name in ("label", "metrics", "latency_ms")}
    verdict: dict[str, Any] = {} if outcome.verdict is None else {"verdict": asdict(outcome.verdict)}
    return {
        **first,
        "queries": len(its.tests.queries),
        **verdict,
        "runs": runs,
        "corpus": dict(its.corpus),
        "model": its.model,
        "k": its.cutoffs.k,
        "depth": its.cutoffs.depth,
        "left_out": {"unjudged": its.tests.unjudged, "nothing_relevant": list(its.tests.hopeless)},
        "absent": list(outcome.absent),
        "saved": [str(path) for path in outcome.files],
        "report": None if outcome.report is None else str(outcome.report),
        "seconds": round(outcome.seconds, 1),
    }


def _with_comparisons(entry: dict[str, Any], run: "Run") -> dict[str, Any]:
    if run.apart is None:
        return entry
    return {**entry, "against_first": {name: _rounded(its) for name, its in run.apart.items()}}


def _rounded(its: "Difference") -> dict[str, float]:
    return {name: round(value, 6) for name, value in its._asdict().items()}


# -- for people


def show(outcome: Outcome) -> None:
    """The figures on stdout, what was left out and saved on stderr."""
    its = outcome.evaluation
    output.OUT.print(output.escape(_about(its)))
    _tell_left_out(its)
    _table(its.runs)
    _differences(its.runs)
    for run, verdict in zip(its.runs, outcome.verdicts, strict=False):
        _show_verdict(run, verdict)
    if outcome.files:
        output.note(f"Saved: {', '.join(str(path) for path in outcome.files)}")
    output.tell_report(outcome.report)


def _about(its: "Evaluation") -> str:
    corpus = its.corpus
    where = f"collection {corpus['name']!r}" if corpus["kind"] == "collection" else its.tests.folder.resolve().name
    parts = [output.plural(len(its.tests.queries), "query")]
    parts.append(output.plural(corpus["documents"], "document"))
    return f"{where}: {', '.join(parts)}, {its.model.partition('@')[0]}"


def _tell_left_out(its: "Evaluation") -> None:
    if its.tests.hopeless:
        count, names = len(its.tests.hopeless), ", ".join(its.tests.hopeless[:3])
        output.note(f"Left out, for nothing is relevant to them: {output.plural(count, 'query')} ({names})")
    for run in its.runs:
        if run.empty:
            output.note(f"{run.how.label}: {len(run.empty):,} found nothing and count as 0: {', '.join(run.empty[:3])}")


def _table(runs: "Sequence[Run]") -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    if len(runs) <= BESIDE:
        _side_by_side(table, runs)
    else:
        _line_by_line(table, runs)
    output.OUT.print(table)


def _side_by_side(table: Any, runs: "Sequence[Run]") -> None:
    table.add_column("mean [95 %]")
    for run in runs:
        table.add_column(output.escape(run.how.label), justify="right")
    for name in runs[0].metrics:
        table.add_row(_titled(name), *(str(run.metrics[name]) for run in runs))
    times = ["{:.1f} / {:.1f} / {:.1f}".format(*run.searched.latency) for run in runs]
    table.add_row("p50/95/99 ms", *times)


def _line_by_line(table: Any, runs: "Sequence[Run]") -> None:
    first, *others = [name for name in runs[0].metrics if name.partition("@")[0] not in SHORT]
    table.add_column("")
    for title in [_titled(first), "95 %", *map(_titled, others), "p50 ms"]:
        table.add_column(title, justify="right", no_wrap=True)
    for run in runs:
        its = run.metrics[first]
        means = [f"{run.metrics[name].mean:.3f}" for name in others]
        p50 = run.searched.latency.p50
        table.add_row(
            output.escape(run.how.label), f"{its.mean:.3f}", f"[{its.low:.3f}, {its.high:.3f}]", *means, f"{p50:.1f}"
        )


def _titled(name: str) -> str:
    kind, at, cutoff = name.partition("@")
    return f"{NAMES.get(kind, kind)}{at}{cutoff}"


def _differences(runs: "Sequence[Run]") -> None:
    for run in runs[1:]:
        assert run.apart is not None
        name, its = next(iter(run.apart.items()))
        said = f"{run.how.label} against {runs[0].how.label}: {_titled(name)} {_shown(its)}"
        output.OUT.print(output.escape(said))


def _shown(its: "Difference | Verdict") -> str:
    return f"{its.delta:+.4f} [{its.low:+.4f}, {its.high:+.4f}], p = {its.p:.4f}"


def _show_verdict(run: "Run", verdict: "Verdict") -> None:
    colour = "red" if verdict.failed else "yellow" if verdict.result == "inconclusive" else "green"
    result = f"{verdict.result}{', the gate fails' if verdict.failed else ''}"
    output.OUT.print(f"[bold {colour}]{result}[/]: {output.escape(f'{run.how.label}, baseline {verdict.baseline}')}")
    output.OUT.print(output.escape(f"   {_titled(verdict.metric)} {_shown(verdict)}, {verdict.n:,} queries"))
    output.OUT.print(output.escape(f"   {verdict.why}"))
