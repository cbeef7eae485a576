"""Statements that draw passages for test questions, and count where words stand together. Pure functions."""

from psycopg.sql import SQL, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.queries import PASSAGE
from howdah.retrieval.query import Query


def drawn(collection: Collection, *, seed: int, limit: int) -> Query:
    """At most `limit` passages of documents, in an order that the seed decides: one of each document before a second of any.

    The order of documents hangs on their sources and that of their passages on their ids, so that the same collection and
    seed give the same passages. Rows added through the API have no place in a document and are left out.
    """
    return Query(
        SQL("""
            SELECT c.id, c.metadata, 0::float8 AS score, {passage}
            FROM (
                SELECT c.n, row_number() OVER (PARTITION BY c.document ORDER BY hashtextextended(c.id, %(seed)s)) AS turn,
                       hashtextextended(d.source, %(seed)s) AS place
                FROM {chunks} AS c
                JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n AND p.start_at IS NOT NULL
                JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
                WHERE c.tenant = %(tenant)s
                ORDER BY turn, place LIMIT %(limit)s
            ) AS chosen
            JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = chosen.n
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
            ORDER BY chosen.turn, chosen.place
        """).format(chunks=collection.chunks, passages=collection.passages, passage=PASSAGE),
        {"tenant": collection.tenant, "seed": seed, "limit": limit},
    )


def together(collection: Collection, words: list[str], *, most: int) -> Query:
    """For each text of `words`, in their order: in how many documents one passage holds all of its words.

    No more than `most` passages are looked at for a text. A row added through the API counts as a document.
    """
    return Query(
        SQL("""
            SELECT asked.place, (
                SELECT count(DISTINCT coalesce(c.document, -c.n)) FROM (
                    SELECT p.n FROM {passages} AS p
                    WHERE p.tenant = %(tenant)s AND p.tsv @@ plainto_tsquery({config}::regconfig, asked.words)
                    LIMIT %(most)s
                ) AS held
                JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = held.n
            ) AS documents
            FROM unnest(%(words)s::text[]) WITH ORDINALITY AS asked (words, place) ORDER BY asked.place
        """).format(passages=collection.passages, chunks=collection.chunks, config=Literal(collection.spec.config)),
        {"tenant": collection.tenant, "words": words, "most": most},
    )


def hashes(collection: Collection, sources: list[str]) -> Query:
    """The content hash of each of these documents."""
    return Query(
        SQL("""
            SELECT source, encode(content_hash, 'hex') AS hash FROM howdah.documents
            WHERE tenant = %(tenant)s AND collection = %(collection)s AND source = ANY(%(sources)s)
        """),
        {"tenant": collection.tenant, "collection": collection.id, "sources": sources},
    )


def documents(collection: Collection) -> Query:
    """How many documents there are."""
    return Query(
        SQL("""
            SELECT count(*) AS documents FROM howdah.documents
            WHERE tenant = %(tenant)s AND collection = %(collection)s
        """),
        {"tenant": collection.tenant, "collection": collection.id},
    )
