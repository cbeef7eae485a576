"""Connections: one pool pair a database a process, shared by all stores, sync and async.

Opening is lazy. Async pools belong to the running loop and close with it. A forked child starts with none of its
parent's. A read that finds a dead connection is tried once more.
"""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.database_async import AsyncConnections
from howdah.retrieval.database_base import POOL_SIZE, POOL_TIMEOUT
from howdah.retrieval.database_sync import SyncConnections
from howdah.retrieval.pools import AsyncConn, AsyncPool, Conn, Pool, close_apool

__all__ = ["POOL_SIZE", "POOL_TIMEOUT", "AsyncConn", "AsyncPool", "Conn", "Database", "Pool", "shared"]


class Database(SyncConnections, AsyncConnections):
    """One database as this process sees it. `revive`, if given, brings an embedded server up.

    `pool` is the user's own: it is borrowed from, never opened or closed, and its connections are taken to have no
    settings of ours. Sync methods with an async pool, and the other way round, use pools of ours beside it.

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
        super().__init__(conninfo, pool_size=pool_size, timeout=timeout, revive=revive, pool=pool)
        _every.add(self)

    def _beside(self, kind: type[Any]) -> "Database | None":
        return shared(self.conninfo, pool_size=self.pool_size) if isinstance(self._given, kind) else None

    async def aclose(self) -> None:
        """Close this loop's pool, and the sync one."""
        here = self._here()
        pool, here.pool = here.pool, None
        if pool is not None:
            await close_apool(pool)
        await asyncio.to_thread(self.close)


# -- the process's databases

_every: "weakref.WeakSet[Database]" = weakref.WeakSet()
_databases: dict[tuple[Conninfo, int], Database] = {}
_databases_lock = threading.Lock()
_of_the_parent: list[object] = []


def shared(conninfo: Conninfo, *, pool_size: int = POOL_SIZE, revive: Callable[[], object] | None = None) -> Database:
    """This process's Database for a URL and size: every store that asks for it shares its pools."""
    with _databases_lock:
        key = (conninfo, pool_size)
        if key not in _databases:
            _databases[key] = Database(conninfo, pool_size=pool_size, revive=revive)
        return _databases[key]


def _begin_anew() -> None:
    """In a forked child: no connection, thread or lock of the parent's may be used, or even collected."""
    global _databases_lock  # noqa: PLW0603  another of the parent's threads may have held it
    _databases_lock = threading.Lock()
    for database in list(_every):
        _of_the_parent.append((database._pool, database._loops))
        database._reset()


@atexit.register
def _close_all() -> None:
    for database in list(_every):
        with suppress(Exception):
            database.close()


os.register_at_fork(after_in_child=_begin_anew)
