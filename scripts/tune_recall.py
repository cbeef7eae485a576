"""`howdah tune --target-recall`: the cheapest index settings that find the wanted share of the true nearest neighbours."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from howdah.scripts import flags, output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection
    from howdah.retrieval.tuning_queries import Asked
    from howdah.retrieval.tuning_types import Measured, Point, TuningReport
    from howdah.retrieval.types import Array


def run(
    session: Session, target: float, *, k: int, queries: Path | None, filters: Sequence[str], sample: int,
    page: Path | None, dry_run: bool,
) -> int:  # fmt: skip
    """Measure, choose, save, and say what was found; the exit code."""
    from howdah.retrieval import tuning, tuning_queries
    from howdah.retrieval.filters import compile_filter

    goal = tuning.Goal(target=target, k=k, filters=[given for each in filters if (given := flags.read_filter(each))])
    session.store.forget(session.collection)
    collection = session.store.get(session.collection)
    for each in goal.filters:
        compile_filter(each, collection=collection)
    if not dry_run and session.conninfo is not None:
        output.note(f"Writing to {session.conninfo.place}")
    asked = _asked(session, collection, queries)
    output.note(f"{len(asked):,} queries: {asked.origin}")
    if collection.index is None:
        asked = tuning_queries.Asked(origin=asked.origin)  # nothing will be asked: no model needs to embed it
    vectors = tuning_queries.embedded(asked, session.vectors, collection)
    report = tuning.tune(session.store, collection, vectors, goal, origin=asked.origin, say=output.note)
    report = _advised(session, collection, report, vectors, sample)
    if not dry_run:
        report = tuning.apply(session.store, collection, report)
    if page is not None:
        _page(to_json(report), page)
    if session.as_json:
        output.put_json({**to_json(report), "report": page})
    else:
        _tell(report, dry_run=dry_run)
        output.tell_report(page)
    return _code(report, dry_run=dry_run)


def _page(found: dict[str, Any], path: Path) -> None:
    from howdah.scripts.reports.tuning_page import recall_page

    recall_page(found).write(path)


def _code(report: "TuningReport", *, dry_run: bool) -> int:
    """4: no setting meets the target; 1: it was measured and could not be saved."""
    if report.outcome == "unmet":
        return output.GATE_FAILED
    return 1 if report.outcome == "proposed" and not dry_run else 0


def _asked(session: Session, collection: "Collection", file: Path | None) -> "Asked":
    from howdah.retrieval import tuning, tuning_queries

    most = tuning.queries_for(session.store.count(collection))
    if file is not None:
        return tuning_queries.read(file, collection=collection, most=most)
    return tuning_queries.collected(session.store, collection, most=most)


def _advised(
    session: Session, collection: "Collection", report: "TuningReport", vectors: "Array", sample: int
) -> "TuningReport":
    from howdah.retrieval import tuning_advice, tuning_sample

    if collection.index is not None and sample:
        tried, why = tuning_sample.tried(
            session.store, collection, vectors, k=report.k, target=report.target, rows=sample, say=output.note
        )
        report = replace(report, sample=tried, notes=report.notes if why is None else (*report.notes, why))
    return replace(report, advice=tuning_advice.advice(report, collection))


# -- what it says


def to_json(report: "TuningReport") -> dict[str, Any]:
    """The report as JSON: `before`, `after` and each of `points` have settings, recall with its interval, and times."""
    return {
        "collection": report.collection,
        "target_recall": report.target,
        "k": report.k,
        "outcome": report.outcome,
        "saved": report.outcome == "applied",
        "rows": report.rows,
        "index": report.index,
        "queries": {"count": report.queries, "origin": report.origin},
        "chosen": None if report.after is None else _options(report.after),
        "before": None if report.before is None else _point(report.before),
        "after": None if report.after is None else _point(report.after),
        "points": [_point(point) for point in report.points],
        "exact_ms": report.exact_ms and round(report.exact_ms, 3),
        "sample": None if report.sample is None else asdict(report.sample),
        "advice": list(report.advice),
        "notes": list(report.notes),
        "seconds": round(report.seconds, 1),
    }


def _options(point: "Point") -> dict[str, Any]:
    return {name: value for name, value in asdict(point.options).items() if value not in (None, False)}


def _point(point: "Point") -> dict[str, Any]:
    return {
        "options": _options(point),
        "settings": dict(point.settings),
        f"recall@{point.k}": _recall(point.recall),
        "latency_ms": {"p50": _ms(point.p50), "p95": _ms(point.p95)},
        "workloads": [_workload(each, point.k) for each in point.measured],
    }


def _workload(measured: "Measured", k: int) -> dict[str, Any]:
    return {
        "name": measured.workload.name,
        "filter": measured.workload.filter,
        "share": round(measured.workload.share, 6),
        f"recall@{k}": _recall(measured.recall),
        "latency_ms": {"p50": _ms(measured.p50), "p95": _ms(measured.p95)},
    }


def _recall(its: Any) -> dict[str, float]:
    return {name: round(getattr(its, name), 6) for name in ("mean", "low", "high")}


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _tell(report: "TuningReport", *, dry_run: bool) -> None:
    show = output.OUT.print
    if report.outcome == "exact":
        show(
            output.escape(
                f"Collection {report.collection!r} has no index: every search is exact, and finds all. Nothing to tune."
            )
        )
    else:
        _tell_points(report)
        show("")
        show(output.escape(_verdict(report, dry_run=dry_run)))
    for line in report.advice:
        show(output.escape(f"- {line}"))
    for line in report.notes:
        output.warn(line)


def _tell_points(report: "TuningReport") -> None:
    """A line for each setting that was tried: the one in use so far and the chosen one are marked."""
    show = output.OUT.print
    index = report.index or {}
    options = ", ".join(f"{name} {value}" for name, value in index.items() if name not in ("kind", "method", "form"))
    show(
        output.escape(
            f"Collection {report.collection!r}: {report.rows:,} rows, {index.get('kind')} over {index.get('form')} ({options})"
        )
    )
    show("")
    for number, each in enumerate(report.points[0].measured):
        share = f", {each.workload.share:.1%} of the rows" if each.workload.filter else ""
        show(output.escape(f"{each.workload.name}{share}"))
        show(f"  {'setting':{_width(report)}}{f'recall@{report.k}':>10}{'95 % interval':>20}{'p50 ms':>9}{'p95 ms':>9}")
        for point in report.points:
            _tell_point(report, point, point.measured[number])
        show("")
    show(f"An exact search takes {report.exact_ms:.1f} ms.")


def _tell_point(report: "TuningReport", point: "Point", its: "Measured") -> None:
    marks = [word for word, one in (("before", report.before), ("after", report.after)) if one is point]
    interval = f"[{its.recall.low:.4f}, {its.recall.high:.4f}]"
    line = f"{_named(point):{_width(report)}}{its.recall.mean:>10.4f}{interval:>20}{its.p50 or 0:>9.2f}{its.p95 or 0:>9.2f}"
    output.OUT.print(output.escape(f"  {line}  {' and '.join(marks)}".rstrip()))


def _named(point: "Point") -> str:
    return ", ".join(f"{name} {value}" for name, value in _options(point).items())


def _width(report: "TuningReport") -> int:
    return max(len(_named(point)) for point in report.points) + 1


def _verdict(report: "TuningReport", *, dry_run: bool) -> str:
    if report.after is None:
        return f"No setting meets {report.target:g}: nothing was changed."
    settings = ", ".join(f"{name}={value}" for name, value in _options(report.after).items())
    if report.outcome == "unchanged":
        return f"What is set already, {settings}, meets {report.target:g}, and nothing that does is quicker: nothing was changed."
    saved = "Saved with the collection: every search goes by it now; --reset goes back."
    if report.outcome != "applied":
        saved = "Nothing was saved (--dry-run)." if dry_run else "Nothing was saved."
    return f"The cheapest that meets {report.target:g} is {settings}. {saved}"
