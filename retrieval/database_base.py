"""What the sync and async halves of a Database share: its state, and why no connection came."""

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.errors import DatabaseUnavailable, DependencyMissing
from howdah.retrieval.lost import unavailable
from howdah.retrieval.pools import AsyncPool, Pool, finish, origin_of
from howdah.retrieval.server import Server, probe
from howdah.retrieval.tally import Tally

if TYPE_CHECKING:
    from howdah.retrieval.database import Database

POOL_SIZE, POOL_TIMEOUT, PATIENCE = 10, 30.0, 1.0


@dataclass
class OfLoop:
    """`lock` is held while the first of the loop's tasks looks at the server."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pool: AsyncPool | None = None


class PoolCount(NamedTuple):
    """A pool at one moment: its connections, how many of them are free, how many it may have, and who waits for one.

    Since it was opened: how often a connection was asked for, how often none came in time, and the seconds waited.
    """

    kind: str
    size: int
    free: int
    most: int
    waiting: int
    asked: int
    refused: int
    waited: float

    @classmethod
    def of(cls, kind: str, pool: "Pool | AsyncPool") -> "PoolCount":
        found = pool.get_stats().get
        return cls(
            kind, found("pool_size", 0), found("pool_available", 0), found("pool_max", 0), found("requests_waiting", 0),
            found("requests_num", 0), found("requests_errors", 0), found("requests_wait_ms", 0) / 1_000,
        )  # fmt: skip


class Base:
    """State of a Database. `tally` counts what is done with it."""

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
        self.tally = Tally()
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._failed: tuple[int, DependencyMissing | None] = 0, None
        self._pool: Pool | None = None
        self._loops_lock = threading.Lock()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, OfLoop] = weakref.WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"Database({self.conninfo!r}, pool_size={self.pool_size})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Database holds sockets and a password: pickle the store's settings instead")

    @property
    def embedded(self) -> bool:
        return self._revive_server is not None

    def pool_counts(self) -> list[PoolCount]:
        """The pools that are open, the sync one and one for each running event loop, as they are now."""
        given = [self._given] if self._given is not None else []
        with self._loops_lock:
            loops = [each.pool for each in self._loops.values() if each.pool is not None]
        pools: list[Pool | AsyncPool | None] = [*given, self._pool, *loops]
        return [
            PoolCount.of("async" if isinstance(pool, AsyncConnectionPool) else "sync", pool)
            for pool in pools
            if pool is not None and not pool.closed
        ]

    @property
    def busy(self) -> bool:
        """Whether some pool is full and somebody waits for a connection, or nearly so: what can wait had better."""
        return any(count.waiting or (count.size >= count.most and not count.free) for count in self.pool_counts())

    def wake(self) -> None:
        """Start the embedded server where it is down, before a connection that no pool makes."""
        if self._revive_server is not None:
            self._revive_server()

    @contextmanager
    def _first_look(self, before: int) -> Iterator[None]:
        """Who waited for another's first look, with `before` failures, hears why it failed instead of failing as slowly."""
        count, failure = self._failed
        if failure is not None and count > before:
            raise copy(failure)
        try:
            yield
        except DependencyMissing as exc:
            self._failed = count + 1, exc
            raise

    def _waits(self, pool: Pool | AsyncPool) -> Iterator[float]:
        """The pool's time-out in pieces, as seconds to wait.

        psycopg's pool does not see one who comes while it is being closed; asking again tells that it is closed.
        """
        deadline = time.monotonic() + pool.timeout
        patience = pool.timeout if pool is self._given else PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            yield min(patience, left)

    def _busy(self, pool: Pool | AsyncPool) -> DatabaseUnavailable:
        """Why no connection came in time: the server's reason, else that all are in use."""
        failure: BaseException | None = None
        if pool is not self._given:
            failure = origin_of(pool).failure
        else:
            try:
                probe(self.conninfo)
            except DatabaseUnavailable as exc:
                return exc
        if failure is not None:
            return unavailable(failure, self.conninfo)
        return DatabaseUnavailable(
            f"none of {pool.max_size} connections to {self.conninfo.place} became free within {pool.timeout:g} s",
            hint="raise pool_size, or hold connections for a shorter time",
        )

    def _here(self) -> OfLoop:
        """What belongs to the running loop."""
        loop = asyncio.get_running_loop()
        with self._loops_lock:
            found = self._loops.get(loop)
            if found is None:
                found = self._loops[loop] = OfLoop()
        if found.pool is None:
            self._drop_stale()
        return found

    def _drop_stale(self) -> None:
        """Let go of pools whose loop has ended: their sockets are closed, without a loop to await on."""
        with self._loops_lock:
            ended = [self._loops.pop(loop) for loop in list(self._loops) if loop.is_closed()]
        for loop in ended:
            if loop.pool is not None:
                finish(loop.pool)

    def _beside(self, kind: type[Any]) -> "Database | None":
        """The Database whose pools serve beside a given pool, which is of the other kind; else None."""
        raise NotImplementedError


def given_closed() -> DatabaseUnavailable:
    return DatabaseUnavailable("the pool given as pool= is not open", hint="open it before the store is used")
