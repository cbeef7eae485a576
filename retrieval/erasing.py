"""Statements on what rests on deleted passages: traces, chat messages, embeddings that are kept, failures."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Identifier

from howdah.retrieval.collection import SCHEMA, Collection
from howdah.retrieval.queries import set_local
from howdah.retrieval.query import Condition, Query


def doomed(collection: Collection, where: Condition) -> Query:
    """The chunks that match, with their texts."""
    return Query(
        SQL("""
            SELECT c.n, c.id, d.source, p.title, p.section, p.content
            FROM {chunks} AS c JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
            WHERE c.tenant = %(tenant)s AND {where}
        """).format(chunks=collection.chunks, passages=collection.passages, where=where.sql),
        {"tenant": collection.tenant, **where.params},
    )


def former(other: Collection, numbers: Sequence[int]) -> list[Query]:
    """Delete these chunks of the table that another embedding model's vectors are kept in, which takes no other writes."""
    return [
        set_local({"howdah.reembedding": "on"}),
        Query(
            SQL("DELETE FROM {} AS c WHERE c.tenant = %(tenant)s AND c.n = ANY(%(numbers)s::bigint[])").format(
                other.chunks
            ),
            {"tenant": other.tenant, "numbers": list(numbers)},
        ),
    ]


def living(collection: Collection, ids: Sequence[str]) -> Query:
    """Those of these ids that chunks have."""
    return Query(
        SQL("SELECT c.id FROM {} AS c WHERE c.tenant = %(tenant)s AND c.id = ANY(%(ids)s::text[])").format(
            collection.chunks
        ),
        {"tenant": collection.tenant, "ids": list(ids)},
    )


# -- traces and messages


def traces(collection: Collection) -> Query:
    """Traces of the collection, and those that know none, in the order that they are written in."""
    return Query(
        SQL("""
            SELECT t.id, t.session, t.answer, t.hits, t.citations, t.details #> '{{search,filter}}' AS filter
            FROM howdah.traces AS t
            WHERE t.tenant = %(tenant)s AND (t.collection = %(collection)s OR t.collection IS NULL) ORDER BY t.id
        """).format(),
        {"tenant": collection.tenant, "collection": collection.id},
    )


def messages(tenant: str) -> Query:
    """All messages but a person's own, with the collection that their conversation began with."""
    return Query(
        SQL("""
            SELECT m.conversation, m.n, m.message, c.collection
            FROM howdah.messages AS m JOIN howdah.conversations AS c ON c.tenant = m.tenant AND c.id = m.conversation
            WHERE m.tenant = %(tenant)s AND m.message ->> 'type' <> 'human' ORDER BY m.conversation, m.n
        """),
        {"tenant": tenant},
    )


def erase_trace(tenant: str, id: str, changed: Mapping[str, Any]) -> Query:
    return Query(
        SQL("""
            UPDATE howdah.traces SET answer = %(answer)s, rewritten = %(rewritten)s, hits = %(hits)s::text::jsonb,
                                     citations = %(citations)s::text::jsonb, details = details #- '{{search,filter}}',
                                     erased_at = now()
            WHERE tenant = %(tenant)s AND id = %(id)s
        """).format(),
        {
            "tenant": tenant,
            "id": id,
            "answer": changed["answer"],
            "rewritten": changed["rewritten"],
            "hits": json.dumps(changed["hits"]),
            "citations": json.dumps(changed["citations"]),
        },
    )


def erase_rewritten(collection: Collection, sessions: Sequence[str]) -> Query:
    """Take out questions as they were searched: such a one has names of the answers before it."""
    return Query(
        SQL("""
            UPDATE howdah.traces SET rewritten = NULL, erased_at = now()
            WHERE tenant = %(tenant)s AND rewritten IS NOT NULL AND (session = ANY(%(sessions)s::text[])
                  OR (session IS NULL AND (collection = %(collection)s OR collection IS NULL)))
        """),
        {"tenant": collection.tenant, "collection": collection.id, "sessions": list(sessions)},
    )


def erase_message(tenant: str, conversation: str, n: int, message: Mapping[str, Any]) -> Query:
    return Query(
        SQL("""
            UPDATE howdah.messages SET message = %(message)s::text::jsonb
            WHERE tenant = %(tenant)s AND conversation = %(conversation)s AND n = %(n)s
        """),
        {"tenant": tenant, "conversation": conversation, "n": n, "message": json.dumps(message, ensure_ascii=False)},
    )


# -- embeddings that are kept


def cached(tenant: str, hashes: Sequence[bytes]) -> Query:
    """Those of these hashes under which a passage's embedding is kept, of whichever model."""
    return Query(
        SQL("""
            SELECT DISTINCT c.hash FROM howdah.embedding_cache AS c
            WHERE c.tenant = %(tenant)s AND c.kind = 'passage' AND c.hash = ANY(%(hashes)s::bytea[])
        """),
        {"tenant": tenant, "hashes": list(hashes)},
    )


def collections(tenant: str) -> Query:
    """Number and name of each of the tenant's collections."""
    return Query(
        SQL("SELECT id, name FROM howdah.collections WHERE tenant = %(tenant)s ORDER BY id"), {"tenant": tenant}
    )


def held(tenant: str, collection: int, contents: Sequence[bytes]) -> Query:
    """Those of these contents, by their SHA-256, that passages of the collection have."""
    return Query(
        SQL("""
            SELECT DISTINCT p.hash FROM (
                SELECT sha256(convert_to(p.content, 'UTF8')) AS hash FROM {} AS p WHERE p.tenant = %(tenant)s
            ) AS p WHERE p.hash = ANY(%(contents)s::bytea[])
        """).format(Identifier(SCHEMA, f"passages_{collection}")),
        {"tenant": tenant, "contents": list(contents)},
    )


def uncache(tenant: str, hashes: Sequence[bytes]) -> Query:
    return Query(
        SQL("""
            DELETE FROM howdah.embedding_cache AS c
            WHERE c.tenant = %(tenant)s AND c.kind = 'passage' AND c.hash = ANY(%(hashes)s::bytea[])
        """),
        {"tenant": tenant, "hashes": list(hashes)},
    )
