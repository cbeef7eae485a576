"""What an index finds: the share of the true nearest neighbours, by exact search on the same rows.

The truth comes from a statement of its own, which orders by (distance) + 0: no index can serve that, and no plan that a
connection has prepared can take its place. A row counts as found where it is no farther away than the k-th of the truth,
so that of rows at the same distance any will do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from howdah.retrieval import dense, upkeep
from howdah.retrieval.collection import Collection
from howdah.retrieval.evaluation.intervals import interval
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.query import EVERY_ROW, Condition
from howdah.retrieval.store import Store
from howdah.retrieval.types import Array
from howdah.retrieval.wire import decode

K, MOST_QUERIES, FEWEST_QUERIES, PATIENCE = 10, 20, 3, 400_000
ROUNDS = 2_000
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The exact answer to one query: how many rows it has (k, or all that match where these are fewer), and the distance
    of the last. `without` is an id that does not count: the row that the query was made from.
    """

    wanted: int
    last: float
    without: str | None = None

    @classmethod
    def of(cls, rows: Sequence[Row], k: int, *, without: str | None = None) -> "Truth":
        """From the rows of an exact search, nearest first; one more than k of them where one is left out."""
        distances = [float(row["distance"]) for row in rows if row["id"] != without][:k]
        return cls(wanted=len(distances), last=distances[-1] if distances else 0.0, without=without)

    def found(self, rows: Iterable[Row]) -> int:
        """How many of an approximate answer's first rows are among the nearest."""
        first = {row["id"]: float(row["distance"]) for row in rows if row["id"] != self.without}
        return sum(distance <= self.last for distance in list(first.values())[: self.wanted])


@dataclass(frozen=True, kw_only=True)
class Recall:
    """The mean of the queries' recalls with its 95 % interval, all in [0, 1]; `neighbours` is how many were looked for."""

    mean: float
    low: float
    high: float
    queries: int
    neighbours: int


def recall_of(found: Sequence[int], wanted: Sequence[int]) -> Recall | None:
    """Of many queries; those without a neighbour to find do not count. None where there is no other.

    The interval is a percentile bootstrap over queries, seeded. Where nearly all was found, and the bootstrap knows of no
    misses to draw, its low end is at most 1 - 3 / neighbours (the rule of three; Hanley and Lippman-Hand, 1983).
    """
    pairs = [(got, of) for got, of in zip(found, wanted, strict=True) if of]
    if not pairs:
        return None
    neighbours = sum(of for _, of in pairs)
    mean, low, high = interval([got / of for got, of in pairs], rounds=ROUNDS)
    low = max(min(low, 1 - 3 / neighbours), 0.0)
    return Recall(mean=mean, low=low, high=high, queries=len(pairs), neighbours=neighbours)


def truths(
    store: Store, collection: Collection, queries: Iterable[Array], *, k: int, where: Condition = EVERY_ROW
) -> list[Truth]:
    """The exact answers to queries (n, d), each by a scan of all rows."""
    statements = (dense.nearest(collection, query, k=k, where=where, exact=True) for query in queries)
    return [Truth.of(store.fetch(statement), k) for statement in statements]


def index_recall(store: Store, collection: Collection, *, rows: int) -> float | None:
    """Recall@10 of a search with its usual settings, over a few of the collection's own rows, each without itself.

    In a large collection fewer rows are asked about, for each takes an exact scan. None where there is nothing to find.
    """
    count = min(max(PATIENCE // max(rows, 1), FEWEST_QUERIES), MOST_QUERIES)
    settings = SearchOptions().settings(K + 1, collection)
    found = wanted = 0
    for row in store.rows(upkeep.sample(collection, count)):
        embedding = decode(row["embedding"])
        exact = store.fetch(dense.nearest(collection, embedding, k=K + 1, exact=True))
        truth = Truth.of(exact, K, without=row["id"])
        found += truth.found(store.fetch(dense.nearest(collection, embedding, k=K + 1), settings))
        wanted += truth.wanted
    return found / wanted if wanted else None
