"""Pools that say at once why they have no connection, and that end with their event loop."""

import asyncio
import logging
import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from howdah.retrieval.conninfo import Conninfo, with_options
from howdah.retrieval.server import OPTIONS, OwnAsyncConnection, OwnConnection, Server

Conn = Connection[Any]
AsyncConn = AsyncConnection[Any]
Pool = ConnectionPool[Conn]
AsyncPool = AsyncConnectionPool[AsyncConn]
PREPARE_THRESHOLD = 5
NAME = "howdah"


class Origin:
    """Where a pool's connections come from. As psycopg's `context` it gives each of them our adapters.

    `first` is the connection that looked at the server; it becomes the pool's first. `failure` is why the last attempt
    to connect failed, None after one that did not; `down` is why the
    pool was closed, None where a user of it has closed it. `made` are all connections that are alive.
    """

    connection = None

    def __init__(self, server: Server, first: Conn | AsyncConn | None = None) -> None:
        self.server, self.adapters = server, server.adapters()
        self.failure: psycopg.Error | None = None
        self.down: psycopg.Error | None = None
        self.made: weakref.WeakSet[Conn | AsyncConn] = weakref.WeakSet() if first is None else weakref.WeakSet([first])
        self._first = list(self.made)

    def take(self) -> Any:
        """`first`, once, made like the others; else None."""
        with suppress(IndexError):  # another thread was quicker
            conn = self._first.pop()
            self.server.register(conn.adapters)
            conn.prepare_threshold = PREPARE_THRESHOLD if self.server.prepares else None
            return conn
        return None

    def drop(self) -> None:
        """Close `first` where nothing has taken it."""
        while self._first:
            conn = self._first.pop()
            conn.pgconn.finish()

    def finish(self) -> None:
        for conn in [*self.made]:
            conn.pgconn.finish()


class PooledConnection(OwnConnection):
    @classmethod
    def connect(cls, conninfo: str = "", *, context: Any = None, **kwargs: Any) -> Self:
        first: Self | None = context.take()
        if first is not None:
            return first
        try:
            conn = super().connect(conninfo, context=context, **kwargs)
        except psycopg.Error as exc:
            context.failure = exc
            raise
        context.failure = None
        context.made.add(conn)
        return conn


class AsyncPooledConnection(OwnAsyncConnection):
    @classmethod
    async def connect(cls, conninfo: str = "", *, context: Any = None, **kwargs: Any) -> Self:
        first: Self | None = context.take()
        if first is not None:
            return first
        try:
            conn = await super().connect(conninfo, context=context, **kwargs)
        except psycopg.Error as exc:
            context.failure = exc
            raise
        context.failure = None
        context.made.add(conn)
        return conn


def open_pool(conninfo: Conninfo, origin: Origin, *, size: int, timeout: float) -> Pool:
    pool: Pool = ConnectionPool(
        connection_class=PooledConnection,
        reconnect_failed=_close_when_down,
        **_arguments(conninfo, origin, size, timeout),
    )
    pool.open()
    return pool


def _quieter(record: logging.LogRecord) -> bool:
    """Make our pools' warnings debug messages: who waits gets the reason. A loop that ends is no news at all."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    if any(isinstance(item, asyncio.CancelledError) for item in arguments):
        return False
    if NAME in arguments or any(isinstance(item, OwnConnection | OwnAsyncConnection) for item in arguments):
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return True


async def open_apool(conninfo: Conninfo, origin: Origin, *, size: int, timeout: float) -> AsyncPool:  # noqa: ASYNC109  the pool's, not of this call
    """As `open_pool`; the pool closes with the running loop. Does not give way to other tasks."""
    pool: AsyncPool = AsyncConnectionPool(
        connection_class=AsyncPooledConnection,
        reconnect_failed=_aclose_when_down,
        **_arguments(conninfo, origin, size, timeout),
    )
    await _close_with_loop(pool)
    await pool.open()
    return pool


def _arguments(conninfo: Conninfo, origin: Origin, size: int, timeout: float) -> dict[str, Any]:
    logging.getLogger("psycopg.pool").addFilter(_quieter)
    prepare_threshold = PREPARE_THRESHOLD if origin.server.prepares else None
    return {
        "conninfo": with_options(conninfo, OPTIONS if origin.server.settings else {}),
        "kwargs": {"autocommit": True, "context": origin, "prepare_threshold": prepare_threshold},
        # None in advance: with one, a pool's first user finds it not ready yet and has a second one opened.
        "min_size": 0,
        "max_size": size,
        "timeout": timeout,
        # No attempts in the background: whoever comes next makes one, and hears why it failed.
        "reconnect_timeout": 0,
        "open": False,
        "name": NAME,
    }


def origin_of(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> Origin:
    assert isinstance(pool.kwargs, dict)
    origin: Origin = pool.kwargs["context"]
    return origin


def _close_when_down(pool: ConnectionPool[Any]) -> None:
    """A pool that has no connection and gets none is closed, so that those who wait for one need not time out."""
    if pool.get_stats().get("pool_size") == 0:
        origin_of(pool).down = origin_of(pool).failure
        # Not by this thread: it is one of those that close() waits for.
        threading.Thread(target=pool.close, kwargs={"timeout": 1}, name="howdah-close", daemon=True).start()


async def _aclose_when_down(pool: AsyncConnectionPool[Any]) -> None:
    if pool.get_stats().get("pool_size") == 0:
        origin_of(pool).down = origin_of(pool).failure
        _keepers[pool].cancel()


_keepers: "weakref.WeakKeyDictionary[AsyncConnectionPool[Any], asyncio.Task[None]]" = weakref.WeakKeyDictionary()


async def close_apool(pool: AsyncPool) -> None:
    keeper = _keepers[pool]
    keeper.cancel()
    await asyncio.wait([keeper])


async def _keep(pool: AsyncPool) -> None:
    """Close the pool when this task is cancelled: by us, or by asyncio.run and its like at their end.

    A pool's workers take a cancellation for a failure to connect and go on; asyncio.run, which cancels once, would wait
    for them for ever. Closing the pool tells them to stop.
    """
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await _end(pool)


async def _close_with_loop(pool: AsyncPool) -> None:
    """Have the pool closed when the loop ends. Loops that cancel no tasks at their end close async generators."""

    async def guard() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await _end(pool)
            finish(pool)  # by now no task is left that could give a connection back

    generator = guard()
    await generator.__anext__()
    pool._howdah_guard = generator  # type: ignore[attr-defined]  # kept alive as long as the pool
    _keepers[pool] = asyncio.get_running_loop().create_task(_keep(pool), name="howdah-pool")


async def _end(pool: AsyncPool) -> None:
    idle = list(pool._pool)
    with suppress(asyncio.CancelledError):  # of the pool's own workers, where the loop has cancelled them
        await pool.close(timeout=1)
    for conn in idle:
        conn.pgconn.finish()
    origin_of(pool).drop()


def finish(pool: Pool | AsyncPool) -> None:
    """Close the sockets of a pool that nobody uses any more, such as one whose loop has ended: nothing is awaited."""
    origin_of(pool).finish()
