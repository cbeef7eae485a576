"""Recall and time of settings on a collection's own index, as searches use it: the same statements, the same connections."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from howdah.retrieval import dense
from howdah.retrieval.collection import Collection
from howdah.retrieval.filters import compile_filter
from howdah.retrieval.kinds import Method
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.recall import Truth, recall_of, truths
from howdah.retrieval.server import SEARCH
from howdah.retrieval.store import Store
from howdah.retrieval.tuning_types import NOTHING, Measured, Point, Workload
from howdah.retrieval.types import Array

Says = Callable[[str], None]
Times = npt.NDArray[np.float64]
SEED = 7
REPEATS, BLOCK = 3, 25
"""Times that each query is asked by each setting, and queries that one setting is asked before it is another's turn."""
FEWEST_TIMED, MOST_TIMED, SECONDS = 40, 200, 30.0
"""Queries that are timed, and how long the timing may take all in all."""


@dataclass(frozen=True)
class _Part:
    """A workload with its condition, and the truth of each query."""

    workload: Workload
    where: Condition
    truths: list[Truth]


class Measurement:
    """Settings of searches of k rows, measured with `queries` (n, d) on each workload.

    What the collection has saved is left out of it: a setting is what it says, and the usual otherwise.
    """

    def __init__(self, store: Store, collection: Collection, queries: Array, *, k: int, say: Says) -> None:
        self.store, self.collection = store, replace(collection, tuned=None)
        self.queries, self.k, self.say = queries, k, say
        self.parts: list[_Part] = []
        self.took: dict[SearchOptions, float] = {}
        self.exact_ms = 0.0

    def prepare(self, workloads: Sequence[Workload]) -> None:
        """Find the truth by exact search."""
        for workload in workloads:
            self.say(f"exact search for {len(self.queries):,} queries, {workload.name}")
            where = compile_filter(workload.filter, collection=self.collection)
            began = time.perf_counter()
            found = truths(self.store, self.collection, self.queries, k=self.k, where=where)
            if workload.filter is None:
                self.exact_ms = 1_000 * (time.perf_counter() - began) / max(len(found), 1)
            self.parts.append(_Part(workload, where, found))

    def point(self, options: SearchOptions) -> Point:
        """The recall of a setting in each workload; its times are still to be taken."""
        began = time.perf_counter()
        measured = tuple(self._recall(options, part) for part in self.parts)
        asked = len(self.queries) * len(self.parts)
        self.took[options] = (time.perf_counter() - began) / asked
        return Point(options=options, k=self.k, settings=self._shown(options), measured=measured)

    def _recall(self, options: SearchOptions, part: _Part) -> Measured:
        settings = self._settings(options, part)
        found = [
            truth.found(self.store.fetch(self._statement(options, part, query), settings))
            for query, truth in zip(self.queries, part.truths, strict=True)
        ]
        recall = recall_of(found, [truth.wanted for truth in part.truths])
        return Measured(workload=part.workload, recall=recall or NOTHING)

    def timed(self, points: Sequence[Point]) -> list[Point]:
        """With p50 and p95 in milliseconds: setting after setting for each block of queries, each query's median of REPEATS.

        All have been asked once before, for their recall. So what else the machine does meets all settings alike.
        """
        count = self._affordable(points)
        self.say(f"timing {len(points)} settings with {count} queries, in turn")
        taken = {
            (point.options, part.workload.name): np.zeros((REPEATS, count)) for point in points for part in self.parts
        }
        random = np.random.default_rng(SEED)
        for repeat in range(REPEATS):
            for low in range(0, count, BLOCK):
                for place in random.permutation(len(points)):  # the first of a block reads its rows cold
                    self._block(points[place].options, range(low, min(low + BLOCK, count)), repeat, taken)
        return [
            replace(point, measured=tuple(_with_times(each, taken[point.options, each.workload.name]) for each in point.measured))
            for point in points
        ]  # fmt: skip

    def _block(
        self, options: SearchOptions, places: range, repeat: int, taken: dict[tuple[SearchOptions, str], Times]
    ) -> None:
        for part in self.parts:
            times = taken[options, part.workload.name][repeat]
            for place in places:
                times[place] = self._time(options, part, self.queries[place])

    def _affordable(self, points: Sequence[Point]) -> int:
        one = REPEATS * len(self.parts) * sum(self.took[point.options] for point in points)
        return min(max(int(SECONDS / one), FEWEST_TIMED), MOST_TIMED, len(self.queries))

    def _time(self, options: SearchOptions, part: _Part, query: Array) -> float:
        statement, settings = self._statement(options, part, query), self._settings(options, part)
        began = time.perf_counter()
        self.store.fetch(statement, settings)
        return 1_000 * (time.perf_counter() - began)

    def _statement(self, options: SearchOptions, part: _Part, query: Array) -> Query:
        return dense.nearest(
            self.collection, query, k=self.k, where=part.where, exact=options.exact, oversample=options.oversample
        )

    def _settings(self, options: SearchOptions, part: _Part) -> dict[str, str]:
        return options.settings(self.k, self.collection, filtered=part.workload.filter is not None)

    def _shown(self, options: SearchOptions) -> dict[str, str]:
        """What the server goes by for a setting, with what a connection has anyway; and how many candidates are ranked anew."""
        index = self.collection.index
        kind = "ivfflat." if index is not None and index.method is Method.IVFFLAT else "hnsw."
        filtered = len(self.parts) > 1
        its = {
            **SEARCH,
            **self.store.database.server.settings,
            **options.settings(self.k, self.collection, filtered=filtered),
        }
        found = {name: value for name, value in its.items() if name.startswith(kind)}
        if index is not None and index.reranks(self.collection.spec):
            found["candidates"] = str(index.candidates(self.collection.spec, self.k, options.oversample))
        return found


def _with_times(measured: Measured, times: Times) -> Measured:
    each = np.median(times, axis=0)
    return replace(
        measured,
        p50=float(np.median(each)),
        p95=float(np.quantile(each, 0.95)),
        times=tuple(times.min(axis=0).tolist()),
    )
