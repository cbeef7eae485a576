"""The whole of an evaluation: configurations run over a test set, measured, and compared with each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from howdah.retrieval.evaluation.beir import TestSet
from howdah.retrieval.evaluation.configuration import Configuration
from howdah.retrieval.evaluation.intervals import Difference, Interval, difference
from howdah.retrieval.evaluation.measures import Cutoffs, irmeasures, means, per_query
from howdah.retrieval.evaluation.ranking import Named
from howdah.retrieval.evaluation.searching import Progress, Searched, embedded, search_all

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one configuration did. `values` are each query's, by measure; `apart` its difference from the first one.

    `empty` are the queries that found nothing; they count as 0.
    """

    how: Configuration
    searched: Searched
    values: dict[str, dict[str, float]]
    metrics: dict[str, Interval]
    apart: dict[str, Difference] | None = None

    @property
    def empty(self) -> list[str]:
        return [id_ for id_ in self.values if not self.searched.rankings.get(id_)]

    def column(self, metric: str) -> list[float]:
        """Every query's value of one measure, in the queries' order."""
        return [row[metric] for row in self.values.values()]


def evaluate(
    store: "PGVector", tests: TestSet, configurations: Sequence[Configuration], cutoffs: Cutoffs,
    *, named: Named, progress: Progress | None = None,
) -> list[Run]:  # fmt: skip
    """One run a configuration, in their order, each compared query by query with the first."""
    irmeasures()  # before anything is searched for
    vectors = embedded(store, tests.queries, configurations)
    runs: list[Run] = []
    for how in configurations:
        searched = search_all(store, tests.queries, how, cutoffs, named=named, vectors=vectors, progress=progress)
        values = per_query(searched.rankings, tests.qrels, cutoffs)
        apart = None if not runs else {name: _apart(values, runs[0].values, name) for name in cutoffs.names}
        runs.append(Run(how=how, searched=searched, values=values, metrics=means(values), apart=apart))
    return runs


def _apart(ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]], name: str) -> Difference:
    return difference([row[name] for row in ours.values()], [theirs[query][name] for query in ours])
