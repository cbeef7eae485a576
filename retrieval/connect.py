"""From what the user gave (a URL, a pool, nothing) to this process's Database."""

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

from platformdirs import user_data_dir
from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from howdah.retrieval.conninfo import Conninfo, parse
from howdah.retrieval.database import POOL_SIZE, AsyncPool, Database, Pool, shared
from howdah.retrieval.embedded import EmbeddedServer, Lease
from howdah.retrieval.embedded_locks import Progress
from howdah.retrieval.errors import InvalidInput

IDLE_SECONDS = 600.0
_leases: dict[Path, tuple[EmbeddedServer, Lease]] = {}
_leases_lock = threading.Lock()


def default_home() -> Path:
    """Where the embedded server keeps its data unless told otherwise."""
    return Path(user_data_dir("howdah", appauthor=False))


def open_database(
    conninfo: Conninfo | None,
    *,
    pool: Pool | AsyncPool | None = None,
    pool_size: int = POOL_SIZE,
    home: Path | None = None,
    idle_seconds: float = IDLE_SECONDS,
    progress: Progress | None = None,
) -> Database:
    """The Database for a connection; None is the embedded server under `home`, which the first use starts if need be.

    `idle_seconds`: how long it stays up after its last client. `progress` is told, in a sentence, what a start waits for.
    """
    if pool is not None:
        return _of_pool(pool, conninfo)
    if conninfo is None:
        return _embedded(home or default_home(), pool_size, idle_seconds, progress)
    return shared(conninfo, pool_size=pool_size)


def _of_pool(pool: Any, conninfo: Conninfo | None) -> Database:
    if not isinstance(pool, ConnectionPool | AsyncConnectionPool):
        raise InvalidInput(
            f"pool is {type(pool).__name__} and must be a psycopg_pool ConnectionPool or AsyncConnectionPool"
        )
    return Database(conninfo or _conninfo_of(pool), pool=pool)


def _conninfo_of(pool: Any) -> Conninfo:
    """Where a pool's connections go: its string, and those of its arguments that libpq knows."""
    if callable(pool.conninfo) or callable(pool.kwargs):
        raise InvalidInput("the pool makes its connection string itself", hint="give connection= as well")
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    arguments = {name: value for name, value in (pool.kwargs or {}).items() if name in known}
    return Conninfo(make_conninfo(parse(pool.conninfo).text if pool.conninfo else "", **arguments))


def _embedded(home: Path, pool_size: int, idle_seconds: float, progress: Progress | None) -> Database:
    """Starts nothing yet: that is the first use's work, which an event loop puts in a thread."""
    home = home.expanduser().absolute()
    return shared(
        parse(EmbeddedServer(home).url()), pool_size=pool_size, revive=partial(_hold, home, idle_seconds, progress)
    )


def _hold(home: Path, idle_seconds: float, progress: Progress | None) -> None:
    """Have the server of `home` run as long as this process does."""
    with _leases_lock:
        if home in _leases:
            _leases[home][0].start()
        else:
            server = EmbeddedServer(home, idle_seconds=idle_seconds, progress=progress)
            _leases[home] = server, server.connect()


def _begin_anew() -> None:
    global _leases_lock  # noqa: PLW0603  another of the parent's threads may have held it
    _leases_lock = threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)
