"""What is known about a server: its versions, where pgvector lives, and how to talk to it through a pooler."""

import json
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format
from psycopg.types.json import set_json_loads

from howdah.retrieval.conninfo import Conninfo, with_options
from howdah.retrieval.errors import DatabaseUnavailable, ExtensionMissing, HowdahError
from howdah.retrieval.wire import PARAMETERS

SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "client_min_messages": "warning",
    "hnsw.ef_search": "100",
    "hnsw.iterative_scan": "relaxed_order",
}
"""What every connection starts with. One generic plan a statement: a custom plan costs planning at each of a fresh
connection's first five runs, and prefers a sequential scan for the lexical arm."""

SEARCH = {name: SESSION[name] for name in ("hnsw.ef_search", "hnsw.iterative_scan")}

OLDEST_SERVER, OLDEST_PGVECTOR, SOUND_PGVECTOR = 14, (0, 8, 0), (0, 8, 4)

PROBE = """
    SELECT current_setting('server_version_num')::int AS server_version, pg_is_in_recovery() AS read_only,
           current_setting('plan_cache_mode') AS plan_cache_mode,
           current_setting('hnsw.iterative_scan', true) AS iterative_scan,
           e.extversion AS vector_version, n.nspname AS vector_schema,
           (SELECT json_object_agg(t.typname, json_build_array(t.oid::bigint, t.typarray::bigint))
            FROM pg_type t WHERE t.typnamespace = n.oid AND t.typname IN ('vector', 'halfvec')) AS types
    FROM (SELECT) AS one LEFT JOIN pg_extension e ON e.extname = 'vector' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """What one probe found. `settings` are those that a connection has by itself; others travel with the query.

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
        return {name: value for name, value in {**SEARCH, **wanted}.items() if self.settings.get(name) != value}

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


def _dumper(type_oid: int) -> type[Dumper]:
    class BytesDumper(Dumper):
        format = Format.BINARY
        oid = type_oid

        def dump(self, obj: Any) -> Buffer | None:
            return bytes(obj)

    return BytesDumper


def probe(conninfo: Conninfo) -> Server:
    """Connect once and look. Raises DatabaseUnavailable, or ExtensionMissing where vector is absent or too old."""
    with connect(conninfo) as (conn, declared):
        row = conn.execute(PROBE).fetchone()
        assert row is not None
        version, read_only, plan_cache_mode, iterative_scan, extension, schema, types = row
        _check_versions(version, extension, conn)
        own = plan_cache_mode == SESSION["plan_cache_mode"] and iterative_scan == SESSION["hnsw.iterative_scan"]
        rewritten = _prepared_name(conn).startswith("PGBOUNCER_")
        pooler = declared or rewritten or not own
        return Server(
            version=version,
            read_only=read_only,
            vector_version=_version(extension),
            vector_schema=schema,
            types={name: (oids[0], oids[1]) for name, oids in types.items()},
            settings={} if pooler else dict(SESSION),
            pooler=pooler,
            prepares=not pooler or rewritten or conninfo.pooler == "prepared",
        )


class connect:  # noqa: N801  a context manager, named as what it does
    """A direct connection with our start-up options, or without where a pooler refuses them: (conn, is_pooler)."""

    def __init__(self, conninfo: Conninfo) -> None:
        self.conninfo = conninfo
        self.conn: Connection[tuple[Any, ...]] | None = None

    def __enter__(self) -> tuple[Connection[tuple[Any, ...]], bool]:
        declared = self.conninfo.pooler in ("yes", "prepared")
        try:
            self.conn = _connect(self.conninfo, {} if declared else SESSION)
        except psycopg.OperationalError as exc:
            if "unsupported startup parameter" not in str(exc):
                raise unavailable(exc, self.conninfo) from None
            declared = True
            self.conn = _connect(self.conninfo, {})
        return self.conn, declared

    def __exit__(self, *exc: object) -> None:
        if self.conn is not None:
            self.conn.close()


