"""A composed statement and its parameters: what pure builders return and what the stores run."""

from typing import Any, NamedTuple

from psycopg.sql import SQL, Composed


class Query(NamedTuple):
    """SQL with named placeholders, and their values."""

    sql: SQL | Composed
    params: dict[str, Any]


EVERY_ROW = Query(SQL("true"), {})


def both(first: Query, second: Query) -> Query:
    """Rows that match both conditions; EVERY_ROW where both are that."""
    if first is EVERY_ROW or second is EVERY_ROW:
        return second if first is EVERY_ROW else first
    return Query(SQL("({} AND {})").format(first.sql, second.sql), {**first.params, **second.params})
