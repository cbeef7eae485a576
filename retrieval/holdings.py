"""What a collection holds: how much, under which names, and one document's chunks with their vectors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg.sql import SQL

from howdah.retrieval import queries
from howdah.retrieval.collection import Collection
from howdah.retrieval.query import Query
from howdah.retrieval.rows import hit
from howdah.retrieval.store import GONE
from howdah.retrieval.types import Array, Hit
from howdah.retrieval.vectorstore import PGVector
from howdah.retrieval.wire import decode

MOST_NAMES = 20_000
MOST_PARTS = 5_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Holdings:
    """How many documents and chunks there are, and the first few sources by name."""

    collection: str
    documents: int = 0
    chunks: int = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """What a document is called."""

    source: str
    title: str | None = None


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A document's chunks in their order, and the vector of each: shape (n, d)."""

    hits: tuple[Hit, ...]
    embeddings: Array


def holdings(vectorstore: PGVector) -> Holdings:
    """What is in the store's collection; zeros where there is none."""
    collection = vectorstore.store.find(vectorstore.collection_name)
    rows = _rows(vectorstore, counts(collection)) if collection else []
    return _holdings(vectorstore.collection_name, rows)


async def aholdings(vectorstore: PGVector) -> Holdings:
    collection = await vectorstore.astore.find(vectorstore.collection_name)
    rows = await _arows(vectorstore, counts(collection)) if collection else []
    return _holdings(vectorstore.collection_name, rows)


def names(vectorstore: PGVector) -> list[Name]:
    """The documents' sources and titles by source, the first 20,000; chunks added through the API have none."""
    collection = vectorstore.store.find(vectorstore.collection_name)
    return [Name(**row) for row in _rows(vectorstore, listed(collection))] if collection else []


async def anames(vectorstore: PGVector) -> list[Name]:
    collection = await vectorstore.astore.find(vectorstore.collection_name)
    return [Name(**row) for row in await _arows(vectorstore, listed(collection))] if collection else []


def parts(vectorstore: PGVector, source: str) -> Parts:
    """The chunks of the document `source`, or the rows added through the API with that `source` in their metadata.

    Such rows are in the order of `page` and `start_index`, as LangChain's loaders and splitters call them.
    """
    collection = vectorstore.store.find(vectorstore.collection_name)
    return _parts(_rows(vectorstore, of_source(collection, source)) if collection else [])


async def aparts(vectorstore: PGVector, source: str) -> Parts:
    collection = await vectorstore.astore.find(vectorstore.collection_name)
    return _parts(await _arows(vectorstore, of_source(collection, source)) if collection else [])


def counts(collection: Collection) -> Query:
    """One row: documents, chunks, and the first five sources."""
    return Query(
        SQL("""
            SELECT (SELECT count(*) FROM howdah.documents AS d
                    WHERE d.tenant = %(tenant)s AND d.collection = %(collection)s) AS documents,
                   (SELECT coalesce(sum(s.chunks), 0)::bigint FROM howdah.corpus_stats AS s
                    WHERE s.tenant = %(tenant)s AND s.collection = %(collection)s) AS chunks,
                   ARRAY(SELECT d.source FROM howdah.documents AS d
                         WHERE d.tenant = %(tenant)s AND d.collection = %(collection)s ORDER BY d.source LIMIT 5) AS sources
        """),
        {"tenant": collection.tenant, "collection": collection.id},
    )


def listed(collection: Collection) -> Query:
    return Query(
        SQL("""
            SELECT source, title FROM howdah.documents
            WHERE tenant = %(tenant)s AND collection = %(collection)s ORDER BY source LIMIT %(most)s
        """),
        {"tenant": collection.tenant, "collection": collection.id, "most": MOST_NAMES},
    )


def of_source(collection: Collection, source: str) -> Query:
    """The chunks in the document's order, the first 5,000, with their vectors."""
    search = Query(
        SQL("""
            SELECT c.id, c.metadata, 0::float8 AS score, {passage}
            FROM {chunks} AS c
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
            WHERE c.tenant = %(tenant)s AND (
                c.document = (SELECT id FROM howdah.documents WHERE tenant = %(tenant)s AND collection = %(collection)s
                              AND source = %(source)s)
                OR (c.document IS NULL AND c.metadata @> %(named)s::text::jsonb))
            ORDER BY p.ordinal NULLS LAST, p.start_at NULLS LAST, c.n LIMIT %(most)s
        """).format(chunks=collection.chunks, passages=collection.passages, passage=queries.PASSAGE),
        {
            "tenant": collection.tenant,
            "collection": collection.id,
            "source": source,
            "named": json.dumps({"source": source}),
            "most": MOST_PARTS,
        },
    )
    return queries.with_vectors(collection, search)


def _holdings(name: str, rows: Sequence[dict[str, Any]]) -> Holdings:
    if not rows:
        return Holdings(collection=name)
    (row,) = rows
    return Holdings(collection=name, documents=row["documents"], chunks=row["chunks"], sources=tuple(row["sources"]))


def _parts(rows: Sequence[dict[str, Any]]) -> Parts:
    if not rows:
        return Parts(hits=(), embeddings=np.zeros((0, 0), dtype=np.float32))
    ordered = sorted(rows, key=_place)
    return Parts(hits=tuple(map(hit, ordered)), embeddings=np.stack([decode(row["embedding"]) for row in ordered]))


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    """Documents' chunks come in order and keep it."""
    if row["start"] is not None:
        return 0, 0
    page, start = (row["metadata"].get(key) for key in ("page", "start_index"))
    return page if isinstance(page, int) else 0, start if isinstance(start, int) else 0


def _rows(vectorstore: PGVector, query: Query) -> list[dict[str, Any]]:
    try:
        return vectorstore.store.rows(query)
    except GONE:  # dropped meanwhile
        return []


async def _arows(vectorstore: PGVector, query: Query) -> list[dict[str, Any]]:
    try:
        return await vectorstore.astore.rows(query)
    except GONE:
        return []
