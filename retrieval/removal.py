"""Deleting what a person names: documents by their sources, or chunks by a condition, with all that rests on them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from psycopg import errors
from psycopg.rows import tuple_row
from psycopg.sql import SQL

from howdah.retrieval import documents, failures, postings, writes
from howdah.retrieval.collection import Collection
from howdah.retrieval.database import Conn
from howdah.retrieval.erasure import Erasure, Removed
from howdah.retrieval.errors import DatabaseUnavailable
from howdah.retrieval.query import EVERY_ROW, Condition, Query
from howdah.retrieval.store import Store

AT_ONCE = 100
"""Documents that a prune deletes in one transaction."""


def count(store: Store, collection: Collection, *, sources: Sequence[str] = (), where: Condition | None = None) -> int:
    """How many chunks `remove` would delete."""
    condition = where or _of_sources(collection, sources)
    sql = SQL("SELECT count(*) AS chunks FROM {} AS c WHERE c.tenant = %(tenant)s AND {}").format(
        collection.chunks, condition.sql
    )
    return int(store.rows(Query(sql, {"tenant": collection.tenant, **condition.params}))[0]["chunks"])


def remove(
    store: Store, collection: Collection, *, sources: Sequence[str] = (), where: Condition | None = None
) -> Removed:
    """Delete documents with their chunks, or the chunks that match, in one transaction; how much went.

    Their text goes from traces, chat messages and failures too, and their embeddings from the cache, unless another
    passage of the tenant has the same text. A document that loses its last chunk goes as well, so that a later sync loads
    it again. Documents are locked before their chunks, as a sync locks them.
    """
    store.prepare_schema()
    with _allowed(), store.database.connection() as conn, conn.transaction():
        locked = _column(conn, _lock(collection, sources, where))
        condition = where or writes.where_documents(locked)
        erasure = Erasure(collection, conn)
        erasure.look(condition)
        chunks = store.delete(collection, condition, conn=conn)
        empty = _column(conn, documents.remove_empty(collection, locked))
        failed = _column(conn, failures.stored(collection)) if where is EVERY_ROW else list(sources)
        removed = replace(erasure.carry_out([*empty, *failed]), documents=len(empty), chunks=chunks)
    _fold(store, collection)
    return removed


def _lock(collection: Collection, sources: Sequence[str], where: Condition | None) -> Query:
    if where is None or where is EVERY_ROW:
        return documents.lock(collection, sources if where is None else None)
    return documents.lock_those_of(collection, where)


def prune(store: Store, collection: Collection, sources: Sequence[str], stop: threading.Event) -> Removed:
    """`remove` of documents whose files are gone, some at a time, until `stop` is set."""
    removed = Removed()
    for begin in range(0, len(sources), AT_ONCE):
        if stop.is_set():
            break
        removed += remove(store, collection, sources=sources[begin : begin + AT_ONCE])
    return removed


def erase_dropped(store: Store, collection: Collection) -> Removed:
    """Of a collection that is to be dropped: the text of all its passages goes from where it was copied to."""
    store.prepare_schema()
    with _allowed(), store.database.connection() as conn, conn.transaction():
        erasure = Erasure(collection, conn)
        erasure.look(EVERY_ROW)
        return erasure.carry_out(_column(conn, documents.every_source(collection)), dropped=True)


@contextmanager
def _allowed() -> Iterator[None]:
    """Who may not take a text out of every table deletes nothing: a part that stays would look as if it were gone."""
    try:
        yield
    except errors.InsufficientPrivilege as exc:
        raise DatabaseUnavailable(
            f"nothing was deleted: this user may not do it everywhere ({exc.diag.message_primary})",
            hint="the owner must run: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA howdah TO this user",
        ) from exc


def _fold(store: Store, collection: Collection) -> None:
    """A word of which no chunk is left is still counted, with 0: fold it away. Who else folds at this moment does it."""
    if collection.spec.lexical:
        with suppress(errors.DeadlockDetected):
            store.execute(postings.fold_terms(collection))


def _column(conn: Conn, query: Query) -> list[Any]:
    """The first column."""
    return [row[0] for row in conn.cursor(row_factory=tuple_row).execute(*query)]


def _of_sources(collection: Collection, sources: Sequence[str]) -> Condition:
    return Condition(
        SQL("""
            c.document IN (SELECT d.id FROM howdah.documents AS d WHERE d.tenant = %(tenant)s
                           AND d.collection = %(of_collection)s AND d.source = ANY(%(sources)s))
        """),
        {"of_collection": collection.id, "sources": list(sources)},
    )
