"""A composed statement and its parameters: what pure builders return and what the stores run."""

from typing import Any, NamedTuple

from psycopg.sql import SQL, Composed


class Query(NamedTuple):
    """SQL with named placeholders, and their values."""

    sql: SQL | Composed
    params: dict[str, Any]


class Condition(NamedTuple):
    """A WHERE clause, and what an index can do for it.

    `served`: an index finds the rows that it holds for, instead of a look at every row. `covered`: an index holds all that
    it asks about. `unserved`: the keys that would be served if they were promoted.
    """

    sql: SQL | Composed
    params: dict[str, Any]
    served: bool = False
    covered: bool = False
    unserved: tuple[str, ...] = ()


EVERY_ROW = Condition(SQL("true"), {}, served=True)


def both(first: Condition, second: Condition) -> Condition:
    """Rows that match both conditions; EVERY_ROW where both are that."""
    if first is EVERY_ROW or second is EVERY_ROW:
        return second if first is EVERY_ROW else first
    return Condition(
        SQL("({} AND {})").format(first.sql, second.sql),
        {**first.params, **second.params},
        first.served or second.served,
        first.covered and second.covered,
        first.unserved + second.unserved,
    )
