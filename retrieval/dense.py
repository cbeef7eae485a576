"""The k nearest chunks by one distance, as a pure function from a collection to a statement."""

from functools import lru_cache
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composed, Identifier

from howdah.retrieval import filtered
from howdah.retrieval.collection import Collection, table
from howdah.retrieval.queries import PASSAGE
from howdah.retrieval.query import EVERY_ROW, Condition, Query
from howdah.retrieval.reach import Reach
from howdah.retrieval.types import Array
from howdah.retrieval.wire import vector


def nearest(
    collection: Collection, embedding: Array, *, k: int, where: Condition = EVERY_ROW, exact: bool = False,
    vectors: bool = False, oversample: int | None = None,
) -> Query:  # fmt: skip
    """The k chunks closest to `embedding` that match `where`, best first; equal distances in id order.

    `exact` keeps any index of the vectors out of it. `vectors` adds each chunk's embedding (vector_send), for MMR. Where the
    index holds less than the collection does, `oversample` times k candidates are ranked anew by the true distance.
    """
    shape = Nearest(collection.id, collection.generation, Reach.of(collection, k, oversample), k, exact, vectors)
    return Query(
        _plain_nearest(shape) if where is EVERY_ROW else _nearest(shape, where),
        {"embedding": vector(embedding, collection.spec.storage), "tenant": collection.tenant, **where.params},
    )


class Nearest(NamedTuple):
    """All that the text of a nearest-neighbour statement depends on, but for its filter."""

    id: int
    generation: int
    reach: Reach
    k: int
    exact: bool
    vectors: bool

    @property
    def chunks(self) -> Identifier:
        return table("chunks", self.id, self.generation)


@lru_cache(maxsize=1_024)
def _plain_nearest(shape: Nearest) -> SQL:
    """The unfiltered statement as text: putting it together anew takes longer than sending it."""
    rendered: Any = _nearest(shape, EVERY_ROW).as_string(None)
    return SQL(rendered)


def _nearest(shape: Nearest, where: Condition) -> Composed:
    schema = Identifier(shape.reach.vector_schema)
    embedding = SQL(", {}.vector_send(c.embedding::{}.vector) AS embedding").format(schema, schema)
    # relaxed_order may hand rows out of order, and PostgreSQL 17+ trusts an index's order: hence + 0 outside.
    return SQL("""
        WITH {nearest}
        SELECT c.id, c.metadata, nearest.distance, {score} AS score {embedding}, {passage}
        FROM nearest
        JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = nearest.n
        JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = nearest.n
        LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
        ORDER BY nearest.distance + 0, c.id
    """).format(
        nearest=arm(shape.chunks, shape.reach, where, k=shape.k, exact=shape.exact),
        score=shape.reach.spec.metric.score,
        embedding=embedding if shape.vectors else SQL(""),
        chunks=shape.chunks,
        passages=table("passages", shape.id),
        passage=PASSAGE,
    )


def arm(chunks: Identifier, reach: Reach, where: Condition, *, k: int, exact: bool) -> Composed:
    """CTEs, of which the last, nearest (n, distance), holds the k nearest rows that match."""
    if where is EVERY_ROW or exact:
        found = reach.exactly(chunks, where.sql, k) if exact else reach.nearest(chunks, where.sql, k)
        return SQL("nearest AS MATERIALIZED ({})").format(found)
    return SQL("{}, {}").format(
        filtered.route(chunks, where, distance=reach.distance), filtered.nearest(chunks, reach, where, k=k)
    )
