"""Every statement on `howdah.embedding_cache`, as pure functions.

Each names tenant, model and kind. A write is a transaction of one statement, so that nobody waits long for its locks,
and looks at the schema's version in it, so that an older program never writes to a newer schema.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from psycopg.sql import SQL

from howdah.retrieval.query import Query
from howdah.retrieval.schema import VERSION
from howdah.retrieval.types import Array

Kind = Literal["passage", "query"]

ROW_BYTES = 800
"""What a row takes on disk beside its numbers, both of its index entries included (measured; a test holds it)."""

WRITABLE = SQL("""
    (SELECT max(version) FROM howdah.migrations) = %(version)s
    AND (SELECT set_config('synchronous_commit', 'off', true) || set_config('lock_timeout', '1s', true)) IS NOT NULL
""")
"""The schema is this program's; and what a server that crashes may lose of a cache, and how long a row is waited for.

In the statement itself: set before it they would be trips more."""
MINE = SQL("c.tenant = %(tenant)s AND c.model = %(model)s AND c.kind = %(kind)s")


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The rows of one kind, of one model, of one tenant: what a bound is of."""

    tenant: str
    model: str
    kind: Kind

    @property
    def params(self) -> dict[str, object]:
        return {"tenant": self.tenant, "model": self.model, "kind": self.kind, "version": VERSION}


def find(shelf: Shelf, hashes: Sequence[bytes]) -> Query:
    """Rows (hash, embedding, old) of those that are there; `old`: not marked as used for a day."""
    return Query(
        SQL("""
            SELECT c.hash, c.embedding, c.used_at < now() - interval '1 day' AS old
            FROM howdah.embedding_cache AS c WHERE {mine} AND c.hash = ANY(%(hashes)s::bytea[])
        """).format(mine=MINE),
        {**shelf.params, "hashes": list(hashes)},
    )


def keep(shelf: Shelf, embeddings: Mapping[bytes, Array]) -> Query:
    """Write embeddings by hash; one that is there as something else, and so was not usable, is replaced.

    In hash order, so that two writers of the same texts never lock each other out.
    """
    return Query(
        SQL("""
            INSERT INTO howdah.embedding_cache AS c (tenant, model, kind, hash, embedding)
            SELECT %(tenant)s, %(model)s, %(kind)s, s.hash, s.embedding
            FROM unnest(%(hashes)s::bytea[], %(embeddings)s::bytea[]) AS s (hash, embedding)
            WHERE {writable} ORDER BY s.hash
            ON CONFLICT (tenant, model, kind, hash) DO UPDATE SET embedding = excluded.embedding, used_at = now()
            WHERE c.embedding <> excluded.embedding
        """).format(writable=WRITABLE),
        {**shelf.params, "hashes": list(embeddings), "embeddings": [encode(item) for item in embeddings.values()]},
    )


def touch(shelf: Shelf, hashes: Sequence[bytes]) -> Query:
    """Mark rows as used today; those that another is marking or evicting are left to it."""
    return Query(
        SQL("""
            WITH free AS MATERIALIZED (
                SELECT c.ctid FROM howdah.embedding_cache AS c
                WHERE {mine} AND c.hash = ANY(%(hashes)s::bytea[]) AND c.used_at < now() - interval '1 day' AND {writable}
                FOR UPDATE SKIP LOCKED
            )
            UPDATE howdah.embedding_cache AS c SET used_at = now(), hits = c.hits + 1
            WHERE c.ctid = ANY(ARRAY(SELECT ctid FROM free))
        """).format(mine=MINE, writable=WRITABLE),
        {**shelf.params, "hashes": list(hashes)},
    )


def evict(shelf: Shelf, *, most: int) -> Query:
    """Where there are more than `most` rows, delete those unused for longest.

    One at a time does it: two that counted the same surplus would delete it twice over.
    """
    return Query(
        SQL("""
            WITH alone AS MATERIALIZED (
                SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0)) AS mine
            ),
            counted AS MATERIALIZED (
                SELECT count(*) AS rows FROM howdah.embedding_cache AS c WHERE {mine} AND (SELECT mine FROM alone)
            ),
            old AS MATERIALIZED (
                SELECT c.ctid FROM howdah.embedding_cache AS c WHERE {mine} AND {writable}
                ORDER BY c.used_at
                LIMIT (SELECT greatest(rows - %(most)s, 0) FROM counted)
                FOR UPDATE SKIP LOCKED
            )
            DELETE FROM howdah.embedding_cache AS c WHERE c.ctid = ANY(ARRAY(SELECT ctid FROM old))
        """).format(mine=MINE, writable=WRITABLE),
        {
            **shelf.params,
            "lock": f"howdah cache {shelf.tenant!r} {shelf.model!r} {shelf.kind}",
            "most": most,
        },
    )


def listing(tenant: str) -> Query:
    """Rows and bytes by model and kind, largest first, and when they were first and last used."""
    return Query(
        SQL("""
            SELECT c.model, c.kind, count(*) AS rows, sum(octet_length(c.embedding) + {row})::bigint AS bytes,
                   count(*) FILTER (WHERE c.hits > 0) AS used_again, min(c.used_at) AS oldest, max(c.used_at) AS newest
            FROM howdah.embedding_cache AS c WHERE c.tenant = %(tenant)s GROUP BY c.model, c.kind
            ORDER BY bytes DESC, c.model, c.kind
        """).format(row=ROW_BYTES),
        {"tenant": tenant},
    )


def clear(tenant: str, model: str | None, *, most: int) -> Query:
    """Delete up to `most` rows of the tenant, or of one model by its name with or without the digest."""
    return Query(
        SQL("""
            DELETE FROM howdah.embedding_cache AS c WHERE c.ctid = ANY(ARRAY(
                SELECT c.ctid FROM howdah.embedding_cache AS c
                WHERE c.tenant = %(tenant)s
                  AND (%(model)s::text IS NULL OR c.model = %(model)s OR starts_with(c.model, %(model)s || '#'))
                LIMIT {most} FOR UPDATE SKIP LOCKED))
        """).format(most=most),
        {"tenant": tenant, "model": model},
    )


def encode(embedding: Array) -> bytes:
    return embedding.astype("<f4", copy=False).tobytes()


def decode(data: bytes) -> Array | None:
    """The embedding, bit for bit; None for what cannot be one."""
    if len(data) % 4 or not data:
        return None
    embedding: Array = np.frombuffer(data, dtype="<f4").astype(np.float32)
    return embedding if np.isfinite(embedding).all() else None
