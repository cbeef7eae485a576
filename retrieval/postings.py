"""The words of passages as SQL: their counts for the postings, and the collection's statistics."""

import random

from psycopg.sql import SQL, Composable, Composed, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.query import Query

SPLIT = 4
"""Rows of a lexeme that are read as quickly as one."""
FOLD_EVERY = 64
FOLD_KEY = 1_987_204_613
INDEXED = SQL("howdah.indexed_text(title, section, content)")


def words(collection: Collection, source: SQL) -> Composed:
    """Rows (n, lexeme, tf, dl) of the passages in `source` (n, content, tsv): from the tsvector where it counts them all.

    It stops at 16,383 positions and 255 a lexeme, neither of which 20,000 bytes without a lexeme at 255 can have reached:
    the densest text, "a-b c-d …", has three positions in four bytes.
    """
    return SQL("""
        SELECT s.n, u.lexeme, cardinality(u.positions) AS tf, m.dl
        FROM {source} AS s,
             LATERAL (SELECT sum(cardinality(positions))::int AS dl, max(cardinality(positions)) AS top
                      FROM unnest(s.tsv) OFFSET 0) AS m,
             unnest(s.tsv) AS u
        WHERE octet_length(s.content) <= 20000 AND m.top < 255
        UNION ALL
        SELECT s.n, l.lexeme, l.tf, sum(l.tf) OVER (PARTITION BY s.n)::int
        FROM {source} AS s,
             LATERAL (SELECT max(cardinality(positions)) AS top FROM unnest(s.tsv) OFFSET 0) AS m,
             howdah.long_lexemes({config}::regconfig, s.content) AS l
        WHERE octet_length(s.content) > 20000 OR m.top >= 255
    """).format(source=source, config=Literal(collection.spec.config))


def add_stats(chunks: Composable, length: Composable) -> Composed:
    return SQL("""
        INSERT INTO howdah.corpus_stats (tenant, collection, chunks, length)
        SELECT %(tenant)s, %(collection)s::bigint, delta.chunks, delta.length
        FROM (SELECT {} AS chunks, {} AS length) AS delta WHERE (delta.chunks, delta.length) <> (0, 0)
    """).format(chunks, length)


def add_terms(collection: Collection, counts: Composable) -> Composed:
    """An INSERT of what changes of the lexemes' document frequencies; `counts` is a query for (lexeme, df).

    In the lexemes' order, so that the index is written from left to right.
    """
    return SQL("""
        INSERT INTO {} (tenant, lexeme, df)
        SELECT %(tenant)s, lexeme, sum(df) FROM ({}) AS counts
        GROUP BY lexeme HAVING sum(df) <> 0 ORDER BY lexeme COLLATE "C"
    """).format(collection.terms, counts)


def fold_terms(collection: Collection) -> Query:
    """Sum the rows of a lexeme that has many into one, and drop what adds up to nothing. As `fold_stats`, only what this
    snapshot sees. Most lexemes are rare: up to SPLIT rows are left as they are.
    """
    return Query(
        SQL("""
            WITH split AS MATERIALIZED (
                SELECT lexeme FROM {terms} WHERE tenant = %(tenant)s
                GROUP BY lexeme HAVING count(*) > {split} OR sum(df) = 0
            ),
            folded AS (
                DELETE FROM {terms} AS t USING split WHERE t.tenant = %(tenant)s AND t.lexeme = split.lexeme
                RETURNING t.lexeme, t.df
            )
            {counted}
        """).format(
            terms=collection.terms,
            split=Literal(SPLIT),
            counted=add_terms(collection, SQL("SELECT lexeme, df FROM folded")),
        ),
        {"tenant": collection.tenant},
    )


def in_turn() -> bool:
    """Whether a write is one of those that fold: without maintenance, too, a search should not sum a year's writes."""
    return random.random() < 1 / FOLD_EVERY  # noqa: S311  nothing secret hangs on it


def fold_stats(collection: Collection) -> Query:
    """Sum the statistics' rows into one. Only rows that this snapshot sees: concurrent writers' stay.

    Where another transaction is folding them this one leaves them alone: nobody waits.
    """
    return Query(
        SQL("""
            WITH folded AS (
                DELETE FROM howdah.corpus_stats WHERE tenant = %(tenant)s AND collection = %(collection)s
                    AND (SELECT pg_try_advisory_xact_lock({key}, %(collection)s::bigint::integer))
                RETURNING chunks, length
            )
            INSERT INTO howdah.corpus_stats (tenant, collection, chunks, length)
            SELECT %(tenant)s, %(collection)s::bigint, sum(chunks), sum(length) FROM folded HAVING count(*) > 0
        """).format(key=Literal(FOLD_KEY)),
        {"tenant": collection.tenant, "collection": collection.id},
    )
