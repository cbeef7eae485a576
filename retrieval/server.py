"""What is known about a server: its versions, where pgvector lives, and how to talk to it through a pooler."""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier, Literal
from psycopg.types.json import set_json_loads

from howdah.retrieval.conninfo import Conninfo, Pooler, with_options
from howdah.retrieval.errors import DatabaseUnavailable, ExtensionMissing
from howdah.retrieval.filtered import SCAN_TUPLES
from howdah.retrieval.lost import unavailable
from howdah.retrieval.wire import PARAMETERS

SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "client_min_messages": "warning",
    "hnsw.ef_search": "100",
    "hnsw.iterative_scan": "relaxed_order",
    "hnsw.max_scan_tuples": str(SCAN_TUPLES),
    "hnsw.scan_mem_multiplier": "2",
    "ivfflat.iterative_scan": "relaxed_order",
}
"""What every connection starts with. One generic plan a statement: a custom plan costs planning at each of a fresh
connection's first five runs, and prefers a sequential scan for the lexical arm."""

SEARCH = {name: value for name, value in SESSION.items() if name.startswith(("hnsw.", "ivfflat."))}

OPTIONS = {**SESSION, "howdah.session": "own"}
"""The start-up options. The last is a mark: a connection that does not have it has a pooler before it, which kept them."""

OLDEST_SERVER, OLDEST_PGVECTOR, SOUND_PGVECTOR = 14, (0, 8, 0), (0, 8, 4)

PROBE = SQL("""
    SELECT current_setting('server_version_num')::int AS server_version, pg_is_in_recovery() AS read_only,
           current_setting('howdah.session', true) = 'own' AS own,
           (SELECT json_object_agg(name, current_setting(name, true)) FROM unnest({names}::text[]) AS name) AS settings,
           e.extversion AS vector_version, n.nspname AS vector_schema,
           (SELECT json_object_agg(t.typname, json_build_array(t.oid::bigint, t.typarray::bigint))
            FROM pg_type t WHERE t.typnamespace = n.oid AND t.typname IN ('vector', 'halfvec')) AS types
    FROM (SELECT) AS one LEFT JOIN pg_extension e ON e.extname = 'vector' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
""").format(names=Literal(list(SESSION)))


@dataclass(frozen=True, kw_only=True)
class Server:
    """What one probe found. `settings` are those that a connection has by itself; others travel with the query.

    They are what the server says, so a user's own start-up options count; empty where a pooler mixes sessions.

    `types` maps vector and halfvec to their (type, array) OIDs. `prepares` is False behind a pooler that would hand
    another client's connection to a prepared statement.
    """

    version: int
    read_only: bool
    vector_version: tuple[int, ...]
    vector_schema: str
    types: dict[str, tuple[int, int]]
    settings: dict[str, str]
    pooler: bool
    prepares: bool

    @property
    def warning(self) -> str | None:
        """One sentence where this pgvector is known to damage indexes."""
        if self.vector_version >= SOUND_PGVECTOR:
            return None
        version = ".".join(map(str, self.vector_version))
        return (
            f"pgvector {version} can corrupt HNSW indexes on vacuum (fixed in 0.8.4):"
            " upgrade the extension, then REINDEX INDEX CONCURRENTLY each of its indexes"
        )

    def missing(self, wanted: dict[str, str]) -> dict[str, str]:
        """Of the settings that a search wants, those that a connection does not have by itself."""
        defaults = {} if self.settings else SEARCH
        return {name: value for name, value in {**defaults, **wanted}.items() if self.settings.get(name) != value}

    def adapters(self) -> AdaptersMap:
        """Psycopg's adapters with ours: vectors as binary parameters of the right type, and JSON by the standard library.

        The last point keeps a loader that another library sets for the whole process out of our rows.
        """
        adapters = AdaptersMap(psycopg.adapters)
        self.register(adapters)
        return adapters

    def register(self, adapters: AdaptersMap) -> None:
        for (type_name, is_array), parameter in PARAMETERS.items():
            if type_name in self.types:
                adapters.register_dumper(parameter, _dumper(self.types[type_name][is_array]))
        set_json_loads(json.loads, _Context(adapters))


class _Context:
    """What set_json_loads wants to be given: something that has adapters."""

    connection = None

    def __init__(self, adapters: AdaptersMap) -> None:
        self.adapters = adapters


@cache  # psycopg keeps every class that it has been given
def _dumper(type_oid: int) -> type[Dumper]:
    class BytesDumper(Dumper):
        format = Format.BINARY
        oid = type_oid

        def dump(self, obj: Any) -> Buffer | None:
            return bytes(obj)

    return BytesDumper


def probe(conninfo: Conninfo) -> Server:
    """Connect once and look. Raises DatabaseUnavailable, or ExtensionMissing where vector is absent or too old."""
    with connect(conninfo) as (conn, _):
        return look(conn, conninfo.pooler)


def look(conn: Connection[Any], pooler: Pooler) -> Server:
    """What is at the other end of a connection."""
    server = _server(conn.cursor(row_factory=tuple_row).execute(PROBE, prepare=False).fetchone(), conn, pooler)
    if server.pooler and pooler == "auto" and _keeps_prepared(conn):
        return replace(server, prepares=True)
    return server


