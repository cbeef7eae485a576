"""The k nearest chunks by one distance, as a pure function from a collection to a statement."""

from functools import lru_cache
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval.collection import Collection, Metric, Storage, table
from howdah.retrieval.queries import PASSAGE
from howdah.retrieval.query import EVERY_ROW, Query
from howdah.retrieval.types import Array
from howdah.retrieval.wire import vector


def nearest(
    collection: Collection, embedding: Array, *, k: int, where: Query = EVERY_ROW, exact: bool = False,
    vectors: bool = False,
) -> Query:  # fmt: skip
    """The k chunks closest to `embedding`, best first; equal distances in id order.

    `exact` keeps any index out of it. `vectors` adds each chunk's embedding (vector_send), for MMR.
    """
    shape = Nearest(
        collection.id, collection.vector_schema, collection.spec.storage, collection.spec.metric, k, exact, vectors
    )
    plain = where is EVERY_ROW
    return Query(
        _plain_nearest(shape) if plain else _nearest(shape, where.sql),
        {"embedding": vector(embedding, collection.spec.storage), "tenant": collection.tenant, **where.params},
    )


class Nearest(NamedTuple):
    """All that the text of a nearest-neighbour statement depends on, but for its filter."""

    id: int
    vector_schema: str
    storage: Storage
    metric: Metric
    k: int
    exact: bool
    vectors: bool


@lru_cache(maxsize=1_024)
def _plain_nearest(shape: Nearest) -> SQL:
    """The unfiltered statement as text: putting it together anew takes longer than sending it."""
    rendered: Any = _nearest(shape, EVERY_ROW.sql).as_string(None)
    return SQL(rendered)


def _nearest(shape: Nearest, where: Composable) -> Composed:
    schema = Identifier(shape.vector_schema)
    distance = shape.metric.distance(shape.vector_schema)
    embedding = SQL(", {}.vector_send(c.embedding::{}.vector) AS embedding").format(schema, schema)
    # relaxed_order may hand rows out of order, and PostgreSQL 17+ trusts an index's order: hence + 0 outside.
    return SQL("""
        WITH nearest AS MATERIALIZED (
            SELECT c.n, c.id, c.document, c.metadata, {distance} AS distance {embedding}
            FROM {chunks} AS c
            WHERE c.tenant = %(tenant)s AND {where}
            ORDER BY {order} LIMIT {k}
        )
        SELECT nearest.id, nearest.metadata, nearest.distance, {score} AS score {embedding_out}, {passage}
        FROM nearest
        JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = nearest.n
        LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = nearest.document
        ORDER BY nearest.distance + 0, nearest.id
    """).format(
        distance=distance,
        order=exactly(distance) if shape.exact else distance,
        chunks=table("chunks", shape.id),
        passages=table("passages", shape.id),
        where=where,
        k=Literal(shape.k),
        score=shape.metric.score,
        embedding=embedding if shape.vectors else SQL(""),
        embedding_out=SQL(", nearest.embedding") if shape.vectors else SQL(""),
        passage=PASSAGE,
    )


def exactly(distance: Composed) -> Composed:
    """The distance as something that no index can order by."""
    return SQL("({}) + 0").format(distance)
