"""How a search gets at the rows nearest to its query: by the true distance, or by what a coarser index holds of it."""

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Literal

from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.kinds import Index
from howdah.retrieval.tuned import tuned_for


@dataclass(frozen=True)
class Reach:
    """What the way to a collection's nearest rows depends on. `oversample`: candidates a wanted row; None: the kind's own."""

    spec: Spec
    vector_schema: str
    index: Index | None = None
    oversample: int | None = None

    @classmethod
    def of(cls, collection: Collection, k: int, oversample: int | None = None) -> "Reach":
        """For a search of k rows, by what was saved with the collection where no `oversample` is given."""
        if oversample is None:
            oversample = tuned_for(collection, k).get("oversample")
        return cls(collection.spec, collection.vector_schema, collection.index, oversample)

    @property
    def distance(self) -> Composed:
        return self.spec.metric.distance(self.vector_schema)

    def nearest(self, chunks: Composable, where: Composable, k: int) -> Composed:
        """A SELECT of n and distance of the k nearest rows, in an order that an index may serve.

        An index that holds less than the collection only proposes: the true distance ranks what it found.
        """
        distance, index = self.distance, self.index
        if index is None or not index.reranks(self.spec):
            return _select(chunks, distance, where, order=distance, limit=k)
        candidates = index.candidates(self.spec, k, self.oversample)
        found = _select(chunks, distance, where, order=index.order(self.spec, self.vector_schema), limit=candidates)
        return SQL("SELECT n, distance FROM ({}) AS found ORDER BY distance, n LIMIT {}").format(found, Literal(k))

    def exactly(self, chunks: Composable, where: Composable, k: int) -> Composed:
        """As `nearest`, in an order that no index can serve."""
        return _select(chunks, self.distance, where, order=exactly(self.distance), limit=k)


def exactly(distance: Composed) -> Composed:
    """The distance as something that no index can order by."""
    return SQL("({}) + 0").format(distance)


def _select(chunks: Composable, distance: Composable, where: Composable, *, order: Composable, limit: int) -> Composed:
    return SQL("""
        SELECT c.n, {distance} AS distance FROM {chunks} AS c WHERE c.tenant = %(tenant)s AND {where}
        ORDER BY {order} LIMIT {limit}
    """).format(distance=distance, chunks=chunks, where=where, order=order, limit=Literal(limit))
