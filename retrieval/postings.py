"""The words of passages as SQL: their counts for the postings, and the collection's statistics."""

from psycopg.sql import SQL, Composable, Composed, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.query import Query

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


def fold_stats(collection: Collection) -> Query:
    """Sum the statistics' rows into one. Only rows that this snapshot sees: concurrent writers' stay."""
    return Query(
        SQL("""
            WITH folded AS (
                DELETE FROM howdah.corpus_stats WHERE tenant = %(tenant)s AND collection = %(collection)s
                RETURNING chunks, length
            )
            INSERT INTO howdah.corpus_stats (tenant, collection, chunks, length)
            SELECT %(tenant)s, %(collection)s::bigint, sum(chunks), sum(length) FROM folded HAVING count(*) > 0
        """),
        {"tenant": collection.tenant, "collection": collection.id},
    )
