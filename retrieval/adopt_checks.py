"""What an adoption refuses before it writes, and what the collection remembers of where its rows are from."""

from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL

from howdah.retrieval.adopt_report import Adoption
from howdah.retrieval.adopt_sources import Kind, Source
from howdah.retrieval.collection import UNKNOWN_MODEL, Collection
from howdah.retrieval.errors import CollectionMismatch, DimensionMismatch, InvalidInput
from howdah.retrieval.query import Query

Row = dict[str, Any]


def dimensions(source: Source, facts: Row) -> int:
    if facts["embedded"] == 0:
        raise InvalidInput(f"{source.shown} has no row with an embedding", hint="there is nothing to adopt")
    low, high = facts.get("low"), facts.get("high")
    if low != high:
        raise InvalidInput(
            f"{source.shown} has embeddings of {low:,} to {high:,} dimensions, and a collection has one length",
            hint="delete or move those of the model that is no longer used",
        )
    return int(low or source.embedding.dimensions or 0)


def check_rows(source: Source, facts: Row) -> None:
    """Refuse what cannot come back as it was."""
    if facts["bad_ids"]:
        raise InvalidInput(
            f"{facts['bad_ids']:,} rows of {source.shown} have an id that is NULL, empty or longer than 1,000 bytes",
            hint="name another column: --id COLUMN",
        )
    if facts["not_objects"]:
        raise InvalidInput(
            f"{facts['not_objects']:,} rows of {source.shown} have metadata that is not a JSON object",
            hint="mend these rows: metadata is an object",
        )
    twice = facts["embedded"] - facts.get("ids", facts["embedded"])
    if twice and source.kind is not Kind.LLAMAINDEX:
        raise InvalidInput(
            f"{twice:,} ids of {source.shown} occur more than once", hint="name a column that is unique: --id COLUMN"
        )


def check_like(collection: Collection, report: Adoption, *, config: str | None) -> None:
    """Refuse to copy into a collection that is not like the source."""
    spec = collection.spec
    if spec.dimensions != report.dimensions:
        raise DimensionMismatch(got=report.dimensions, want=spec.dimensions, collection=collection.name)
    for option, value, has in (
        ("--storage", report.storage.type_name, spec.storage.type_name),
        ("--metric", report.metric.label, spec.metric.label),
        ("--config", config or spec.config, spec.config),
    ):
        if value != has:
            raise CollectionMismatch(
                f"collection {collection.name!r} was made with {has} and {option} says {value}",
                hint=f"leave {option} out, or name another collection: --into NAME",
            )
    if UNKNOWN_MODEL not in (report.model, spec.model) and report.model != spec.model:
        raise CollectionMismatch(
            f"collection {collection.name!r} was embedded with {spec.model!r} and --model says {report.model!r}",
            hint="use that model, or name another collection: --into NAME",
        )


def check_origin(conn: Connection[Any], collection: Collection, source: Source, *, chunks: int) -> None:
    """Refuse to mix the source's rows with others: an equal id would replace a row that it has nothing to do with."""
    said = conn.cursor(row_factory=dict_row).execute(*_remembered(collection)).fetchone()
    if said != _origin(source) and chunks:
        raise InvalidInput(
            f"collection {collection.name!r} has rows that are not from {source.shown}",
            hint="name another collection: --into NAME",
        )


def remember(collection: Collection, source: Source) -> Query:
    """Where the rows are from, in the collection's settings."""
    return Query(
        SQL("""
            UPDATE howdah.collections
            SET settings = settings || jsonb_build_object('adopted', jsonb_build_object(
                'schema', %(schema)s::text, 'table', %(table)s::text, 'collection', %(group)s::text))
            WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id, **_origin(source)},
    )


def _origin(source: Source) -> dict[str, str | None]:
    return {
        "schema": source.relation.schema,
        "table": source.relation.name,
        "group": source.collection if source.group else None,
    }


def _remembered(collection: Collection) -> Query:
    return Query(
        SQL("""
            SELECT settings #>> '{adopted,schema}' AS schema, settings #>> '{adopted,table}' AS "table",
                   settings #>> '{adopted,collection}' AS "group"
            FROM howdah.collections WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id},
    )
