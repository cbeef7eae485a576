"""Every statement on `howdah.records`, as pure functions; each names tenant and namespace."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composed

from howdah.retrieval import values
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Query

MINE = SQL("r.tenant = %(tenant)s AND r.namespace = %(namespace)s")
LONGEST, LONGEST_GROUP, LONGEST_NAMESPACE = 1_000, 2_000, 400
"""Bytes that the indexes have room for."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The records of one namespace of one tenant."""

    tenant: str
    namespace: str

    @property
    def params(self) -> dict[str, object]:
        return {"tenant": self.tenant, "namespace": self.namespace}


def now() -> Query:
    """The server's clock as it is, not as it was when the transaction began."""
    return Query(SQL("SELECT extract(epoch FROM clock_timestamp())::float8 AS now"), {})


def update(
    ledger: Ledger, keys: Sequence[str], groups: Sequence[str | None] | None, time_at_least: float | None
) -> Query:
    """Insert the keys or mark them as seen now; touches no row where the clock is before `time_at_least`.

    In key order, so that two runs over the same documents never lock each other out. A repeated key keeps its last
    group. Without groups each key keeps the one that it has: LangChain marks what is unchanged in such a call, and a
    clean-up that came between would miss it. A clock that was set back does not take a time back.
    """
    if groups is not None and len(groups) != len(keys):
        raise InvalidInput(f"{len(keys)} keys and {len(groups)} group_ids were given", hint="give one group_id a key")
    found = dict(zip(checked(keys), groups or [None] * len(keys), strict=True))
    names = sorted(found)
    kept = SQL("r.group_id") if groups is None else SQL("excluded.group_id")
    return Query(
        SQL("""
            INSERT INTO howdah.records AS r (tenant, namespace, key, group_id, updated_at)
            SELECT %(tenant)s, %(namespace)s, s.key, s.group_id, clock.now
            FROM unnest(%(keys)s::text[], %(groups)s::text[]) WITH ORDINALITY AS s (key, group_id, place),
                 (SELECT extract(epoch FROM clock_timestamp())::float8 AS now OFFSET 0) AS clock
            WHERE clock.now >= coalesce(%(at_least)s::float8, clock.now) ORDER BY s.place
            ON CONFLICT (tenant, namespace, key) DO UPDATE
            SET group_id = {}, updated_at = greatest(r.updated_at, excluded.updated_at)
        """).format(kept),
        {**ledger.params, "keys": names, "groups": [_group(found[name]) for name in names], "at_least": time_at_least},
    )


def exists(ledger: Ledger, keys: Sequence[str], collection: Collection | None = None) -> Query:
    """Those of the keys that are there; of a collection's, those whose chunk is there too."""
    whole = SQL("true") if collection is None else _chunk_in(collection)
    return Query(
        SQL("SELECT r.key FROM howdah.records AS r WHERE {} AND r.key = ANY(%(keys)s::text[]) AND {}").format(
            MINE, whole
        ),
        {**ledger.params, "keys": list(checked(keys))},
    )


def _chunk_in(collection: Collection) -> Composed:
    """Whether the record's chunk is in the collection."""
    return SQL("EXISTS (SELECT FROM {} AS c WHERE c.tenant = %(tenant)s AND c.id = r.key)").format(collection.chunks)


def listing(
    ledger: Ledger, *, before: float | None, after: float | None, groups: Sequence[str] | None, limit: int | None
) -> Query:
    """Keys seen before, and after, these times (neither included) and of these groups; those seen longest ago first.

    No groups are all groups, as LangChain's own record managers have it.
    """
    conditions = {
        "before": (before, SQL("r.updated_at < %(before)s")),
        "after": (after, SQL("r.updated_at > %(after)s")),
        "groups": ([_group(group) for group in groups or []] or None, SQL("r.group_id = ANY(%(groups)s::text[])")),
    }
    said = {name: item for name, item in conditions.items() if item[0] is not None}
    if limit is not None and limit < 0:
        raise InvalidInput(f"limit is {limit} and must be a whole number from 0", hint="None is no limit")
    return Query(
        SQL(
            "SELECT r.key FROM howdah.records AS r WHERE {} ORDER BY r.updated_at, r.key LIMIT %(limit)s::bigint"
        ).format(SQL(" AND ").join([MINE, *(sql for _, sql in said.values())])),
        {**ledger.params, "limit": limit, **{name: value for name, (value, _) in said.items()}},
    )


def delete(ledger: Ledger, keys: Sequence[str]) -> Query:
    """Delete the keys, in their order: see `update`. As an array: a join is planned for few rows until there are statistics."""
    return Query(
        SQL("""
            WITH doomed AS MATERIALIZED (
                SELECT r.key FROM howdah.records AS r WHERE {mine} AND r.key = ANY(%(keys)s::text[])
                ORDER BY r.key FOR UPDATE
            )
            DELETE FROM howdah.records AS r WHERE {mine} AND r.key = ANY(ARRAY(SELECT key FROM doomed))
        """).format(mine=MINE),
        {**ledger.params, "keys": list(checked(keys))},
    )


def checked(keys: Sequence[str], what: str = "key", longest: int = LONGEST) -> Sequence[str]:
    """The keys, where each is a text that PostgreSQL can hold. Raises InvalidInput."""
    for key in keys:
        if not isinstance(key, str) or len(key.encode("utf-8", "surrogatepass")) > longest or values.text(key) != key:
            raise InvalidInput(
                f"the {what} {str(key)[:60]!r} cannot be stored",
                hint=f"use text of up to {longest:,} bytes without NUL characters and lone surrogates",
            )
    return keys


def _group(group: str | None) -> str | None:
    """A group as stored: what PostgreSQL cannot hold of a source's name is replaced in it as in the row's metadata."""
    return None if group is None else checked([values.text(group)], "group_id", LONGEST_GROUP)[0]
