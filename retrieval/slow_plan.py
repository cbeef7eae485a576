"""The plan of a statement that was slow, from EXPLAIN on a connection of the pool: within two seconds, or not at all."""

from collections.abc import Mapping
from contextlib import suppress

import psycopg
from psycopg import errors
from psycopg.rows import tuple_row

from howdah.retrieval import queries
from howdah.retrieval.database import AsyncConn, Conn, Database
from howdah.retrieval.errors import HowdahError
from howdah.retrieval.query import Query
from howdah.retrieval.slow import BOUNDED, Explain, explain

BUSY = "no plan: every connection of the pool is in use"


def plan(database: Database, query: Query, settings: Mapping[str, str]) -> str:
    """What EXPLAIN shows of the statement under these settings; else why there is no plan. Never raises for the server."""
    if database.busy:
        return BUSY
    try:
        with database.connection() as conn:
            return _plan(conn, explain(query, conn), database.server.missing({**settings, **BOUNDED}))
    except (psycopg.Error, HowdahError) as exc:
        return _none(exc)


async def aplan(database: Database, query: Query, settings: Mapping[str, str]) -> str:
    """As `plan`."""
    if database.busy:
        return BUSY
    try:
        server = await database.aserver()
        async with database.aconnection() as conn:
            return await _aplan(conn, explain(query, conn), server.missing({**settings, **BOUNDED}))
    except (psycopg.Error, HowdahError) as exc:
        return _none(exc)


def _plan(conn: Conn, steps: Explain, settings: dict[str, str]) -> str:
    cursor = conn.cursor(row_factory=tuple_row)
    try:
        with conn.transaction():
            cursor.execute(*queries.set_local(settings), prepare=False)
            cursor.execute(steps.prepare, prepare=False)
            return _text(cursor.execute(steps.explain, prepare=False).fetchall())
    finally:
        with suppress(errors.InvalidSqlStatementName):  # it was not prepared
            conn.execute(steps.forget, prepare=False)


async def _aplan(conn: AsyncConn, steps: Explain, settings: dict[str, str]) -> str:
    cursor = conn.cursor(row_factory=tuple_row)
    try:
        async with conn.transaction():
            await cursor.execute(*queries.set_local(settings), prepare=False)
            await cursor.execute(steps.prepare, prepare=False)
            return _text(await (await cursor.execute(steps.explain, prepare=False)).fetchall())
    finally:
        with suppress(errors.InvalidSqlStatementName):
            await conn.execute(steps.forget, prepare=False)


def _text(rows: list[tuple[str]]) -> str:
    return "\n".join(row[0] for row in rows)


def _none(exc: Exception) -> str:
    """The kind of error alone: a server's message may hold a value."""
    return f"no plan: {type(exc).__name__}"
