"""Statements on a collection's documents: what is stored, what replaces it, what goes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg.sql import SQL

from howdah.retrieval.collection import Collection
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.types import Chunk, Metadata

HERE = SQL("howdah.documents")


@dataclass(frozen=True, kw_only=True)
class DocumentRow:
    """A document as it is stored. `made_by` names loader, chunker and model: another value re-does the chunks."""

    root: str
    source: str
    content_hash: bytes
    made_by: str
    text: str | None
    title: str | None = None
    media_type: str | None = None
    size: int | None = None
    modified_at: datetime | None = None
    metadata: Metadata = field(default_factory=dict)


def stored(collection: Collection, roots: Sequence[str], sources: Sequence[str] = ()) -> Query:
    """What is there of these roots and under these names."""
    return Query(
        SQL("""
            SELECT root, source, content_hash, made_by, size, modified_at FROM howdah.documents
            WHERE tenant = %(tenant)s AND collection = %(collection)s
              AND (root = ANY(%(roots)s) OR source = ANY(%(sources)s))
        """),
        {"tenant": collection.tenant, "collection": collection.id, "roots": list(roots), "sources": list(sources)},
    )


def put(collection: Collection, row: DocumentRow) -> Query:
    """Insert or replace the document's row, which locks it until the transaction ends; returns its id."""
    return Query(
        SQL("""
            INSERT INTO howdah.documents AS d
                (tenant, collection, root, source, content_hash, made_by, size, modified_at, title, media_type, metadata, text)
            VALUES (%(tenant)s, %(collection)s, %(root)s, %(source)s, %(content_hash)s, %(made_by)s, %(size)s, %(modified_at)s,
                    %(title)s, %(media_type)s, %(metadata)s::text::jsonb, %(text)s)
            ON CONFLICT (tenant, collection, source) DO UPDATE
            SET (root, content_hash, made_by, size, modified_at, title, media_type, metadata, text, synced_at) =
                (excluded.root, excluded.content_hash, excluded.made_by, excluded.size, excluded.modified_at,
                 excluded.title, excluded.media_type, excluded.metadata, excluded.text, now())
            RETURNING id
        """),
        {
            "tenant": collection.tenant,
            "collection": collection.id,
            "root": row.root,
            "source": row.source,
            "content_hash": row.content_hash,
            "made_by": row.made_by,
            "size": row.size,
            "modified_at": row.modified_at,
            "title": row.title,
            "media_type": row.media_type,
            "metadata": json.dumps(row.metadata),
            "text": row.text,
        },
    )


def touch(collection: Collection, stamps: Mapping[str, tuple[int | None, datetime | None]]) -> Query:
    """Note the size and time of files whose content is the same as before, by source."""
    return Query(
        SQL("""
            UPDATE howdah.documents AS d SET (size, modified_at) = (s.size, s.modified_at)
            FROM (
                SELECT d.id, s.size, s.modified_at FROM howdah.documents AS d
                JOIN unnest(%(sources)s::text[], %(sizes)s::bigint[], %(times)s::timestamptz[]) AS s (source, size, modified_at)
                  ON d.tenant = %(tenant)s AND d.collection = %(collection)s AND d.source = s.source
                ORDER BY d.source FOR UPDATE OF d
            ) AS s
            WHERE d.tenant = %(tenant)s AND d.id = s.id
        """),
        {
            "tenant": collection.tenant,
            "collection": collection.id,
            "sources": list(stamps),
            "sizes": [size for size, _ in stamps.values()],
            "times": [time for _, time in stamps.values()],
        },
    )


def rename(collection: Collection, old: str, *, source: str, root: str) -> Query:
    """Give the document another source, and the lock on it to this transaction; no row where it is gone by now."""
    return Query(
        SQL("""
            UPDATE howdah.documents SET (source, root) = (%(source)s, %(root)s)
            WHERE tenant = %(tenant)s AND collection = %(collection)s AND source = %(old)s RETURNING id
        """),
        {"tenant": collection.tenant, "collection": collection.id, "source": source, "root": root, "old": old},
    )


def rename_chunks(collection: Collection, document: int, ids: Mapping[str, str]) -> Query:
    """Give the document's chunks other ids; `ids` maps old ones to new ones. They keep their rows and vectors."""
    return Query(
        SQL("""
            UPDATE {chunks} AS c SET id = s.new
            FROM unnest(%(old)s::text[], %(new)s::text[]) AS s (old, new)
            WHERE c.tenant = %(tenant)s AND c.document = %(document)s AND c.id = s.old
        """).format(chunks=collection.chunks),
        {"tenant": collection.tenant, "document": document, "old": list(ids), "new": list(ids.values())},
    )


def chunk_ids(collection: Collection, source: str) -> Query:
    """The ids of the source's chunks."""
    return Query(
        SQL("""
            SELECT c.id FROM {chunks} AS c JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
            WHERE c.tenant = %(tenant)s AND d.collection = %(collection)s AND d.source = %(source)s
        """).format(chunks=collection.chunks),
        {"tenant": collection.tenant, "collection": collection.id, "source": source},
    )


def lock_chunks(collection: Collection, document: int) -> Query:
    """The ids of a document's chunks, which stay locked: in id order, as every writer of chunks locks them."""
    return Query(
        SQL("""
            SELECT c.id FROM {chunks} AS c
            WHERE c.tenant = %(tenant)s AND c.document = %(document)s ORDER BY c.id FOR UPDATE
        """).format(chunks=collection.chunks),
        {"tenant": collection.tenant, "document": document},
    )


