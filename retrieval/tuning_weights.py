"""Learn from labels how hybrid search weighs meaning against words, and tell a gain from noise.

Each query is searched once, deep in both arms; every weight's ranking follows from the two scores of each candidate, for
these do not depend on the weight. The weight is learned on four fifths of the queries and judged on the rest, five times:
the gain is that of queries which their weight was not learned from, against the weight in use, query by query.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from howdah.retrieval import catalog
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.beir import TestSet
from howdah.retrieval.evaluation.intervals import Difference, difference
from howdah.retrieval.evaluation.own import own
from howdah.retrieval.evaluation.ranking import Named, firsts
from howdah.retrieval.hybrid import Hybrid
from howdah.retrieval.tuned import VERSION
from howdah.retrieval.types import Hit

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

Floats = npt.NDArray[np.float64]
WEIGHTS = tuple(round(0.05 * step, 2) for step in range(21))
FOLDS, LEAST, SEED = 5, 25, 7
"""Parts that the queries are cut into, and how many queries there have to be."""
DEPTH = 100
"""Candidates of each arm."""


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """What was learned. `curve` has the mean nDCG@k of all queries by weight; `gain` is over held-out queries.

    `outcome`: saved, gain (real and not saved: a dry run), noise, or unchanged (the weight in use is the best).
    `fold_weights` are what each fold's other queries would have chosen: how far they are apart tells how sure it is.
    """

    collection: str
    k: int
    queries: int
    before: float
    weight: float
    fold_weights: tuple[float, ...]
    gain: Difference
    curve: Mapping[float, float]
    outcome: str
    absent: tuple[str, ...] = ()


def learn(store: "PGVector", tests: TestSet, *, k: int, note: Callable[[int], None]) -> Weighed:
    """Search every query and learn; nothing is saved. `note` is called with how many are done.

    Raises InvalidInput for fewer than LEAST queries, or labels of which the collection holds nothing.
    """
    if len(tests.queries) < LEAST:
        raise InvalidInput(
            f"there are {len(tests.queries)} labelled queries and {LEAST} are needed",
            hint="with fewer no weight can be told from another",
        )
    found, collection = own(store, tests), store.store.get(store.collection_name)
    rows = []
    for number, (id_, text) in enumerate(tests.queries.items(), start=1):
        hits = store.hits(text, k=2 * DEPTH, search_type="hybrid", depth=DEPTH)
        rows.append(scores(id_, hits, tests.qrels[id_], found.named, c0=collection.c0, k=k))
        note(number)
    before = Hybrid().weight_on(collection)
    weighed = choose(np.array(rows), before)
    return Weighed(collection=collection.name, k=k, queries=len(rows), absent=tuple(found.absent), **weighed)


def scores(
    query: str, hits: Sequence[Hit], judged: Mapping[str, int], named: Named, *, c0: float, k: int
) -> list[float]:
    """nDCG@k of one query's candidates by each of WEIGHTS."""
    return [ndcg([id_ for id_, _ in firsts(named(query, ranked(hits, w, c0)))], judged, k) for w in WEIGHTS]


def ranked(hits: Sequence[Hit], weight: float, c0: float) -> list[Hit]:
    """The candidates as hybrid search ranks them with this weight (see hybrid.hybrid)."""

    def key(hit: Hit) -> tuple[float, float, str]:
        dense, words = hit.scores["dense"], hit.scores["lexical"]
        score = weight * min(max((dense - c0) / (1 - c0), 0.0), 1.0) + (1 - weight) * min(words, 1.0)
        return -score, -dense, hit.id

    return sorted(hits, key=key)


def ndcg(ranking: Sequence[str], judged: Mapping[str, int], k: int) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002), as trec_eval has it: gain = relevance."""
    gains = [max(judged.get(id_, 0), 0) / math.log2(rank + 1) for rank, id_ in enumerate(ranking[:k], start=1)]
    ideal = sorted((gain for gain in judged.values() if gain > 0), reverse=True)[:k]
    return sum(gains) / sum(gain / math.log2(rank + 1) for rank, gain in enumerate(ideal, start=1))


def choose(values: Floats, before: float) -> dict[str, Any]:
    """The weight of all queries, and what such a choice gains on queries that it was not made from. values: (n, weights)."""
    now = _at(values, before)
    gained, fold_weights = np.zeros(len(values)), []
    for held in _folds(len(values)):
        others = np.ones(len(values), dtype=bool)
        others[held] = False
        place = _best(values[others], before)
        gained[held] = values[held, place]
        fold_weights.append(WEIGHTS[place])
    weight, gain = WEIGHTS[_best(values, before)], difference(gained, now)
    outcome = "unchanged" if abs(weight - before) < 1e-9 else "gain" if gain.low > 0 else "noise"
    curve = dict(zip(WEIGHTS, values.mean(axis=0).tolist(), strict=True))
    return {
        "before": before, "weight": weight, "gain": gain, "fold_weights": tuple(fold_weights), "curve": curve,
        "outcome": outcome,
    }  # fmt: skip


def _at(values: Floats, weight: float) -> Floats:
    """Each query's value at a weight: between two of WEIGHTS that of the nearer one."""
    place = int(np.argmin(np.abs(np.array(WEIGHTS) - weight)))
    its: Floats = values[:, place]
    return its


def _best(values: Floats, before: float) -> int:
    """The place of the best mean; of equal ones, that nearest to the weight in use."""
    means = values.mean(axis=0)
    equal = np.flatnonzero(means >= means.max() - 1e-12)
    return int(min(equal, key=lambda place: abs(WEIGHTS[place] - before)))


def _folds(count: int) -> Iterator[npt.NDArray[np.int64]]:
    order = np.random.default_rng(SEED).permutation(count)
    yield from np.array_split(order, FOLDS)


def save(store: "PGVector", collection: Collection, found: Weighed) -> None:
    """Remember the weight with the collection: hybrid searches that give none go by it, other processes' within a minute."""
    learned = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "queries": found.queries, "k": found.k,
        "gain": asdict_of(found.gain),
    }  # fmt: skip
    store.store.prepare_schema()
    store.store.execute(
        catalog.set_weight(collection, {"version": VERSION, "weight": found.weight, "learned": learned})
    )
    store.store.forget(collection.name)


def asdict_of(gain: Difference) -> dict[str, float]:
    return {name: float(value) for name, value in gain._asdict().items()}
