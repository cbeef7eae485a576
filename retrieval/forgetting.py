"""Forgetting what people asked: conversations, traces, and the questions' embeddings that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier

from howdah.retrieval.asked import parse, prose
from howdah.retrieval.cache_key import text_hash
from howdah.retrieval.database import Conn
from howdah.retrieval.query import Query
from howdah.retrieval.store import Store


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is to be forgotten: one conversation, what is older than a moment, or, with neither, all of it."""

    session: str | None = None
    before: datetime | None = None


@dataclass(kw_only=True)
class Forgotten:
    """How many conversations, messages, traces and kept embeddings of questions there are, or went."""

    conversations: int = 0
    messages: int = 0
    traces: int = 0
    queries: int = 0


def count(store: Store, scope: Scope) -> Forgotten:
    """What `forget` would delete; how many `queries` is known only when they go."""
    store.prepare_schema()
    return Forgotten(**store.rows(counting(store.tenant, scope))[0])


def forget(store: Store, scope: Scope) -> Forgotten:
    """Delete it, in one transaction.

    Of a conversation that went on after `before` only the older messages go; its title goes with the first of them.
    """
    store.prepare_schema()
    with store.database.connection() as conn, conn.transaction():
        hashes = sorted(_hashes(conn, store.tenant, scope))
        found = Forgotten(
            queries=conn.execute(*remove_queries(store.tenant, scope, hashes)).rowcount,
            traces=conn.execute(*remove_traces(store.tenant, scope)).rowcount,
            messages=conn.execute(*remove_messages(store.tenant, scope)).rowcount,
        )
        if scope.before is not None:
            conn.execute(*untitle(store.tenant, scope.before))
        found.conversations = conn.execute(*remove_conversations(store.tenant, scope)).rowcount
    return found


def _hashes(conn: Conn, tenant: str, scope: Scope) -> set[bytes]:
    """Of the questions that are forgotten, in each form in which they may have been embedded."""
    if scope.session is None:
        return set()  # all queries go, or those that were last used before then
    texts = [row["text"] for row in conn.cursor(row_factory=dict_row).execute(*questions(tenant, scope.session))]
    return {text_hash(form) for text in texts if text for form in {text, prose(text), parse(prose(text)).words}}


# -- statements


def counting(tenant: str, scope: Scope) -> Query:
    return Query(
        SQL("""
            SELECT (SELECT count(*) FROM howdah.conversations AS c WHERE {conversations}) AS conversations,
                   (SELECT count(*) FROM howdah.messages AS m WHERE {messages}) AS messages,
                   (SELECT count(*) FROM howdah.traces AS t WHERE {traces}) AS traces
        """).format(
            conversations=_where("c", "id", "updated_at", scope),
            messages=_where("m", "conversation", "created_at", scope),
            traces=_where("t", "session", "at", scope),
        ),
        _params(tenant, scope),
    )


def questions(tenant: str, session: str) -> Query:
    """What was asked in a conversation, as it was asked and as it was searched."""
    return Query(
        SQL("""
            SELECT unnest(ARRAY[t.question, t.rewritten]) AS text FROM howdah.traces AS t
            WHERE t.tenant = %(tenant)s AND t.session = %(session)s
            UNION
            SELECT m.message #>> '{{data,content}}' FROM howdah.messages AS m
            WHERE m.tenant = %(tenant)s AND m.conversation = %(session)s AND m.message ->> 'type' = 'human'
        """).format(),
        {"tenant": tenant, "session": session},
    )


def remove_queries(tenant: str, scope: Scope, hashes: Sequence[bytes]) -> Query:
    """Delete kept embeddings of questions: by the day of their last use, of these hashes, or all."""
    narrowed = SQL("true")
    if scope.session is not None:
        narrowed = SQL("q.hash = ANY(%(hashes)s::bytea[])")
    elif scope.before is not None:
        narrowed = SQL("q.used_at < %(before)s")
    return Query(
        SQL("DELETE FROM howdah.embedding_cache AS q WHERE q.tenant = %(tenant)s AND q.kind = 'query' AND {}").format(
            narrowed
        ),
        {**_params(tenant, scope), "hashes": list(hashes)},
    )


def remove_traces(tenant: str, scope: Scope) -> Query:
    return Query(
        SQL("DELETE FROM howdah.traces AS t WHERE {}").format(_where("t", "session", "at", scope)),
        _params(tenant, scope),
    )


def remove_messages(tenant: str, scope: Scope) -> Query:
    return Query(
        SQL("DELETE FROM howdah.messages AS m WHERE {}").format(_where("m", "conversation", "created_at", scope)),
        _params(tenant, scope),
    )


def untitle(tenant: str, before: datetime) -> Query:
    """A title is the beginning of the first question: take it from conversations that began before then."""
    return Query(
        SQL("UPDATE howdah.conversations SET title = NULL WHERE tenant = %(tenant)s AND created_at < %(before)s"),
        {"tenant": tenant, "before": before},
    )


def remove_conversations(tenant: str, scope: Scope) -> Query:
    """Delete them; of those before a moment the ones without a message left."""
    empty = SQL("""
        AND NOT EXISTS (SELECT FROM howdah.messages AS m WHERE m.tenant = c.tenant AND m.conversation = c.id)
    """)
    where = _where("c", "id", "updated_at", scope)
    return Query(
        SQL("DELETE FROM howdah.conversations AS c WHERE {} {}").format(where, empty if scope.before else SQL("")),
        _params(tenant, scope),
    )


def _where(alias: str, session: str, time: str, scope: Scope) -> Composed:
    names = {"a": Identifier(alias), "session": Identifier(session), "time": Identifier(time)}
    condition = SQL("{a}.tenant = %(tenant)s")
    if scope.session is not None:
        condition = SQL("{a}.tenant = %(tenant)s AND {a}.{session} = %(session)s")
    elif scope.before is not None:
        condition = SQL("{a}.tenant = %(tenant)s AND {a}.{time} < %(before)s")
    return condition.format(**names)


def _params(tenant: str, scope: Scope) -> dict[str, Any]:
    return {"tenant": tenant, "session": scope.session, "before": scope.before}
