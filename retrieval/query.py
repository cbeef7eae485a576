"""A composed statement and its parameters: what pure builders return and what the stores run."""

from typing import Any, NamedTuple

from psycopg.sql import SQL, Composed


class Query(NamedTuple):
    """SQL with named placeholders, and their values."""

    sql: SQL | Composed
    params: dict[str, Any]


EVERY_ROW = Query(SQL("true"), {})
