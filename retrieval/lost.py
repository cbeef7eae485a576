"""Why a database cannot be used: psycopg's errors in one sentence each, and which of them mean a lost connection."""

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.errors import DatabaseUnavailable

LOST = (psycopg.OperationalError, psycopg.InterfaceError)
OF_POOL = (PoolClosed, PoolTimeout, TooManyRequests)

ROOM = "close some, have the limit raised, or use a pooler"
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
    ("failed to resolve host", "the host name cannot be resolved", "correct the host in the URL"),
    ("could not translate host name", "the host name cannot be resolved", "correct the host in the URL"),
    ("timeout", "no answer came in time", "check host, port and firewall, or raise connect_timeout in the URL"),
    ("too many clients", "all of the server's connections are in use", ROOM),
    ("too many connections", "all connections that it allows are in use", ROOM),
    ("connection slots are reserved", "all of the server's connections are in use", ROOM),
    ("SSL", "the encrypted connection failed", "check sslmode and the certificates named in the URL"),
    ("starting up", "the server is starting up", "try again in a moment"),
    ("shutting down", "the server is shutting down", "try again in a moment"),
    ("recovery", "the server is recovering from a crash", "try again in a moment"),
    ("terminating connection", "the server ended the connection", "try again"),
    ("closed", "the connection was lost", "try again, and see the server's log if it happens again"),
    ("lost", "the connection was lost", "try again, and see the server's log if it happens again"),
)


def unavailable(exc: BaseException | None, conninfo: Conninfo) -> DatabaseUnavailable:
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


# Class 08 is connection exceptions, which poolers give too; these are shutdown, crash, start-up, database dropped, idle
# session and idle transaction.
LOST_STATES = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03"})


def died(exc: BaseException) -> bool:
    """Whether the connection was lost, so that a read may be tried again on another one."""
    if isinstance(exc, OF_POOL) or not isinstance(exc, LOST):
        return False
    return exc.sqlstate is None or exc.sqlstate in LOST_STATES or exc.sqlstate.startswith("08")
