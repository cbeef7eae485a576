"""Statements on the sources that could not be loaded, which a collection keeps until they can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL

from howdah.retrieval import documents
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import LoadError
from howdah.retrieval.query import Query

if TYPE_CHECKING:
    from howdah.retrieval.sources import Source


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A source that gave no text. `content_hash` is None where another try may go otherwise though nothing changed."""

    source: str
    error: str
    hint: str = ""
    content_hash: bytes | None = None
    made_by: str | None = None

    @classmethod
    def by(cls, error: LoadError, source: "Source | None", made_by: str) -> "Failure":
        """Of an error that a source met; without one it was met on the way to the source."""
        kept = source if error.lasting else None
        return cls(
            source=error.source, error=error.reason, hint=error.hint,
            content_hash=kept.content_hash if kept else None, made_by=made_by if kept else None,
        )  # fmt: skip

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Failure":
        content_hash = row["content_hash"]
        return cls(
            source=row["source"], error=row["error"], hint=row["hint"], made_by=row["made_by"],
            content_hash=None if content_hash is None else bytes(content_hash),
        )  # fmt: skip


def put(collection: Collection, failures: Sequence[Failure]) -> Query:
    """Insert or replace them, in the order of their sources, as every writer does."""
    listed = sorted({item.source: item for item in failures}.values(), key=lambda item: item.source)
    return Query(
        SQL("""
            INSERT INTO howdah.failures (tenant, collection, source, error, hint, content_hash, made_by)
            SELECT %(tenant)s, %(collection)s::bigint, s.*
            FROM unnest(%(sources)s::text[], %(errors)s::text[], %(hints)s::text[], %(hashes)s::bytea[], %(makers)s::text[]) AS s
            ON CONFLICT (tenant, collection, source) DO UPDATE
            SET (error, hint, content_hash, made_by, failed_at) =
                (excluded.error, excluded.hint, excluded.content_hash, excluded.made_by, now())
        """),
        {
            "tenant": collection.tenant,
            "collection": collection.id,
            "sources": [item.source for item in listed],
            "errors": [item.error for item in listed],
            "hints": [item.hint for item in listed],
            "hashes": [item.content_hash for item in listed],
            "makers": [item.made_by for item in listed],
        },
    )


def clear(collection: Collection, sources: Sequence[str]) -> Query:
    """Forget those of these sources."""
    return Query(
        SQL("""
            DELETE FROM howdah.failures AS f USING (
                SELECT source FROM howdah.failures
                WHERE tenant = %(tenant)s AND collection = %(collection)s AND source = ANY(%(sources)s)
                ORDER BY source FOR UPDATE
            ) AS gone
            WHERE f.tenant = %(tenant)s AND f.collection = %(collection)s AND f.source = gone.source
        """),
        {"tenant": collection.tenant, "collection": collection.id, "sources": list(sources)},
    )


def stored(collection: Collection) -> Query:
    """All of the collection's, in source order."""
    return Query(
        SQL("""
            SELECT source, error, hint, content_hash, made_by, failed_at FROM howdah.failures
            WHERE tenant = %(tenant)s AND collection = %(collection)s ORDER BY source
        """),
        {"tenant": collection.tenant, "collection": collection.id},
    )


def sources_like(collection: Collection, name: str) -> Query:
    """As `documents.sources_like`, of sources that could not be loaded; those of an archive's members begin with it."""
    return documents.sources_like(collection, name, among=SQL("howdah.failures"))