def move(collection: Collection, chunks: Sequence[Chunk]) -> Query:
    """Set the places of chunks whose text stayed the same: offsets, page and ordinal."""
    return Query(
        SQL("""
            UPDATE {passages} AS p SET ordinal = s.ordinal, page = s.page, start_at = s.start_at, end_at = s.end_at
            FROM unnest(%(ids)s::text[], %(ordinals)s::int[], %(pages)s::int[], %(starts)s::int[], %(ends)s::int[])
                AS s (id, ordinal, page, start_at, end_at)
            JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.id = s.id
            WHERE p.tenant = %(tenant)s AND p.n = c.n
              AND (p.ordinal, p.page, p.start_at, p.end_at) IS DISTINCT FROM (s.ordinal, s.page, s.start_at, s.end_at)
        """).format(passages=collection.passages, chunks=collection.chunks),
        {
            "tenant": collection.tenant,
            "ids": [c.id for c in chunks],
            "ordinals": [c.ordinal for c in chunks],
            "pages": [c.page for c in chunks],
            "starts": [c.start for c in chunks],
            "ends": [c.end for c in chunks],
        },
    )


def describe(collection: Collection, ids: Sequence[str], metadata: Sequence[str]) -> Query:
    """Set the metadata of chunks that keep their text."""
    return Query(
        SQL("""
            UPDATE {chunks} AS c SET metadata = s.metadata
            FROM (SELECT id, metadata::jsonb FROM unnest(%(ids)s::text[], %(metadata)s::text[]) AS s (id, metadata)) AS s
            WHERE c.tenant = %(tenant)s AND c.id = s.id AND c.metadata <> s.metadata
        """).format(chunks=collection.chunks),
        {"tenant": collection.tenant, "ids": list(ids), "metadata": list(metadata)},
    )


def remove(collection: Collection, sources: Sequence[str]) -> Query:
    """Delete the documents' rows; their ids, so that their chunks can go in the same transaction."""
    return Query(
        SQL("""
            DELETE FROM howdah.documents
            WHERE tenant = %(tenant)s AND collection = %(collection)s AND source = ANY(%(sources)s) RETURNING id
        """),
        {"tenant": collection.tenant, "collection": collection.id, "sources": list(sources)},
    )


def lock_those_of(collection: Collection, where: Condition) -> Query:
    """The ids of the documents with chunks that match, which stay locked: before their chunks, as a sync locks them."""
    return Query(
        SQL("""
            SELECT d.id FROM howdah.documents AS d
            WHERE d.tenant = %(tenant)s AND d.collection = %(of_collection)s AND d.id IN (
                SELECT c.document FROM {} AS c WHERE c.tenant = %(tenant)s AND c.document IS NOT NULL AND {}
            )
            ORDER BY d.source FOR UPDATE OF d
        """).format(collection.chunks, where.sql),
        {**where.params, "tenant": collection.tenant, "of_collection": collection.id},
    )


def lock(collection: Collection, sources: Sequence[str] | None) -> Query:
    """The ids of these documents, or of all, which stay locked: in the order of their sources, as others lock them."""
    return Query(
        SQL("""
            SELECT d.id FROM howdah.documents AS d
            WHERE d.tenant = %(tenant)s AND d.collection = %(collection)s
              AND (%(sources)s::text[] IS NULL OR d.source = ANY(%(sources)s::text[]))
            ORDER BY d.source FOR UPDATE OF d
        """),
        {
            "tenant": collection.tenant,
            "collection": collection.id,
            "sources": None if sources is None else list(sources),
        },
    )


def remove_empty(collection: Collection, documents: Sequence[int]) -> Query:
    """Delete those of these documents that have no chunk left; their sources."""
    return Query(
        SQL("""
            DELETE FROM howdah.documents AS d
            WHERE d.tenant = %(tenant)s AND d.collection = %(collection)s AND d.id = ANY(%(documents)s::bigint[])
              AND NOT EXISTS (SELECT FROM {} AS c WHERE c.tenant = %(tenant)s AND c.document = d.id)
            RETURNING d.source
        """).format(collection.chunks),
        {"tenant": collection.tenant, "collection": collection.id, "documents": list(documents)},
    )


def every_source(collection: Collection) -> Query:
    return Query(
        SQL("SELECT source FROM howdah.documents WHERE tenant = %(tenant)s AND collection = %(collection)s"),
        {"tenant": collection.tenant, "collection": collection.id},
    )


def text_of(collection: Collection, source: str) -> Query:
    """A document's stored text and title."""
    return Query(
        SQL("""
            SELECT source, title, media_type, text FROM howdah.documents
            WHERE tenant = %(tenant)s AND collection = %(collection)s AND source = %(source)s
        """),
        {"tenant": collection.tenant, "collection": collection.id, "source": source},
    )


def sources_like(collection: Collection, name: str, *, among: SQL = HERE) -> Query:
    """The sources that a person may mean: equal to `name`, below it as a folder, or ending in it."""
    return Query(
        SQL("""
            SELECT source FROM {}
            WHERE tenant = %(tenant)s AND collection = %(collection)s
              AND (source = %(name)s OR starts_with(source, %(name)s || '/')
                   OR right(source, length(%(name)s) + 1) = '/' || %(name)s)
            ORDER BY source
        """).format(among),
        {"tenant": collection.tenant, "collection": collection.id, "name": name.rstrip("/")},
    )
