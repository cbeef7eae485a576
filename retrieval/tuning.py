"""Tune how searches walk a collection's index: the cheapest setting that finds the wanted share of the true neighbours.

One dial an index has for effort, and recall rises with it: `efforts` are tried from the least on, until two meet the target.
Then other ways to go on behind a filter are tried at the same effort, all are timed in turn, and the cheapest that meets
the target in every workload is saved with the collection. The low end of recall's 95 % interval has to meet it, so that a
lucky draw of queries does not.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from psycopg import errors

from howdah.retrieval import catalog
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput, SchemaMissing
from howdah.retrieval.filters import Filter
from howdah.retrieval.kinds import Form, Index, Method
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.queries import check_k, check_number
from howdah.retrieval.store import Store
from howdah.retrieval.tuned import SETTINGS, USUAL_BEAM, Tuned
from howdah.retrieval.tuning_choice import cheapest
from howdah.retrieval.tuning_filters import workloads
from howdah.retrieval.tuning_grid import effort, efforts, walks
from howdah.retrieval.tuning_measure import Measurement, Says
from howdah.retrieval.tuning_types import Point, TuningReport
from howdah.retrieval.types import Array

BEYOND = 2
"""Efforts that are tried from the first that meets the target on: the curve is to show that it has been reached."""
MOST_QUERIES, FEWEST_QUERIES, PATIENCE = 400, 50, 40_000_000
"""Queries, and the rows that exact searches may look at for all of them."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is wanted: so much recall (0–1) of searches of k rows, also through these filters."""

    target: float = 0.99
    k: int = 10
    filters: Sequence[Filter] = ()

    def __post_init__(self) -> None:
        check_k(self.k)
        check_number("target_recall", self.target, 0, 1)
        if not 0 < self.target < 1:
            raise InvalidInput(
                f"target_recall is {self.target:g} and must be above 0 and below 1",
                hint="what has to find all is an exact search: howdah db maintain --index none, or exact=True",
            )


def queries_for(rows: int) -> int:
    """How many queries to ask a collection of so many rows: an exact search of each takes its time."""
    return min(max(PATIENCE // max(rows, 1), FEWEST_QUERIES), MOST_QUERIES)


def tune(store: Store, collection: Collection, queries: Array, goal: Goal, *, origin: str, say: Says) -> TuningReport:
    """Measure, and choose; nothing is saved. `queries` (n, d) as the collection's model embeds them."""
    began, rows = time.perf_counter(), store.count(collection)
    report = TuningReport(
        collection=collection.name, k=goal.k, target=goal.target, rows=rows, index=_shown(collection.index),
        queries=len(queries), origin=origin,
    )  # fmt: skip
    if collection.index is None:
        return replace(report, seconds=time.perf_counter() - began)
    if not len(queries):
        raise InvalidInput(f"collection {collection.name!r} is empty", hint="load documents: howdah ingest PATH")
    measurement = Measurement(store, collection, queries, k=goal.k, say=say)
    measurement.prepare(workloads(store, collection, goal.filters, rows=rows, k=goal.k))
    before = usual(collection, goal.k)
    found = _sweep(measurement, before, goal)
    points = measurement.timed(found)
    its = next(point for point in points if point.options == before)
    after = cheapest(points, goal.target, before=its)
    outcome = "unmet" if after is None else "unchanged" if after is its else "proposed"
    return replace(
        report, outcome=outcome, before=its, after=after, points=points, exact_ms=measurement.exact_ms,
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def usual(collection: Collection, k: int) -> SearchOptions:
    """What a search of k rows does now, in the words of the index's own dial."""
    index, now = collection.index, SearchOptions().on(collection, k)
    assert index is not None
    if index.method is Method.IVFFLAT:
        return replace(now, probes=now.probes or index.probes)
    if index.form is Form.BIT:
        now = replace(now, oversample=now.oversample or index.form.oversample)
    candidates = index.candidates(collection.spec, k, now.oversample)
    return replace(now, ef_search=max(now.ef_search or USUAL_BEAM, candidates))


def _sweep(measurement: Measurement, before: SearchOptions, goal: Goal) -> list[Point]:
    """Points along the dial up to the target and a little beyond, what is set now, and other walks where there are filters."""
    collection, points, met = measurement.collection, list[Point](), 0
    assert collection.index is not None
    for options in efforts(collection.index, collection.spec, goal.k):
        point = measurement.point(options)
        points.append(point)
        measurement.say(f"{_said(options)}: recall {point.recall.mean:.4f}, at least {point.recall.low:.4f}")
        met += point.meets(goal.target)
        if met >= BEYOND:
            break
    there = {point.options for point in points}
    if before not in there:
        points.append(measurement.point(before))
    if len(measurement.parts) > 1:
        best = next((point for point in points if point.meets(goal.target)), points[-1])
        points += [
            measurement.point(options) for options in walks(best.options, collection.index) if options not in there
        ]
    return sorted(points, key=lambda point: effort(point.options))


def _said(options: SearchOptions) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(options).items() if value)


def _shown(index: Index | None) -> dict[str, Any] | None:
    if index is None:
        return None
    return {"kind": index.kind, "method": index.method.label, "form": index.form.type_name, **index.options}


def apply(store: Store, collection: Collection, report: TuningReport) -> TuningReport:
    """Save what was chosen with the collection; where that is not allowed the report says who may."""
    if report.outcome != "proposed" or report.after is None or collection.index is None:
        return report
    said = {
        name: value for name, value in asdict(report.after.options).items() if name in SETTINGS and value is not None
    }
    learned = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": report.rows,
        "target": report.target,
        "recall": asdict(report.after.recall),
        "queries": report.origin,
    }
    tuned = Tuned(settings=said, k=report.k, index=collection.index, generation=collection.generation, learned=learned)
    try:
        save(store, collection, tuned)
    except (DatabaseUnavailable, SchemaMissing, errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as exc:
        return replace(report, notes=(*report.notes, _not_saved(store, exc)))
    return replace(report, outcome="applied")


def save(store: Store, collection: Collection, tuned: Tuned | None) -> None:
    """Remember how searches walk the index; None goes back to the usual. Other processes go by it within a minute."""
    if store.database.server.read_only:
        raise DatabaseUnavailable(
            f"{store.database.conninfo.place} is a replica, where nothing can be saved", hint="run it on the primary"
        )
    store.prepare_schema()
    store.execute(catalog.set_tuned(collection, {} if tuned is None else tuned.to_json()))
    store.forget(collection.name)


def _not_saved(store: Store, exc: Exception) -> str:
    if isinstance(exc, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
        return (
            f"not applied: {exc.diag.message_primary}; this user may read and not write: run the same command as the"
            " tables' owner, or give the settings with each search"
        )
    return f"not applied: {exc}"
