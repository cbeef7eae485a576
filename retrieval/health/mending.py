"""The SQL and the commands that mend tables and indexes, as text for a person to copy."""

from collections.abc import Sequence
from math import ceil, sqrt
from shlex import quote

from psycopg.sql import SQL, Identifier

from howdah.retrieval import relations
from howdah.retrieval.collection import SCHEMA, Collection, Metric
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.tables import VectorTable
from howdah.retrieval.kinds import Form
from howdah.retrieval.query import Query
from howdah.retrieval.relations import Index

EF_SEARCH = 40
"""pgvector's default: a smaller beam finds less, and never returns more rows than itself."""
SAMPLED = 1_000


def collection_command(command: str, collection: Collection) -> str:
    """A command line for one collection."""
    return f"{command} --collection {quote(collection.name)}"


def schema_of(table: VectorTable) -> str:
    return relations.shown(table.relation.vector_schema)


def column(table: VectorTable) -> str:
    return relations.shown(table.column.name)


def create_index(table: VectorTable, metric: Metric | None = None) -> str:
    """An HNSW index over the column as it is declared."""
    wanted = metric or table.metric or Metric.COSINE
    opclass = f"{schema_of(table)}.{table.storage.type_name}_{wanted.opclass}"
    return f"CREATE INDEX CONCURRENTLY ON {table.relation.shown}\n  USING hnsw ({column(table)} {opclass});"


def drop(table: VectorTable, indexes: Sequence[Index]) -> str:
    return "\n".join(f"DROP INDEX CONCURRENTLY {_name(table, index)};" for index in indexes)


def replace_index(table: VectorTable, wrong: Sequence[Index]) -> str:
    """The right one first, so that a search which does use the old one is not left without."""
    if table.collection is None:
        return f"{create_index(table)}\n{drop(table, wrong)}"
    return f"{drop(table, wrong)}\n-- then: {collection_command('howdah db maintain', table.collection)}"


def rebuild_or_drop(table: VectorTable, index: Index) -> str:
    """What an interrupted REINDEX left goes; what an interrupted CREATE INDEX left is built anew."""
    if index.name.rstrip("0123456789").endswith(("_ccnew", "_ccold")):
        return drop(table, [index])
    return f"REINDEX INDEX CONCURRENTLY {_name(table, index)};"


def declare(table: VectorTable, dimensions: int) -> str:
    """The column declared so that an index takes it: with its number of dimensions, and as halfvec where these are many."""
    name, storage = column(table), table.storage.type_name
    if dimensions > Form.of(storage).limit:
        storage = "halfvec"
    if dimensions > Form.of(storage).limit:
        metric = table.metric or Metric.COSINE
        return (
            f"-- {dimensions:,} dimensions are more than any index of vectors takes; one over bits proposes candidates:\n"
            f"CREATE INDEX CONCURRENTLY ON {table.relation.shown} USING hnsw"
            f" (({schema_of(table)}.binary_quantize({name})::bit({dimensions})) {schema_of(table)}.bit_hamming_ops);\n"
            f"-- and searches order 20 times the rows by <~> first, and these by {metric.operator.as_string(None)}"
        )
    declared = f"{schema_of(table)}.{storage}({dimensions})"
    opclass = f"{schema_of(table)}.{storage}_{(table.metric or Metric.COSINE).opclass}"
    return (
        "-- rewrites the table under a lock:\n"
        f"ALTER TABLE {table.relation.shown} ALTER COLUMN {name}\n  TYPE {declared} USING {name}::{declared};\n"
        f"CREATE INDEX CONCURRENTLY ON {table.relation.shown}\n  USING hnsw ({name} {opclass});"
    )


def stored_dimensions(table: VectorTable) -> Query:
    """The dimensions that occur among the first rows."""
    return Query(
        SQL("""
            SELECT DISTINCT {schema}.vector_dims(embedding) AS dimensions
            FROM (SELECT {column} AS embedding FROM {table} WHERE {column} IS NOT NULL LIMIT 1000) AS first_rows
        """).format(
            schema=Identifier(table.relation.vector_schema),
            column=relations.name(table.column.name),
            table=table.relation.identifier,
        ),
        {},
    )


def judge_settings(patient: Patient, table: VectorTable, index: Index, *, lists: int) -> Check:
    """What a plain connection searches this index with; pgvector's default of one list finds hardly half of the neighbours."""
    about = About("search-settings", table.subject)
    name, least = ("ivfflat.probes", ceil(sqrt(lists))) if index.method == "ivfflat" else ("hnsw.ef_search", EF_SEARCH)
    setting = patient.settings.get(name)
    value = int(setting.value) if setting else least
    if value >= least:
        return about.ok(f"{name} is {value}")
    why = f"{index.name} has {lists:,} lists" if index.method == "ivfflat" else "pgvector's default is 40"
    return about.warn(
        f"{name} is {value} and {why}: searches miss many of the nearest rows",
        f"ALTER DATABASE {relations.shown(patient.whose.database)} SET {name} = {least};",
    )


def _name(table: VectorTable, index: Index) -> str:
    schema = SCHEMA if table.collection else table.relation.schema
    return relations.shown(schema, index.name)
