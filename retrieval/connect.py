"""From what the user gave (a URL, a pool, nothing) to this process's Database."""

import threading
from pathlib import Path
from typing import Any

from platformdirs import user_data_dir
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from howdah.retrieval.conninfo import Conninfo, parse
from howdah.retrieval.database import POOL_SIZE, AsyncPool, Database, Pool, shared
from howdah.retrieval.embedded import EmbeddedServer, Lease
from howdah.retrieval.errors import InvalidInput

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
) -> Database:
    """The Database for a connection; None is the embedded server under `home`, which is started where it is down."""
    if pool is not None:
        return _of_pool(pool, conninfo)
    if conninfo is None:
        return _embedded(home or default_home(), pool_size)
    return shared(conninfo, pool_size=pool_size)


def _of_pool(pool: Any, conninfo: Conninfo | None) -> Database:
    if not isinstance(pool, ConnectionPool | AsyncConnectionPool):
        raise InvalidInput(
            f"pool is {type(pool).__name__} and must be a psycopg_pool ConnectionPool or AsyncConnectionPool"
        )
    given = pool.conninfo if isinstance(pool.conninfo, str) else ""
    if conninfo is None and not given:
        raise InvalidInput("the pool's connection string is not known", hint="give connection= as well")
    return Database(conninfo or parse(given), pool=pool)


def _embedded(home: Path, pool_size: int) -> Database:
    with _leases_lock:
        if home not in _leases:
            server = EmbeddedServer(home)
            _leases[home] = server, server.connect()
        server, lease = _leases[home]
    return shared(parse(lease.url), pool_size=pool_size, revive=server.start)