async def alook(conn: AsyncConnection[Any], pooler: Pooler) -> Server:
    """As `look`, but takes it that a pooler found does not keep prepared statements."""
    cursor = await conn.cursor(row_factory=tuple_row).execute(PROBE, prepare=False)
    return _server(await cursor.fetchone(), conn, pooler)


def _server(row: tuple[Any, ...] | None, conn: Connection[Any] | AsyncConnection[Any], pooler: Pooler) -> Server:
    assert row is not None
    version, read_only, own, settings, extension, schema, types = row
    check_versions(version, extension, conn.info.dbname)
    mixed = pooler in {"yes", "prepared"} or (pooler == "auto" and not own)
    return Server(
        version=version,
        read_only=read_only,
        vector_version=_version(extension),
        vector_schema=schema,
        types={name: (oids[0], oids[1]) for name, oids in types.items()},
        settings=settings if own and not mixed else {},
        pooler=mixed,
        prepares=not mixed or pooler == "prepared",
    )


class OwnConnection(Connection[Any]):
    """A connection that this module or a pool of ours has made."""


class OwnAsyncConnection(AsyncConnection[Any]):
    """As `OwnConnection`."""


class connect:  # noqa: N801  a context manager, named as what it does
    """A direct connection with our start-up options, or without where a pooler refuses them: (conn, is_pooler)."""

    def __init__(self, conninfo: Conninfo) -> None:
        self.conninfo = conninfo
        self.conn: Connection[tuple[Any, ...]] | None = None

    def __enter__(self) -> tuple[Connection[tuple[Any, ...]], bool]:
        self.conn, refused = open_connection(self.conninfo)
        return self.conn, refused

    def __exit__(self, *exc: object) -> None:
        if self.conn is not None:
            self.conn.close()


# Unprepared: behind a pooler a statement would be left to whoever gets the server's connection next.
DIRECT: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
REFUSED_OPTIONS = ("unsupported startup parameter", "command-line options")
"""What poolers say to start-up options: PgBouncer, RDS Proxy."""


def open_connection(conninfo: Conninfo) -> tuple[Connection[tuple[Any, ...]], bool]:
    """A new connection, and whether it is without our start-up options, which a pooler refused or was said to refuse."""
    failure: psycopg.OperationalError | None = None
    for settings in _attempts(conninfo):
        try:
            return OwnConnection.connect(with_options(conninfo, settings), **DIRECT), not settings
        except psycopg.OperationalError as exc:
            failure = exc
        if not _refused_options(failure):
            break
    raise unavailable(failure, conninfo)


async def aopen_connection(conninfo: Conninfo) -> tuple[AsyncConnection[tuple[Any, ...]], bool]:
    """As `open_connection`."""
    failure: psycopg.OperationalError | None = None
    for settings in _attempts(conninfo):
        try:
            return await OwnAsyncConnection.connect(with_options(conninfo, settings), **DIRECT), not settings
        except psycopg.OperationalError as exc:
            failure = exc
        if not _refused_options(failure):
            break
    raise unavailable(failure, conninfo)


def _attempts(conninfo: Conninfo) -> list[dict[str, str]]:
    return [{}] if conninfo.pooler in {"yes", "prepared"} else [OPTIONS, {}]


def _refused_options(failure: psycopg.OperationalError) -> bool:
    return any(words in str(failure) for words in REFUSED_OPTIONS)


def _keeps_prepared(conn: Connection[Any]) -> bool:
    """Whether the pooler keeps prepared statements apart: it then gives them names of its own."""
    name = f"howdah_{uuid4().hex}"
    with conn.transaction():
        conn.pgconn.prepare(name.encode(), f"SELECT 1 AS {name}".encode())
        cursor = conn.cursor(row_factory=tuple_row)
        query = SQL("SELECT name FROM pg_prepared_statements WHERE statement = {}").format(f"SELECT 1 AS {name}")
        row = cursor.execute(query).fetchone()
        if row is not None and row[0] == name:
            conn.execute(SQL("DEALLOCATE {}").format(Identifier(name)))
    return row is not None and row[0] != name


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def check_versions(server: int, extension: str | None, database: str) -> None:
    """Raise where the server or its pgvector (None: it has none) is too old."""
    if server // 10_000 < OLDEST_SERVER:
        raise DatabaseUnavailable(
            f"the server is PostgreSQL {server // 10_000} and Howdah needs {OLDEST_SERVER} or newer",
            hint="upgrade the server",
        )
    if extension is None:
        raise ExtensionMissing(
            f"database {database!r} has no pgvector",
            hint=f"run: howdah db migrate (or, as a superuser in {database!r}: CREATE EXTENSION vector;)",
        )
    if _version(extension) < OLDEST_PGVECTOR:
        raise ExtensionMissing(
            f"database {database!r} has pgvector {extension} and Howdah needs 0.8.0 or newer",
            hint="install a newer package on the server, then run as a superuser: ALTER EXTENSION vector UPDATE;",
        )
