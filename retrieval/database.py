"""Connections: one pool pair a database a process, shared by all stores, sync and async.

Opening is lazy. Async pools belong to the running loop and close with it. A forked child starts with none of its
parent's. A read that finds a dead connection is tried once more.
"""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout

from howdah.retrieval.conninfo import Conninfo, with_options
from howdah.retrieval.errors import DatabaseUnavailable
from howdah.retrieval.server import Server, died, probe, unavailable

Conn = Connection[Any]
AsyncConn = AsyncConnection[Any]
T = TypeVar("T")
C = TypeVar("C", Connection[Any], AsyncConnection[Any])
Pool = ConnectionPool[Conn]
AsyncPool = AsyncConnectionPool[AsyncConn]
POOL_SIZE, POOL_TIMEOUT = 10, 30.0
LOST = (psycopg.OperationalError, psycopg.InterfaceError)


class Database:
    """One database as this process sees it. `revive`, if given, brings an embedded server back up.

    `pool` is the user's own: it is borrowed from, never closed, and its connections are taken to have no settings of ours.

    pool_size bounds each of the pools: the sync one, and one for every running event loop.
    """

    def __init__(
        self,
        conninfo: Conninfo,
        *,
        pool_size: int = POOL_SIZE,
        timeout: float = POOL_TIMEOUT,
        revive: Callable[[], object] | None = None,
        pool: "Pool | AsyncPool | None" = None,
    ) -> None:
        self.conninfo, self.pool_size, self.timeout = conninfo, pool_size, timeout
        self._given = pool
        self._revive_server = revive
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._pool: Pool | None = None
        self._apools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncPool] = weakref.WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"Database({self.conninfo!r}, pool_size={self.pool_size})"

    @property
    def embedded(self) -> bool:
        return self._revive_server is not None

    @property
    def server(self) -> Server:
        """What the first connection found; probes on first use."""
        self._after_fork()
        if self._server is None:
            with self._lock:
                found = self._server or probe(self.conninfo)
                self._server = replace(found, settings={}) if self._given else found
        assert self._server is not None
        return self._server

    async def aserver(self) -> Server:
        """As `server`; the one probe runs in a thread so that the loop goes on."""
        self._after_fork()
        if self._server is None:
            await asyncio.to_thread(lambda: self.server)
        return self.server

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Database holds sockets and a password: pickle the store's settings instead")

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            self._reset()

    # -- sync

    @contextmanager
    def connection(self) -> Iterator[Conn]:
        """Borrow a connection in autocommit; waits for a free one for at most `timeout` seconds."""
        with self._errors():
            pool = self._open_pool()
            with pool.connection() as conn:
                yield self._prepared(conn)

    def read(self, work: Callable[[Conn], T]) -> T:
        """What `work` returns, given a connection; given another one, once, where the first was dead. Reads only."""
        pool = self._open_pool()
        try:
            with pool.connection() as conn:
                return work(self._prepared(conn))
        except (PoolTimeout, PoolClosed, *LOST) as exc:
            if isinstance(exc, LOST) and not died(exc):
                raise
        self.revive()
        with self.connection() as conn:
            return work(conn)

    def revive(self) -> None:
        """Bring an embedded server back up, and replace the pool's dead connections."""
        if self._revive_server:
            self._revive_server()
        probe(self.conninfo)
        if self._pool:
            self._pool.check()

    def _prepared(self, conn: C) -> C:
        """A connection of the user's own pool does not know our types yet."""
        if self._given is not None:
            self.server.register(conn.adapters)
        return conn

    def _open_pool(self) -> Pool:
        server = self.server
        if isinstance(self._given, ConnectionPool):
            return self._given
        with self._lock:
            if self._pool is None or self._pool.closed:
                self._pool = ConnectionPool(**self._pool_arguments(server), connection_class=Connection, open=False)
                self._pool.open()
            return self._pool

    def _pool_arguments(self, server: Server) -> dict[str, Any]:
        kwargs: dict[str, Any] = {"autocommit": True, "context": _Adapting(server)}
        if not server.prepares:
            kwargs["prepare_threshold"] = None
        return {
            "conninfo": with_options(self.conninfo, server.settings),
            "kwargs": kwargs,
            "min_size": 1,
            "max_size": self.pool_size,
            "timeout": self.timeout,
            "name": "howdah",
        }

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (PoolTimeout, PoolClosed) as exc:
            raise self._why_not() from exc
        except LOST as exc:
            if not died(exc):
                raise
            raise unavailable(exc, self.conninfo) from None

    def _why_not(self) -> DatabaseUnavailable:
        """The reason behind a pool's time-out: the server's own, else that all connections are in use."""
        try:
            probe(self.conninfo)
        except DatabaseUnavailable as reason:
            return reason
        return DatabaseUnavailable(
            f"none of {self.pool_size} connections to {self.conninfo.place} became free within {self.timeout:.0f} s",
            hint="raise pool_size, or hold connections for a shorter time",
        )

    def close(self) -> None:
        """Close the sync pool, and the async pools whose loop is not running; a later use opens them again."""
        self._after_fork()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
        self._drop_stale()

    # -- async

    @asynccontextmanager
    async def aconnection(self) -> AsyncIterator[AsyncConn]:
        """As `connection`; a cancelled wait or body gives the connection back."""
        try:
            pool = await self._open_apool()
            async with pool.connection() as conn:
                yield self._prepared(conn)
        except (PoolTimeout, PoolClosed) as exc:
            raise await asyncio.to_thread(self._why_not) from exc
        except LOST as exc:
            if not died(exc):
                raise
            raise unavailable(exc, self.conninfo) from None

    async def aread(self, work: Callable[[AsyncConn], Awaitable[T]]) -> T:
        """As `read`."""
        pool = await self._open_apool()
        try:
            async with pool.connection() as conn:
                return await work(self._prepared(conn))
        except (PoolTimeout, PoolClosed, *LOST) as exc:
            if isinstance(exc, LOST) and not died(exc):
                raise
        await self.arevive()
        async with self.aconnection() as conn:
            return await work(conn)

    async def arevive(self) -> None:
        if self._revive_server:
            await asyncio.to_thread(self._revive_server)
        await asyncio.to_thread(probe, self.conninfo)
        await (await self._open_apool()).check()

    async def _open_apool(self) -> AsyncPool:
        server = await self.aserver()
        if isinstance(self._given, AsyncConnectionPool):
            return self._given
        loop = asyncio.get_running_loop()
        pool = self._apools.get(loop)
        if pool is None or pool.closed:
            self._drop_stale()
            pool = AsyncConnectionPool(**self._pool_arguments(server), connection_class=Cancellable, open=False)
            self._apools[loop] = pool
            await _close_with_loop(pool)
        await pool.open()
        return pool

    def _drop_stale(self) -> None:
        """Let go of pools whose loop has ended: their sockets are closed, without a loop to await on."""
        for loop, pool in list(self._apools.items()):
            if loop.is_closed():
                del self._apools[loop]
                _finish(pool)

    async def aclose(self) -> None:
        """Close this loop's pool, and the sync one."""
        pool = self._apools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()
        await asyncio.to_thread(self.close)


