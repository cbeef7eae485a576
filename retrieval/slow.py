"""Searches that took too long, in the log with their plan: one record a search, few a minute, and no word of any text.

The plan is the generic one of the same statement, which our connections run by. It is asked for with NULL in the place of
every value, so neither the question nor its vector nor a filter's value leaves this process again, or can be in the log.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import Filter
from howdah.retrieval.query import Query

LOG = logging.getLogger("howdah.slow")
EVERY = 10.0
"""Seconds between two records of a store: a server in trouble makes every search slow."""
BOUNDED = {"statement_timeout": "2s", "lock_timeout": "500ms", "plan_cache_mode": "force_generic_plan"}
_PLACEHOLDER = re.compile(r"%%|%\((\w+)\)s")


class Ran(NamedTuple):
    """A search's statement as it ran: its settings, and the `seconds` that it took, the mean of `searches` at once."""

    mode: str
    k: int
    filter: Filter | None
    query: Query
    settings: Mapping[str, str]
    seconds: float
    searches: int = 1


NO_QUERY = Query(SQL(""), {})


@dataclass
class SlowLog:
    """Which searches of a store are logged: those slower than `threshold` seconds (None: none), at most one in EVERY."""

    threshold: float | None = None
    _next: float = field(default=0.0, repr=False)
    _left_out: int = field(default=0, repr=False)

    @classmethod
    def of(cls, milliseconds: float | None) -> "SlowLog":
        if milliseconds is None:
            return cls()
        if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or not 0 < milliseconds < 1e9:
            raise InvalidInput(
                f"slow_ms is {milliseconds!r} and must be a number of milliseconds above 0",
                hint="slow_ms=500 logs searches that take longer than half a second; None logs none",
            )
        return cls(milliseconds / 1_000)

    def slow(self, seconds: float) -> bool:
        return self.threshold is not None and seconds > self.threshold

    def due(self) -> bool:
        """Whether this slow search is to be logged; those that are not are counted for the next record."""
        now = time.monotonic()
        if now < self._next:
            self._left_out += 1
            return False
        self._next = now + EVERY
        return True

    def write(self, collection: str, ran: Ran, plan: str) -> None:
        """One record; its attribute `search` holds the same facts for formatters of JSON."""
        left_out, self._left_out = self._left_out, 0
        facts = {
            "milliseconds": round(ran.seconds * 1_000, 1),
            "threshold_ms": round((self.threshold or 0) * 1_000, 3),
            "mode": ran.mode,
            "collection": collection,
            "k": ran.k,
            "filter": shape(ran.filter),
            "settings": dict(ran.settings),
            "searches": ran.searches,
            "left_out": left_out,
            "plan": plan,
        }
        LOG.warning("%s", said(facts), extra={"search": facts})


def said(facts: Mapping[str, Any]) -> str:
    """The record's text: a sentence, then the plan."""
    many = f" for {facts['searches']} searches" if facts["searches"] > 1 else ""
    more = f"; {facts['left_out']} other slow searches were not logged" if facts["left_out"] else ""
    settings = ", ".join(f"{name}={value}" for name, value in facts["settings"].items()) or "none"
    return (
        f"slow search: {facts['milliseconds']:g} ms{many}, more than {facts['threshold_ms']:g} ms;"
        f" mode {facts['mode']}, collection {facts['collection']!r}, k {facts['k']}, filter {facts['filter'] or 'none'},"
        f" settings {settings}{more}\n{facts['plan']}"
    )


def shape(given: Any) -> str:
    """A filter without its values: {'year': {'$gte': number}}; empty without one."""
    if given is None or given == {}:
        return ""
    return _shape(given)


def _shape(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{str(key)[:80]!r}: {_shape(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)
        if items and all(isinstance(item, Mapping) for item in items):
            return "[" + ", ".join(_shape(item) for item in items) + "]"
        return f"[{len(items)} values]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else type(value).__name__


# -- the plan


class Explain(NamedTuple):
    """What to run, in this order and in one transaction: PREPARE, EXPLAIN; afterwards DEALLOCATE."""

    prepare: Composed
    explain: Composed
    forget: Composed


def explain(query: Query, conn: Connection[Any] | Any) -> Explain:
    """The statements that show the generic plan of `query`; every parameter is NULL, on which that plan does not depend."""
    name = Identifier(f"howdah_slow_{uuid4().hex}")
    numbers: dict[str, str] = {}

    def numbered(found: re.Match[str]) -> str:
        return "%" if found[1] is None else numbers.setdefault(found[1], f"${len(numbers) + 1}")

    text = _PLACEHOLDER.sub(numbered, query.sql.as_string(conn))
    nulls = SQL(", ").join([SQL("NULL")] * len(numbers))
    execute = SQL("EXPLAIN (FORMAT TEXT) EXECUTE {} ({})" if numbers else "EXPLAIN (FORMAT TEXT) EXECUTE {}")
    return Explain(
        SQL("PREPARE {} AS {}").format(name, SQL(text)),  # pyright: ignore[reportArgumentType]  composed by psycopg
        execute.format(name, nulls) if numbers else execute.format(name),
        SQL("DEALLOCATE {}").format(name),
    )
