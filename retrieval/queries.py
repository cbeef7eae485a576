"""The statements that read chunks by what they are, and what all searches share. Pure functions.

The searches themselves are in `dense`, `lexical` and `hybrid`. Limits are literals everywhere: a generic plan cannot cost
a parameter.
"""

from psycopg.sql import SQL, Composable, Identifier, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Condition, Query

AND = SQL(" AND ")
MAX_K = 10_000

PASSAGE = SQL("""
    p.content, d.source, p.title, p.section, p.page, p.start_at AS "start", p.end_at AS "end"
""")


def check_number(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidInput(f"{name} is {value!r} and must be a number from {low} to {high}")


def check_whole(name: str, value: int, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(f"{name} is {value!r} and must be a whole number from {low} to {high:,}")
    return value


def check_k(k: int, name: str = "k") -> int:
    return check_whole(name, k, 1, MAX_K)


def by_ids(collection: Collection, ids: list[str]) -> Query:
    """The chunks with these ids, in id order; unknown ids are left out."""
    return _plain_rows(collection, Condition(SQL("c.id = ANY(%(ids)s::text[])"), {"ids": ids}), order=SQL("c.id"))


def matching(collection: Collection, where: Condition) -> Query:
    """The chunks that match, in id order."""
    return _plain_rows(collection, where, order=SQL("c.id"))


def _plain_rows(collection: Collection, where: Condition, *, order: Composable) -> Query:
    return Query(
        SQL("""
            SELECT c.id, c.metadata, 0::float8 AS score, {passage}
            FROM {chunks} AS c
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
            WHERE c.tenant = %(tenant)s AND {where} ORDER BY {order}
        """).format(
            chunks=collection.chunks, passages=collection.passages, passage=PASSAGE, where=where.sql, order=order
        ),
        {"tenant": collection.tenant, **where.params},
    )


def with_vectors(collection: Collection, search: Query) -> Query:
    """The rows of `search` in their order, each with its chunk's embedding (vector_send), in the same statement."""
    vectors = Identifier(collection.vector_schema)
    return Query(
        SQL("""
            SELECT found.*, {vectors}.vector_send(v.embedding::{vectors}.vector) AS embedding
            FROM (SELECT ranked.*, row_number() OVER () AS place FROM ({search}) AS ranked) AS found
            JOIN {chunks} AS v ON v.tenant = %(tenant)s AND v.id = found.id
            ORDER BY found.place
        """).format(vectors=vectors, search=search.sql, chunks=collection.chunks),
        {"tenant": collection.tenant, **search.params},
    )


def count(collection: Collection) -> Query:
    """How many chunks there are, from the statistics."""
    return Query(
        SQL("""
            SELECT coalesce(sum(chunks), 0)::bigint AS chunks FROM howdah.corpus_stats
            WHERE tenant = %(tenant)s AND collection = %(collection)s
        """),
        {"tenant": collection.tenant, "collection": collection.id},
    )


def set_local(settings: dict[str, str]) -> Query:
    """Settings for the current transaction alone."""
    calls = [
        SQL("set_config({}, {}, true)").format(Literal(name), Literal(value))
        for name, value in sorted(settings.items())
    ]
    return Query(SQL("SELECT {}").format(SQL(", ").join(calls)), {})
