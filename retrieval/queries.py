"""Every statement that reads chunks, as pure functions. Limits are literals: a generic plan cannot cost a parameter."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval.collection import Collection, Metric, Storage, table
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import EVERY_ROW, Query
from howdah.retrieval.types import Array
from howdah.retrieval.values import text
from howdah.retrieval.wire import vector

AND = SQL(" AND ")
K1, B, WEIGHT = 1.2, 0.75, 0.5
MAX_K = 10_000

PASSAGE = SQL("""
    p.content, d.source, p.title, p.section, p.page, p.start_at AS "start", p.end_at AS "end"
""")


@dataclass(frozen=True, kw_only=True)
class Hybrid:
    """How the two arms are weighed. weight: 0 = words only, 1 = vectors only; depth: rows that each arm contributes."""

    weight: float = WEIGHT
    depth: int | None = None
    k1: float = K1
    b: float = B

    def __post_init__(self) -> None:
        for name, value, low, high in (("weight", self.weight, 0, 1), ("k1", self.k1, 0, 1_000), ("b", self.b, 0, 1)):
            check_number(name, value, low, high)
        if self.depth is not None:
            check_k(self.depth, "depth")

    def rows(self, k: int) -> int:
        return max(self.depth or max(100, 4 * k), k)


def check_number(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidInput(f"{name} is {value!r} and must be a number from {low} to {high}")


def check_k(k: int, name: str = "k") -> int:
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MAX_K:
        raise InvalidInput(f"{name} is {k!r} and must be a whole number from 1 to {MAX_K:,}")
    return k


HYBRID_OPTIONS = frozenset(Hybrid.__dataclass_fields__)


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
        order=_exactly(distance) if shape.exact else distance,
        chunks=table("chunks", shape.id),
        passages=table("passages", shape.id),
        where=where,
        k=Literal(shape.k),
        score=shape.metric.score,
        embedding=embedding if shape.vectors else SQL(""),
        embedding_out=SQL(", nearest.embedding") if shape.vectors else SQL(""),
        passage=PASSAGE,
    )


def _exactly(distance: Composed) -> Composed:
    """The distance as something that no index can order by."""
    return SQL("({}) + 0").format(distance)


def lexical(
    collection: Collection, words: str, *, k: int, where: Query = EVERY_ROW, k1: float = K1, b: float = B
) -> Query:
    """The k chunks with the highest BM25 for any of the words, best first; equal scores in id order."""
    return Query(
        SQL("""
            WITH {bm25},
            best AS MATERIALIZED ({arm})
            SELECT c.id, c.metadata, best.score / attainable.score AS score,
                   best.score / attainable.score AS lexical, {passage}
            FROM best CROSS JOIN attainable
            JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = best.n
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = best.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
            ORDER BY best.score DESC, c.id
        """).format(
            bm25=_bm25(collection),
            arm=_lexical_arm(collection, k, where),
            chunks=collection.chunks,
            passages=collection.passages,
            passage=PASSAGE,
        ),
        {**_lexical_params(collection, words, k1, b), **where.params},
    )


def hybrid(
    collection: Collection, words: str, embedding: Array, *, k: int, how: Hybrid, c0: float, where: Query = EVERY_ROW,
    exact: bool = False,
) -> Query:  # fmt: skip
    """The k best by weight · dense + (1 - weight) · lexical over both arms' candidates, each scored exactly in both.

    dense = clip((cosine - c0) / (1 - c0)), with c0 the mean cosine of the collection's random pairs; lexical = BM25 over
    its attainable maximum (k1 + 1) · Σ idf. Both scales belong to the collection and the query, not to the candidates.
    """
    depth = how.rows(k)
    distance = collection.spec.metric.distance(collection.vector_schema)
    return Query(
        SQL("""
            WITH {bm25},
            by_words AS MATERIALIZED ({arm}),
            by_meaning AS MATERIALIZED (
                SELECT c.n FROM {chunks} AS c WHERE c.tenant = %(tenant)s AND {where}
                ORDER BY {order} LIMIT {depth}
            ),
            candidates AS (SELECT n FROM by_words UNION SELECT n FROM by_meaning),
            scored AS MATERIALIZED (
                SELECT c.n, c.id, c.document, c.metadata, 1 - ({distance}) AS dense,
                       coalesce(b.score / nullif(attainable.score, 0), 0) AS lexical
                FROM candidates CROSS JOIN attainable
                JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = candidates.n
                LEFT JOIN bm25 AS b ON b.n = candidates.n
            ),
            best AS MATERIALIZED (
                SELECT *, %(weight)s * least(greatest((dense - %(c0)s) / (1 - %(c0)s), 0), 1)
                          + (1 - %(weight)s) * least(lexical, 1) AS score
                FROM scored ORDER BY score DESC, id LIMIT {k}
            )
            SELECT best.id, best.metadata, best.score, best.dense, best.lexical, {passage}
            FROM best
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = best.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = best.document
            ORDER BY best.score DESC, best.id
        """).format(
            bm25=_bm25(collection),
            arm=_lexical_arm(collection, depth, where),
            chunks=collection.chunks,
            passages=collection.passages,
            passage=PASSAGE,
            where=where.sql,
            distance=distance,
            order=_exactly(distance) if exact else distance,
            depth=Literal(depth),
            k=Literal(k),
        ),
        {
            **_lexical_params(collection, words, how.k1, how.b),
            "embedding": vector(embedding, collection.spec.storage),
            "weight": how.weight,
            "c0": c0,
            **where.params,
        },
    )


def _bm25(collection: Collection) -> Composed:
    """CTEs: the query's lexemes with their idf, the attainable score, and every matching chunk's BM25.

    Robertson and Zaragoza, 2009, with Lucene's idf, ln(1 + (N - df + 0.5) / (df + 0.5)). N, df and the average length are
    those of this statement's snapshot; a passage's length and term counts lie in the postings' index.
    """
    return SQL("""
        corpus AS MATERIALIZED (
            SELECT sum(chunks)::float8 AS chunks, sum(length)::float8 / nullif(sum(chunks), 0)::float8 AS mean_length
            FROM howdah.corpus_stats WHERE tenant = %(tenant)s AND collection = %(collection)s
        ),
        terms AS MATERIALIZED (
            SELECT lexeme, (SELECT count(*) FROM {postings} AS o WHERE o.tenant = %(tenant)s AND o.lexeme = t.lexeme) AS df
            FROM unnest(tsvector_to_array(howdah.tsv({config}::regconfig, %(words)s))) AS t (lexeme)
        ),
        weights AS MATERIALIZED (
            SELECT lexeme, (%(k1)s + 1) * ln(1 + (chunks - df + 0.5) / (df + 0.5)) AS weight
            FROM terms CROSS JOIN corpus WHERE df > 0
        ),
        attainable AS MATERIALIZED (
            SELECT coalesce(sum((%(k1)s + 1) * ln(1 + (chunks - df + 0.5) / (df + 0.5))), 0) AS score
            FROM terms CROSS JOIN corpus
        ),
        bm25 AS MATERIALIZED (
            SELECT o.n, sum(w.weight * o.tf / (o.tf + %(k1)s * (1 - %(b)s + %(b)s * o.dl / mean_length))) AS score
            FROM weights AS w CROSS JOIN corpus
            JOIN {postings} AS o ON o.tenant = %(tenant)s AND o.lexeme = w.lexeme
            GROUP BY o.n
        )
    """).format(postings=collection.postings, config=Literal(collection.spec.config))


def _lexical_arm(collection: Collection, depth: int, where: Query) -> Composed:
    if where is EVERY_ROW:
        return SQL("SELECT n, score FROM bm25 ORDER BY score DESC, n LIMIT {}").format(Literal(depth))
    return SQL("""
        SELECT bm25.n, bm25.score FROM bm25 JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = bm25.n
        WHERE {where} ORDER BY bm25.score DESC, bm25.n LIMIT {depth}
    """).format(chunks=collection.chunks, where=where.sql, depth=Literal(depth))


def _lexical_params(collection: Collection, words: str, k1: float, b: float) -> dict[str, Any]:
    return {"tenant": collection.tenant, "collection": collection.id, "words": text(words), "k1": k1, "b": b}


def by_ids(collection: Collection, ids: list[str]) -> Query:
    """The chunks with these ids, in id order; unknown ids are left out."""
    return _plain_rows(collection, Query(SQL("c.id = ANY(%(ids)s::text[])"), {"ids": ids}), order=SQL("c.id"))


def _plain_rows(collection: Collection, where: Query, *, order: Composable) -> Query:
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
