"""A Database's synchronous connections; `database_async` holds their twins."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from howdah.retrieval.database_base import Base, given_closed
from howdah.retrieval.lost import LOST, died, unavailable
from howdah.retrieval.pools import Conn, Origin, Pool, open_pool, origin_of
from howdah.retrieval.server import Server, look, open_connection

T = TypeVar("T")


class SyncConnections(Base):
    """Borrow, read again where a connection was dead, let go."""

    @property
    def server(self) -> Server:
        """What the first connection found; connects on first use."""
        if beside := self._beside(AsyncConnectionPool):
            return beside.server
        if self._server is None:
            before, _ = self._failed
            with self._lock:
                if self._server is None:
                    with self._first_look(before):
                        self._server = self._look()
        return self._server

    def _look(self) -> Server:
        if isinstance(self._given, ConnectionPool):
            with ExitStack() as stack:
                return replace(look(self._borrow(self._given, stack), "no"), settings={})
        self.wake()
        conn, _ = open_connection(self.conninfo)
        try:
            server = look(conn, self.conninfo.pooler)
        except BaseException:
            conn.close()
            raise
        self._pool = open_pool(self.conninfo, Origin(server, conn), size=self.pool_size, timeout=self.timeout)
        return server

    @contextmanager
    def connection(self) -> Iterator[Conn]:
        """Borrow a connection in autocommit; waits for a free one for at most `timeout` seconds."""
        if beside := self._beside(AsyncConnectionPool):
            with beside.connection() as conn:
                yield conn
            return
        pool = None
        try:
            with ExitStack() as stack:
                pool, conn = self._enter(stack)
                yield conn
        except LOST as exc:
            if not died(exc):
                raise
            self._discard(pool)
            raise unavailable(exc, self.conninfo) from None

    def read(self, work: Callable[[Conn], T]) -> T:
        """What `work` returns, given a connection; given another one, once, where the first was dead. Reads only."""
        if beside := self._beside(AsyncConnectionPool):
            return beside.read(work)
        pool = None
        try:
            with ExitStack() as stack:
                pool, conn = self._enter(stack)
                return work(conn)
        except LOST as exc:
            if not died(exc):
                raise
        self._discard(pool)
        self.wake()
        with self.connection() as conn:
            return work(conn)

    def _enter(self, stack: ExitStack) -> tuple[Pool, Conn]:
        """A connection until `stack` ends, and its pool. Where none can be made an embedded server is revived, once."""
        server, revived = self.server, not self.embedded
        if isinstance(self._given, ConnectionPool):
            conn = self._borrow(self._given, stack)
            server.register(conn.adapters)
            return self._given, conn
        while True:
            pool = self._open_pool(server)
            try:
                return pool, self._borrow(pool, stack)
            except PoolClosed:
                failure = origin_of(pool).down
            if failure is None:
                continue  # another thread let go of this pool; the next one is new
            if revived:
                raise unavailable(failure, self.conninfo) from None
            self.wake()
            revived = True

    def _borrow(self, pool: Pool, stack: ExitStack) -> Conn:
        conn = None
        try:
            for seconds in self._waits(pool):
                with suppress(PoolTimeout):
                    conn = stack.enter_context(pool.connection(timeout=seconds))
                    break
        except TooManyRequests:
            raise self._busy(pool) from None
        except PoolClosed:
            if pool is self._given:
                raise given_closed() from None
            raise
        if conn is None:
            raise self._busy(pool)
        if pool is self._given:
            stack.callback(setattr, conn, "row_factory", conn.row_factory)
            conn.row_factory = tuple_row
        return conn

    def _open_pool(self, server: Server) -> Pool:
        with self._lock:
            if self._pool is None or self._pool.closed:
                self._pool = open_pool(self.conninfo, Origin(server), size=self.pool_size, timeout=self.timeout)
            return self._pool

    def _discard(self, pool: Pool | None) -> None:
        """Let go of a pool of which one connection was lost: the others are likely to be."""
        if pool is not None and pool is self._given:
            pool.check()
            return
        with self._lock:
            if self._pool is pool:
                self._pool = None
        if pool is not None:
            pool.close(timeout=1)
            origin_of(pool).drop()

    def close(self) -> None:
        """Close the sync pool, and the async pools whose loop is not running; a later use opens them again."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
            origin_of(pool).drop()
        self._drop_stale()
