"""A Database's asynchronous connections, method for method as `database_sync` has them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from howdah.retrieval.database_base import Base, OfLoop, given_closed
from howdah.retrieval.lost import LOST, died, unavailable
from howdah.retrieval.pools import AsyncConn, AsyncPool, Origin, close_apool, open_apool, origin_of
from howdah.retrieval.server import Server, alook, aopen_connection, probe

T = TypeVar("T")


class AsyncConnections(Base):
    """Borrow, read again where a connection was dead, let go: each pool on its own event loop."""

    async def aserver(self) -> Server:
        """As `server`."""
        if beside := self._beside(ConnectionPool):
            return await beside.aserver()
        if self._server is None:
            here, (before, _) = self._here(), self._failed
            async with here.lock:
                if self._server is None:
                    with self._first_look(before):
                        self._server = await self._alook(here)
        return self._server

    async def _alook(self, here: OfLoop) -> Server:
        if isinstance(self._given, AsyncConnectionPool):
            async with AsyncExitStack() as stack:
                return replace(await alook(await self._aborrow(self._given, stack), "no"), settings={})
        await self.awake()
        conn, _ = await aopen_connection(self.conninfo)
        try:
            server = await alook(conn, self.conninfo.pooler)
            if server.pooler and self.conninfo.pooler == "auto":  # rare, and its second question is a blocking one
                server = await asyncio.to_thread(probe, self.conninfo)
        except BaseException:
            await conn.close()
            raise
        here.pool = await self._new_apool(Origin(server, conn))
        return server

    @asynccontextmanager
    async def aconnection(self) -> AsyncIterator[AsyncConn]:
        """As `connection`; a cancelled wait or body gives the connection back."""
        if beside := self._beside(ConnectionPool):
            async with beside.aconnection() as conn:
                yield conn
            return
        pool = None
        try:
            async with AsyncExitStack() as stack:
                pool, conn = await self._aenter(stack)
                yield conn
        except LOST as exc:
            if not died(exc):
                raise
            await self._adiscard(pool)
            raise unavailable(exc, self.conninfo) from None

    async def aread(self, work: Callable[[AsyncConn], Awaitable[T]]) -> T:
        """As `read`."""
        if beside := self._beside(ConnectionPool):
            return await beside.aread(work)
        pool = None
        try:
            async with AsyncExitStack() as stack:
                pool, conn = await self._aenter(stack)
                return await work(conn)
        except LOST as exc:
            if not died(exc):
                raise
        await self._adiscard(pool)
        await self.awake()
        async with self.aconnection() as conn:
            return await work(conn)

    async def awake(self) -> None:
        """As `wake`, in a thread."""
        if self.embedded:
            await asyncio.to_thread(self.wake)

    async def _aenter(self, stack: AsyncExitStack) -> tuple[AsyncPool, AsyncConn]:
        server, revived = await self.aserver(), not self.embedded
        if isinstance(self._given, AsyncConnectionPool):
            conn = await self._aborrow(self._given, stack)
            server.register(conn.adapters)
            return self._given, conn
        while True:
            pool = await self._open_apool(server)
            try:
                return pool, await self._aborrow(pool, stack)
            except PoolClosed:
                failure = origin_of(pool).down
            if failure is None:
                continue
            if revived:
                raise unavailable(failure, self.conninfo) from None
            await self.awake()
            revived = True

    async def _aborrow(self, pool: AsyncPool, stack: AsyncExitStack) -> AsyncConn:
        conn = None
        try:
            for seconds in self._waits(pool):
                with suppress(PoolTimeout):
                    conn = await stack.enter_async_context(pool.connection(timeout=seconds))
                    break
        except TooManyRequests:
            raise await asyncio.to_thread(self._busy, pool) from None
        except PoolClosed:
            if pool is self._given:
                raise given_closed() from None
            raise
        if conn is None:
            raise await asyncio.to_thread(self._busy, pool)
        if pool is self._given:
            stack.callback(setattr, conn, "row_factory", conn.row_factory)
            conn.row_factory = tuple_row
        return conn

    async def _open_apool(self, server: Server) -> AsyncPool:
        here = self._here()
        if here.pool is None or here.pool.closed:
            here.pool = await self._new_apool(Origin(server))  # no other task runs in between
        return here.pool

    async def _new_apool(self, origin: Origin) -> AsyncPool:
        return await open_apool(self.conninfo, origin, size=self.pool_size, timeout=self.timeout)

    async def _adiscard(self, pool: AsyncPool | None) -> None:
        if pool is not None and pool is self._given:
            await pool.check()
            return
        here = self._here()
        if here.pool is pool:
            here.pool = None
        if pool is not None:
            await close_apool(pool)
