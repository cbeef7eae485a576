"""Promote metadata keys of a collection that is there, or demote them: DDL, by hand and never inside a search or an add."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection, errors
from psycopg.rows import dict_row
from psycopg.sql import SQL, Literal, Placeholder

from howdah.retrieval import catalog, schema, upkeep
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput
from howdah.retrieval.promoted import Kind, Promoted, json_value_of, key_path, promoted_keys, promoted_labels
from howdah.retrieval.query import Query
from howdah.retrieval.server import connect
from howdah.retrieval.store import Store

LOCK_SECONDS = 10
SAMPLE = 10_000
"""Rows whose values tell what type a key has."""


def promote(store: Store, name: str, keys: Mapping[str, str | None]) -> Mapping[str, str]:
    """Give metadata keys a column and a B-tree each; all that are promoted now, {key: "number" | "text" | "boolean"}.

    None as the type is read off the stored values. The table is written anew, which keeps searches waiting for some four
    seconds a hundred thousand rows, and its vector index goes with it: `maintain` builds that again while searches go on.

    Raises InvalidInput where a key's values tell no type or it is promoted as another; DatabaseUnavailable where the table
    stays in use for longer than ten seconds.
    """
    store.forget(name)
    collection = store.get(name)
    store.prepare_schema()
    _check_alone(collection)
    kinds = {key: kind or _kind_of(store, collection, key) for key, kind in keys.items()}
    wanted = promoted_keys({**promoted_labels(collection.promoted), **kinds})
    for key, kind in kinds.items():
        if key in collection.promoted and collection.promoted[key].kind.label != kind:
            raise InvalidInput(
                f"{key!r} is promoted as {collection.promoted[key].kind.label} and this says {kind}",
                hint=f"run first: howdah collections demote {name} {key}",
            )
    fresh = [item for key, item in wanted.items() if key not in collection.promoted]
    if fresh:
        _alter(store, collection, schema.promote(collection, fresh), wanted, rewrites=True)
    return promoted_labels(wanted)


def demote(store: Store, name: str, keys: Sequence[str]) -> Mapping[str, str]:
    """Drop the columns of these keys; all that stay promoted. The metadata keep the values."""
    store.forget(name)
    collection = store.get(name)
    store.prepare_schema()
    _check_alone(collection)
    unknown = sorted(set(keys) - set(collection.promoted))
    if unknown:
        known = ", ".join(sorted(collection.promoted)) or "none"
        raise InvalidInput(f"{unknown[0]!r} is not promoted in {name!r}", hint=f"promoted keys: {known}")
    gone = [collection.promoted[key] for key in dict.fromkeys(keys)]
    left = {key: item for key, item in collection.promoted.items() if item not in gone}
    if gone:
        _alter(store, collection, schema.demote(collection, gone), left, rewrites=False)
    return promoted_labels(left)


def _check_alone(collection: Collection) -> None:
    """Raise InvalidInput while the rows are in two tables: they would have to be altered alike."""
    if collection.reembedding is not None:
        raise InvalidInput(
            f"the embedding model of {collection.name!r} is being changed, and its columns cannot be meanwhile",
            hint=f"first end that: howdah collections reembed {collection.name} --finish (or --rollback)",
        )


def _alter(
    store: Store, collection: Collection, statement: Any, promoted: Mapping[str, Promoted], *, rewrites: bool
) -> None:
    with connect(store.database.conninfo) as (conn, _):
        try:
            with conn.transaction():
                conn.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(f"{LOCK_SECONDS}s")))
                conn.execute(SQL("SET LOCAL statement_timeout = 0"))
                if rewrites:
                    _drop_vector_indexes(conn, collection)
                conn.execute(statement)
                conn.execute(*catalog.set_promoted(collection, promoted))
        except errors.LockNotAvailable as exc:
            raise DatabaseUnavailable(
                f"collection {collection.name!r} stayed in use for {LOCK_SECONDS} s; nothing was changed",
                hint="try again when no load or maintenance is running",
            ) from exc
        conn.execute(SQL("ANALYZE {}").format(collection.chunks))
    store.forget(collection.name)


def _drop_vector_indexes(conn: Connection[Any], collection: Collection) -> None:
    """Else the rewrite would build them again, under its lock."""
    for row in conn.cursor(row_factory=dict_row).execute(*upkeep.indexes(collection)).fetchall():
        conn.execute(upkeep.drop_index_now(row["schema"], row["name"]))


def _kind_of(store: Store, collection: Collection, key: str) -> str:
    """The JSON type of the key's values, where they have one."""
    found = {row["type"]: row["rows"] for row in store.rows(_types(collection, key)) if row["type"] != "null"}
    kinds = {kind.json_type: kind.label for kind in Kind}
    if len(found) == 1 and (json_type := next(iter(found))) in kinds:
        return kinds[json_type]
    seen = ", ".join(f"{rows:,} {json_type}" for json_type, rows in sorted(found.items())) or "no values"
    raise InvalidInput(
        f"the type of {key!r} is not clear: {seen} in the first {SAMPLE:,} chunks",
        hint=f"say it: {key}=number, {key}=text or {key}=boolean",
    )


def _types(collection: Collection, key: str) -> Query:
    parts = {f"part{place}": part for place, part in enumerate(key_path(key))}
    return Query(
        SQL("""
            SELECT jsonb_typeof({value}) AS type, count(*) AS rows
            FROM (SELECT metadata FROM {chunks} WHERE tenant = %(tenant)s LIMIT {sample}) AS c
            WHERE {value} IS NOT NULL GROUP BY 1
        """).format(
            value=json_value_of(SQL("c.metadata"), [Placeholder(name) for name in parts], Placeholder("key")),
            chunks=collection.chunks,
            sample=Literal(SAMPLE),
        ),
        {"tenant": collection.tenant, "key": key, **(parts if len(parts) > 1 else {})},
    )