def _connect(conninfo: Conninfo, settings: dict[str, str]) -> Connection[tuple[Any, ...]]:
    threshold = 5 if settings else None
    return psycopg.connect(with_options(conninfo, settings), autocommit=True, prepare_threshold=threshold)


def _prepared_name(conn: Connection[tuple[Any, ...]]) -> str:
    """The server's name of a statement that we prepare: a pooler that supports them gives it a name of its own."""
    if conn.prepare_threshold is None:
        return ""
    with conn.transaction():
        conn.execute("SELECT 1 AS howdah_probe", prepare=True)
        row = conn.execute("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%howdah_probe'").fetchone()
    return str(row[0]) if row else ""


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _check_versions(server: int, extension: str | None, conn: Connection[tuple[Any, ...]]) -> None:
    if server // 10_000 < OLDEST_SERVER:
        raise DatabaseUnavailable(
            f"the server is PostgreSQL {server // 10_000} and Howdah needs {OLDEST_SERVER} or newer",
            hint="upgrade the server",
        )
    if extension is None:
        name = conn.info.dbname
        raise ExtensionMissing(
            f"database {name!r} has no pgvector",
            hint=f"run: howdah db migrate (or, as a superuser in {name!r}: CREATE EXTENSION vector;)",
        )
    if _version(extension) < OLDEST_PGVECTOR:
        raise ExtensionMissing(
            f"database {conn.info.dbname!r} has pgvector {extension} and Howdah needs 0.8.0 or newer",
            hint="install a newer package on the server, then run as a superuser: ALTER EXTENSION vector UPDATE;",
        )


REASONS: tuple[tuple[str, str, str], ...] = (
    (
        "password authentication failed",
        "the server refuses the password of this user",
        "check user and password in the URL",
    ),
    (
        "no password supplied",
        "the server wants a password and the URL has none",
        "write postgresql://user:password@host/db",
    ),
    (
        "no pg_hba.conf entry",
        "the server does not admit this user from here",
        "ask its administrator for a pg_hba.conf line",
    ),
    ("does not exist", "the database or the user does not exist there", "create it, or correct the URL"),
    ("Connection refused", "nothing listens there", "start the server, or correct host and port in the URL"),
    ("No such file", "no server has its socket there", "start the server, or correct the host in the URL"),
    ("could not translate host name", "the host name cannot be resolved", "correct the host in the URL"),
    ("timeout", "no answer came in time", "check host, port and firewall, or raise connect_timeout in the URL"),
    (
        "too many clients",
        "all of the server's connections are in use",
        "close some, raise max_connections, or use a pooler",
    ),
    ("SSL", "the encrypted connection failed", "check sslmode and the certificates named in the URL"),
    ("starting up", "the server is starting up", "try again in a moment"),
)


def unavailable(exc: BaseException, conninfo: Conninfo) -> DatabaseUnavailable:
    """One sentence for a failed connection, without secrets and without libpq's repetition."""
    detail = conninfo.redact(" ".join(str(exc).split()))
    for needle, reason, hint in REASONS:
        if needle in detail:
            return DatabaseUnavailable(f"cannot use {conninfo.place}: {reason} ({_last(detail)})", hint=hint)
    return DatabaseUnavailable(
        f"cannot use {conninfo.place}: {_last(detail)}", hint="check the database URL and the server"
    )


def _last(detail: str) -> str:
    text = detail.rsplit("FATAL:", 1)[-1] if "FATAL:" in detail else detail.rsplit("failed:", 1)[-1]
    return text.strip()[:300]


def died(exc: BaseException) -> bool:
    """Whether the connection was lost, so that a read may be tried again on another one."""
    if isinstance(exc, errors.AdminShutdown | errors.CrashShutdown | errors.CannotConnectNow):
        return True
    return isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError) and getattr(exc, "sqlstate", None) is None


def translate(exc: psycopg.Error, conninfo: Conninfo) -> HowdahError | None:
    """Our error for a psycopg one, where we can say more than it does; else None."""
    if died(exc):
        return unavailable(exc, conninfo)
    return None
