"""Statements on `howdah.conversations` and `howdah.messages`, and the form in which a chat message is stored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, message_to_dict, messages_from_dict
from psycopg.sql import SQL

from howdah.retrieval import values
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Query

TITLE_LENGTH = 80
ANSWER_KEY = "howdah"
"""Under it an answer's message keeps, in its response_metadata, `citations` (each with id, source and quote), `refused`,
`model`, `note` and `collection`; a question's message that is small talk keeps `small`."""
Stored = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """One conversation as a list shows it; `messages` is how many it has."""

    id: str
    title: str | None
    collection: str | None
    messages: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Which conversation, and what its row says where this is its first message."""

    tenant: str
    id: str
    title: str | None = None
    collection: str | None = None


def to_json(messages: Sequence[BaseMessage]) -> list[str]:
    """Each message as JSON text of LangChain's dict form.

    NUL and lone surrogates become U+FFFD, as in `values`. Raises InvalidInput for what is no message, or has no form
    in JSON.
    """
    for place, message in enumerate(messages):
        if not isinstance(message, BaseMessage):
            raise InvalidInput(f"message {place} is {type(message).__name__} and must be a LangChain message")
    return [
        json.dumps(values.json_value(message_to_dict(message), where=f"message {place}"), ensure_ascii=False)
        for place, message in enumerate(messages)
    ]


def from_rows(rows: Sequence[Stored]) -> list[BaseMessage]:
    """The messages of `newest`'s rows, oldest first."""
    return messages_from_dict([row["message"] for row in reversed(rows)])


def title_of(messages: Sequence[BaseMessage]) -> str | None:
    """The first words of the first human message that is no small talk; None where there is none, or it has no text."""
    first = next((message for message in messages if isinstance(message, HumanMessage) and not _small(message)), None)
    words = " ".join(values.text(str(first.text)).split()) if first is not None else ""
    if len(words) > TITLE_LENGTH:
        cut, space, _ = words[:TITLE_LENGTH].rpartition(" ")
        words = f"{cut if space and len(cut) > TITLE_LENGTH // 2 else words[: TITLE_LENGTH - 1]}…"
    return words or None


def _small(message: BaseMessage) -> bool:
    kept = message.response_metadata.get(ANSWER_KEY)
    return isinstance(kept, dict) and bool(kept.get("small"))


def check_title(title: str) -> str:
    """A title as stored. Raises InvalidInput for a blank one."""
    words = " ".join(values.text(title).split()) if isinstance(title, str) else ""
    if not words:
        raise InvalidInput(f"{title!r} is not a title", hint="give some text")
    return words


def check_limit(limit: int | None) -> int | None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise InvalidInput(f"limit is {limit!r} and must be a whole number from 1", hint="None is no limit")
    return limit


def append(session: Session, messages: Sequence[BaseMessage]) -> Query:
    """Add the messages in order, in one statement; the conversation is made where it does not exist.

    A title that is there stays. Two writers of one conversation go one after the other: the first holds its row, and
    the second gets its numbers only then, so the messages of one call stay together.
    """
    return Query(
        SQL("""
            WITH conversation AS (
                INSERT INTO howdah.conversations AS c (tenant, id, title, collection, updated_at)
                VALUES (%(tenant)s, %(id)s, %(title)s, %(collection)s, clock_timestamp())
                ON CONFLICT (tenant, id) DO UPDATE
                SET title = coalesce(c.title, excluded.title), collection = coalesce(c.collection, excluded.collection),
                    updated_at = clock_timestamp()
                RETURNING tenant, id
            )
            INSERT INTO howdah.messages (tenant, conversation, message)
            SELECT conversation.tenant, conversation.id, m.message::jsonb
            FROM conversation CROSS JOIN unnest(%(messages)s::text[]) WITH ORDINALITY AS m (message, place)
            ORDER BY m.place
        """),
        {
            "tenant": session.tenant,
            "id": session.id,
            "title": session.title or title_of(messages),
            "collection": session.collection,
            "messages": to_json(messages),
        },
    )


def newest(tenant: str, id: str, limit: int | None) -> Query:
    """The last `limit` messages (None: all), newest first."""
    return Query(
        SQL("""
            SELECT message FROM howdah.messages WHERE tenant = %(tenant)s AND conversation = %(id)s
            ORDER BY n DESC LIMIT %(limit)s::bigint
        """),
        {"tenant": tenant, "id": id, "limit": limit},
    )


def listing(tenant: str, limit: int | None) -> Query:
    """The conversations, the one that was written to last first."""
    return Query(
        SQL("""
            SELECT c.id, c.title, c.collection, c.created_at, c.updated_at,
                   (SELECT count(*) FROM howdah.messages AS m WHERE m.tenant = c.tenant AND m.conversation = c.id) AS messages
            FROM howdah.conversations AS c WHERE c.tenant = %(tenant)s
            ORDER BY c.updated_at DESC, c.id LIMIT %(limit)s::bigint
        """),
        {"tenant": tenant, "limit": limit},
    )


def whole(tenant: str, id: str) -> Query:
    """A conversation with all its messages, in one row."""
    return Query(
        SQL("""
            SELECT c.id, c.title, c.collection, c.created_at, c.updated_at,
                   (SELECT coalesce(jsonb_agg(m.message ORDER BY m.n), '[]'::jsonb) FROM howdah.messages AS m
                    WHERE m.tenant = c.tenant AND m.conversation = c.id) AS messages
            FROM howdah.conversations AS c WHERE c.tenant = %(tenant)s AND c.id = %(id)s
        """),
        {"tenant": tenant, "id": id},
    )


def exported(row: Stored) -> Stored:
    """A row of `whole` as plain JSON types."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def rename(tenant: str, id: str, title: str) -> Query:
    return Query(
        SQL("UPDATE howdah.conversations SET title = %(title)s WHERE tenant = %(tenant)s AND id = %(id)s"),
        {"tenant": tenant, "id": id, "title": title},
    )


def remove(tenant: str, id: str) -> Query:
    """Delete the conversation; its messages go with it."""
    return Query(
        SQL("DELETE FROM howdah.conversations WHERE tenant = %(tenant)s AND id = %(id)s"), {"tenant": tenant, "id": id}
    )