class _Adapting:
    """The context from which psycopg copies a new connection's adapters: vector types registered once a pool."""

    connection = None

    def __init__(self, server: Server) -> None:
        self.adapters = server.adapters()


class Cancellable(AsyncConnection[Any]):
    """A connection whose cancelled attempt to connect is a cancellation.

    psycopg turns it into an OperationalError, the pool's worker then tries again, and the loop never ends.
    """

    @classmethod
    async def connect(cls, *args: Any, **kwargs: Any) -> Self:
        try:
            return await super().connect(*args, **kwargs)
        except psycopg.Error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from None
            raise


async def _close_with_loop(pool: AsyncPool) -> None:
    """Have the pool closed when the loop ends: asyncio.run and its like close the running async generators."""

    async def guard() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            idle = list(pool._pool)
            with suppress(asyncio.CancelledError):  # of the pool's own workers, which the loop has cancelled by now
                await pool.close(timeout=0)
            for conn in idle:
                conn.pgconn.finish()

    generator = guard()
    await generator.__anext__()
    pool._howdah_guard = generator  # type: ignore[attr-defined]  # kept alive as long as the pool


def _finish(pool: AsyncPool) -> None:
    for conn in list(pool._pool):
        conn.pgconn.finish()


# -- the process's databases

_databases: dict[tuple[Conninfo, int], Database] = {}
_databases_lock = threading.Lock()


def shared(conninfo: Conninfo, *, pool_size: int = POOL_SIZE, revive: Callable[[], object] | None = None) -> Database:
    """This process's Database for a URL and size: every store that asks for it shares its pools."""
    with _databases_lock:
        key = (conninfo, pool_size)
        if key not in _databases:
            _databases[key] = Database(conninfo, pool_size=pool_size, revive=revive)
        return _databases[key]


def _forget_after_fork() -> None:
    global _databases_lock  # noqa: PLW0603  the parent may have held it
    _databases_lock = threading.Lock()


@atexit.register
def _close_all() -> None:
    for database in list(_databases.values()):
        with suppress(Exception):
            database.close()


os.register_at_fork(after_in_child=_forget_after_fork)
