"""Checks of what goes on at the server: connections, transactions that are left open, slots, and a replica's conflicts."""

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.sql import SQL

from howdah.retrieval.health.check import About, Check, size
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.reading import Whose
from howdah.retrieval.query import Query
from howdah.retrieval.relations import shown

CROWDED, FULL = 0.8, 0.95
"""Shares of the connections in use. Above the second the next pool of ten fails."""
LONG_SECONDS = 3_600
"""A transaction that is open for longer keeps VACUUM from every row that was deleted since (manual, 24.1.2)."""


@dataclass(frozen=True, kw_only=True)
class Connections:
    """How many there are, and how many may be: of the server, of this database and of this role. None: no limit."""

    used: int
    server: int
    of_database: int
    database: int | None
    of_role: int
    role: int | None


CONNECTIONS = Query(
    SQL("""
        SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
               current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                 - coalesce(current_setting('reserved_connections', true)::int, 0) AS server,
               (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid AND backend_type = 'client backend') AS of_database,
               nullif(d.datconnlimit, -1) AS database,
               (SELECT count(*) FROM pg_stat_activity WHERE usesysid = r.oid AND backend_type = 'client backend') AS of_role,
               nullif(r.rolconnlimit, -1) AS role
        FROM pg_database AS d, pg_roles AS r WHERE d.datname = current_database() AND r.rolname = current_user
    """),
    {},
)


def connections(patient: Patient) -> Iterator[Check]:
    found = Connections(**patient.plain.row(CONNECTIONS))
    yield judge_connections(found, patient.whose, pool=patient.client.pool_size)


def judge_connections(found: Connections, whose: Whose, *, pool: int) -> Check:
    """Whether there is room for one more pool; two connections of `used` are the doctor's own."""
    about = About("connections")
    database, role = shown(whose.database), shown(whose.role)
    bounds = [
        (
            found.server,
            found.used,
            "the server",
            f"ALTER SYSTEM SET max_connections = {2 * found.server}; -- then restart it",
        ),
        (
            found.database,
            found.of_database,
            f"database {whose.database}",
            f"ALTER DATABASE {database} CONNECTION LIMIT -1;",
        ),
        (found.role, found.of_role, f"role {whose.role}", f"ALTER ROLE {role} CONNECTION LIMIT -1;"),
    ]
    for limit, used, what, fix in bounds:
        if limit is None or (used < CROWDED * limit and limit - used + 2 >= pool):
            continue
        seen = f"{used} of the {limit} connections of {what} are in use, and one process' pool takes up to {pool}"
        return about.fail(seen, fix) if used >= FULL * limit else about.warn(seen, fix)
    return about.ok(f"{found.used} of {found.server} connections are in use")


OPEN = Query(
    SQL("""
        SELECT pid, usename::text AS "user", state, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
        FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
          AND backend_type = 'client backend' ORDER BY xact_start LIMIT 1
    """),
    {},
)


def long_transactions(patient: Patient) -> Iterator[Check]:
    about = About("long-transactions")
    if not patient.facts.monitors:
        yield about.warn(f"{patient.facts.user} may not see what others' sessions do", patient.grant)
        return
    rows = patient.plain.rows(OPEN)
    yield judge_transaction(**rows[0]) if rows else about.ok("no transaction is open")


def judge_transaction(*, pid: int, user: str, state: str | None, seconds: float) -> Check:
    about = About("long-transactions")
    if seconds < LONG_SECONDS:
        return about.ok(f"the oldest open transaction is {seconds:.0f} s old")
    return about.warn(
        f"session {pid} of {user} ({state}) has had a transaction open for {seconds / 3_600:.1f} hours:"
        " no row that was deleted since can be vacuumed",
        f"SELECT pg_terminate_backend({pid});",
    )


SLOTS = Query(
    SQL("""
        SELECT slot_name::text AS name, coalesce(pg_wal_lsn_diff(
                   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, restart_lsn
               ), 0)::bigint AS bytes
        FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY slot_name
    """),
    {},
)


def replication_slots(patient: Patient) -> Iterator[Check]:
    found = patient.plain.rows(SLOTS)
    about = About("replication-slots")
    if not found:
        yield about.ok("none is left unused")
        return
    names = ", ".join(row["name"] for row in found)
    yield about.warn(
        f"nobody reads from the slot {names}, and the server keeps {size(sum(row['bytes'] for row in found))} of its log"
        " for it, without end",
        "\n".join(
            f"SELECT pg_drop_replication_slot('{row['name']}'); -- unless its replica comes back" for row in found
        ),
    )


CONFLICTS = Query(
    SQL("""
        SELECT coalesce(sum(confl_snapshot + confl_lock + confl_bufferpin + confl_tablespace + confl_deadlock), 0)::bigint
               AS cancelled
        FROM pg_stat_database_conflicts WHERE datname = current_database()
    """),
    {},
)


def replica(patient: Patient) -> Iterator[Check]:
    if not patient.facts.read_only:
        yield About("replica").ok("this server is no replica")
        return
    cancelled = patient.plain.row(CONFLICTS)["cancelled"]
    yield judge_replica(feedback=patient.settings["hot_standby_feedback"].on, cancelled=cancelled)


def judge_replica(*, feedback: bool, cancelled: int) -> Check:
    """Without feedback a vacuum on the primary cancels the searches of a replica that still see the rows (40001)."""
    about = About("replica")
    if feedback:
        return about.ok(f"a replica with hot_standby_feedback; {cancelled:,} searches were cancelled by its primary")
    return about.warn(
        f"a replica without hot_standby_feedback: a vacuum on the primary cancels searches here, {cancelled:,} so far",
        "ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();",
    )
