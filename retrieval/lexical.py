"""BM25 over the postings, as pure functions from a collection to a statement."""

from typing import Any

from psycopg.sql import SQL, Composed, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.queries import PASSAGE
from howdah.retrieval.query import EVERY_ROW, Condition, Query
from howdah.retrieval.values import text

K1, B = 1.2, 0.75


def lexical(
    collection: Collection, words: str, *, k: int, where: Condition = EVERY_ROW, k1: float = K1, b: float = B
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
            bm25=bm25(collection),
            arm=arm(collection, k, where),
            chunks=collection.chunks,
            passages=collection.passages,
            passage=PASSAGE,
        ),
        {**parameters(collection, words, k1, b), **where.params},
    )


def bm25(collection: Collection) -> Composed:
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


def arm(collection: Collection, depth: int, where: Condition) -> Composed:
    if where is EVERY_ROW:
        return SQL("SELECT n, score FROM bm25 ORDER BY score DESC, n LIMIT {}").format(Literal(depth))
    return SQL("""
        SELECT bm25.n, bm25.score FROM bm25 JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = bm25.n
        WHERE {where} ORDER BY bm25.score DESC, bm25.n LIMIT {depth}
    """).format(chunks=collection.chunks, where=where.sql, depth=Literal(depth))


def parameters(collection: Collection, words: str, k1: float, b: float) -> dict[str, Any]:
    return {"tenant": collection.tenant, "collection": collection.id, "words": text(words), "k1": k1, "b": b}
