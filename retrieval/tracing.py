"""Traces of answers written and read: written after the answer and never in its way, read without any right to write."""

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any

from psycopg import errors

from howdah.retrieval import queries, traces
from howdah.retrieval.errors import DependencyMissing, InvalidInput, NotFound
from howdah.retrieval.query import Query
from howdah.retrieval.store import GONE, Row, Store
from howdah.retrieval.store_async import AsyncStore
from howdah.retrieval.traces import DAYS, Trace

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

PAUSE = 60.0
"""Seconds until a database is tried again that took no trace."""
PATIENCE = 5.0
"""Seconds that an asynchronous answer waits for its trace to be written."""
TIMEOUTS = {"lock_timeout": "1s", "statement_timeout": "5s"}
EXPIRE_EVERY = 16
"""One write in so many deletes what has expired."""


class Traces:
    """Where traces are kept, and for how many days. The constructor does no I/O.

    Args:
        store: a PGVector, or the Store or AsyncStore of one.
        days: traces are deleted after so many.
    """

    def __init__(self, store: "PGVector | Store | AsyncStore", *, days: float = DAYS) -> None:
        inner = getattr(store, "store", store)
        if not isinstance(inner, Store | AsyncStore):
            raise InvalidInput(
                f"trace is {type(store).__name__} and must be a PGVector or a Store", hint="trace=None keeps no traces"
            )
        database, tenant = inner.database, inner.tenant
        self.days = traces.check_days(days)
        self.store = inner if isinstance(inner, Store) else Store(database, tenant=tenant)
        self.astore = inner if isinstance(inner, AsyncStore) else AsyncStore(database, tenant=tenant)
        self._not_before = 0.0
        self._noted = False

    def keep(self, trace: Trace) -> str | None:
        """Write the trace, and return None. Where it cannot be written: why, which is said once, then "". Never raises."""
        if time.monotonic() < self._not_before:
            return ""
        try:
            if self.store.database.server.read_only:
                return self._refused("the server is a replica")
            if not self._insert(trace):
                self.store.prepare_schema()  # of an embedded server, it is migrated here
                if not self._insert(trace):
                    return self._refused("the schema is another program's")
            if self._in_turn():
                self._run(traces.expire(self.store.tenant))
        except Exception as exc:  # noqa: BLE001  whatever it is, it's no reason to take an answer back
            return self._refused(_reason(exc))
        return None

    async def akeep(self, trace: Trace) -> str | None:
        """As `keep`, for at most PATIENCE seconds."""
        if time.monotonic() < self._not_before:
            return ""
        try:
            async with asyncio.timeout(PATIENCE):
                if (await self.astore.database.aserver()).read_only:
                    return self._refused("the server is a replica")
                if not await self._ainsert(trace):
                    await self.astore.prepare_schema()
                    if not await self._ainsert(trace):
                        return self._refused("the schema is another program's")
                if self._in_turn():
                    await self._arun(traces.expire(self.astore.tenant))
        except Exception as exc:  # noqa: BLE001  as above
            return self._refused(_reason(exc))
        return None

    def _insert(self, trace: Trace) -> bool:
        try:
            return self._run(traces.insert(self.store.tenant, trace, days=self.days)) == 1
        except GONE:
            return False

    async def _ainsert(self, trace: Trace) -> bool:
        try:
            return await self._arun(traces.insert(self.astore.tenant, trace, days=self.days)) == 1
        except GONE:
            return False

    def _run(self, query: Query) -> int:
        """In one implicit transaction with its time-outs: an INSERT waits for its table before it is run at all."""
        with self.store.database.connection() as conn, conn.pipeline():
            conn.execute(*queries.set_local(TIMEOUTS))
            cursor = conn.execute(*query)
        return cursor.rowcount

    async def _arun(self, query: Query) -> int:
        async with self.astore.database.aconnection() as conn, conn.pipeline():
            await conn.execute(*queries.set_local(TIMEOUTS))
            cursor = await conn.execute(*query)
        return cursor.rowcount

    def _in_turn(self) -> bool:
        return random.random() < 1 / EXPIRE_EVERY  # noqa: S311  nothing secret hangs on it

    def _refused(self, why: str) -> str:
        self._not_before = time.monotonic() + PAUSE
        said, self._noted = self._noted, True
        return "" if said else f"no trace of this answer was kept: {why}"


def _reason(exc: Exception) -> str:
    """Why a trace was not written, in words that hold nothing of it: the text of a server's error may."""
    if isinstance(exc, DependencyMissing):
        return f"{exc.message} ({exc.hint})" if exc.hint else exc.message
    if isinstance(exc, errors.InsufficientPrivilege):
        return "this user may not write to howdah.traces"
    return "the database may only be read" if isinstance(exc, errors.ReadOnlySqlTransaction) else type(exc).__name__


def expire(store: Store) -> int:
    """Delete the tenant's traces whose time is over; how many there were."""
    deleted = 0
    while count := store.execute(traces.expire(store.tenant)):
        deleted += count
    return deleted


def find_trace(store: Store, id: str) -> Row:
    """One trace by its id, or by the beginning of it; "last" is the newest. Raises NotFound."""
    return _only(store.rows_if_there(traces.find(store.tenant, "" if id == "last" else id)), id)


def list_traces(store: Store, *, limit: int | None = None) -> list[Row]:
    """The tenant's traces in a few words each, the newest first."""
    return store.rows_if_there(traces.listing(store.tenant, limit))


async def afind_trace(store: AsyncStore, id: str) -> Row:
    """As `find_trace`."""
    return _only(await store.rows_if_there(traces.find(store.tenant, "" if id == "last" else id)), id)


async def alist_traces(store: AsyncStore, *, limit: int | None = None) -> list[Row]:
    """As `list_traces`."""
    return await store.rows_if_there(traces.listing(store.tenant, limit))


def _only(rows: list[dict[str, Any]], id: str) -> Row:
    exact = [row for row in rows if row["id"] == id]
    if len(rows) == 1 or exact:
        return (exact or rows)[0]
    if rows:
        raise NotFound(f"more than one trace begins with {id!r}", hint="give more of it: howdah trace list shows them")
    if id == "last":
        raise NotFound("there is no trace yet", hint="howdah ask and howdah chat keep one of each answer")
    raise NotFound(f"there is no trace {id!r}", hint="howdah trace list shows them; they are kept for 30 days")
