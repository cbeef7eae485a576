"""Checks of the vectors themselves: rows that no search by meaning can find."""

from collections.abc import Iterator

from psycopg.sql import SQL, Composed, Identifier, Literal

from howdah.retrieval import relations
from howdah.retrieval.collection import Metric
from howdah.retrieval.health import mending
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.tables import VectorTable
from howdah.retrieval.query import Query

WHOLE = 100_000
"""Rows up to which every vector is looked at; of more, about so many are drawn block by block."""


def null_vectors(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        if table.collection is None:  # a collection's column is NOT NULL
            row = patient.plain.row(counted(table, SQL("").format(), SQL("IS NULL")))
            yield judge_null(table, found=row["found"], seen=row["seen"])


def judge_null(table: VectorTable, *, found: int, seen: int) -> Check:
    about, column = About("null-vectors", table.subject), mending.column(table)
    if not found:
        return about.ok(f"every one of {seen:,} rows looked at has a vector")
    return about.warn(
        f"{found:,} of {seen:,} rows looked at have no vector: no search by meaning finds them",
        f"-- embed their texts and UPDATE them; or, where they are not wanted:\n"
        f"DELETE FROM {table.relation.shown} WHERE {column} IS NULL;",
    )


def zero_vectors(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        if table.metric in (Metric.COSINE, None):
            function = "l2_norm" if table.storage.type_name == "halfvec" else "vector_norm"
            norm = Identifier(table.relation.vector_schema, function)
            row = patient.plain.row(counted(table, SQL("{}(").format(norm), SQL(") = 0")))
            yield judge_zero(table, found=row["found"], seen=row["seen"], norm=norm.as_string(None))


def judge_zero(table: VectorTable, *, found: int, seen: int, norm: str) -> Check:
    """pgvector's README: zero vectors are not indexed for cosine distance; their distance is NaN."""
    about = About("zero-vectors", table.subject)
    if not found:
        return about.ok(f"none among {seen:,} rows looked at")
    rows = f"FROM {table.relation.shown} WHERE {norm}({mending.column(table)}) = 0;"
    fix = (
        f"-- embed their texts and UPDATE them; or, where they are not wanted:\nDELETE {rows}"
        if table.collection is None
        else f"SELECT id {rows} -- then, for each: howdah delete --collection {table.collection.name} --id ID"
    )
    return about.warn(
        f"{found:,} of {seen:,} vectors looked at are all zeros: they have no direction, and an index by cosine leaves"
        " them out",
        fix,
    )


def counted(table: VectorTable, before: Composed, after: SQL) -> Query:
    """Of how many of the rows looked at the column, between these two, is true."""
    sample = SQL("").format()
    if table.rows > WHOLE:
        sample = SQL("TABLESAMPLE SYSTEM ({})").format(Literal(round(100 * WHOLE / table.rows, 4)))
    return Query(
        SQL("SELECT count(*) FILTER (WHERE {}{} {}) AS found, count(*) AS seen FROM {} {}").format(
            before, relations.name(table.column.name), after, table.relation.identifier, sample
        ),
        {},
    )
