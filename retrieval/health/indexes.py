"""Checks of the vector indexes: missing, broken, of the wrong operator class, or not possible as the column is declared."""

from collections.abc import Iterator, Sequence

from psycopg.sql import SQL

from howdah.retrieval.choosing import choose
from howdah.retrieval.health import mending
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.mending import collection_command
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.tables import VectorTable
from howdah.retrieval.kinds import Form
from howdah.retrieval.query import Query


def vector_index(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        yield judge_missing(table)


def judge_missing(table: VectorTable) -> Check:
    """Where searches of many rows have no index at all; that of another distance is `operator-class`."""
    about = About("vector-index", table.subject)
    rows = f"{table.rows:,} rows"
    if table.indexes:  # one that is not valid is `index-valid`
        return about.ok(f"{rows}, with the index {table.indexes[0].name}")
    if table.collection is not None:
        assert table.wish is not None
        choice = choose(table.wish, table.collection.spec, rows=table.rows, threshold=table.threshold)
        if choice.index is None:
            return about.ok(choice.why)
        return about.warn(
            f"{rows} and no index that searches could use: each compares every vector",
            collection_command("howdah db maintain", table.collection),
        )
    if not table.large:
        return about.ok(f"{rows}: below {table.threshold:,} an exact search is quick enough")
    if not table.indexable:  # which is `dimensions`
        return about.ok(f"{rows} of {table.column.type}, which no index takes")
    return about.warn(f"{rows} and no index: each search compares every vector", mending.create_index(table))


def index_valid(patient: Patient) -> Iterator[Check]:
    building = {row["name"] for row in patient.plain.rows(BUILDING)}
    for table in patient.tables:
        yield judge_valid(table, building)


BUILDING = Query(
    SQL("""
        SELECT c.relname::text AS name FROM pg_stat_progress_create_index AS p JOIN pg_class AS c ON c.oid = p.index_relid
        WHERE p.datname = current_database()
    """),
    {},
)


def judge_valid(table: VectorTable, building: set[str]) -> Check:
    """An interrupted CREATE INDEX or REINDEX CONCURRENTLY leaves one that costs every write and serves no search."""
    about = About("index-valid", table.subject)
    broken = [index for index in table.relation.indexes if not index.valid and index.name not in building]
    if not broken:
        return about.ok("every index is valid")
    names = ", ".join(index.name for index in broken)
    return about.fail(
        f"{names} is not valid: a build was interrupted; writes keep it up and searches cannot use it",
        "\n".join(mending.rebuild_or_drop(table, index) for index in broken),
    )


def operator_class(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        yield judge_operator(table)


def judge_operator(table: VectorTable) -> Check:
    """An index serves the operator of its class alone; another one's searches read every row and nobody is told."""
    about = About("operator-class", table.subject)
    valid = [index for index in table.indexes if index.valid]
    wrong = [index for index in valid if not table.fits(index)]
    if not valid:
        return about.ok("there is no index")
    if not wrong:
        return about.ok(", ".join(f"{index.name} has {index.opclasses[0]}" for index in valid))
    classes = ", ".join(f"{index.name} is of {index.opclasses[0]}" for index in wrong)
    if table.metric is None:
        return about.ok(f"{classes}: searches have to use the same expression")
    seen = f"{classes}, and {_whose(table)} searches by {table.metric.label} ({table.metric.operator.as_string(None)})"
    if len(wrong) < len(valid):
        return about.warn(f"{seen}: it serves no search", mending.drop(table, wrong))
    return about.fail(f"{seen}: no search uses it", mending.replace_index(table, wrong))


def _whose(table: VectorTable) -> str:
    return (
        "the collection"
        if table.collection
        else f"{table.kind.value if table.kind else 'its library'}, unless told otherwise,"
    )


def dimensions(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        if table.collection is None:
            yield judge_dimensions(table, _stored(patient, table) if table.dimensions is None else None)


def _stored(patient: Patient, table: VectorTable) -> list[int]:
    """The dimensions of some rows of a column that declares none."""
    found = patient.plain.rows(mending.stored_dimensions(table))
    return [row["dimensions"] for row in found]


def judge_dimensions(table: VectorTable, stored: Sequence[int] | None) -> Check:
    """pgvector's README: an index wants a declared number, at most 2,000 of vector and 4,000 of halfvec."""
    about, limit = About("dimensions", table.subject), Form.of(table.storage.type_name).limit
    if stored is not None and len(set(stored)) > 1:
        numbers = ", ".join(f"{number:,}" for number in sorted(set(stored)))
        return about.fail(
            f"column {table.column.name} holds vectors of {numbers} dimensions: a search that meets both is an error",
            f"SELECT {mending.schema_of(table)}.vector_dims({mending.column(table)}) AS dimensions, count(*)"
            f" FROM {table.relation.shown} GROUP BY 1; -- keep one model's rows in a table",
        )
    if not table.large:
        return about.ok(f"{table.column.type}; few rows need no index")
    if stored:
        return about.warn(
            f"column {table.column.name} is {table.column.type} without a number of dimensions: it cannot be indexed",
            mending.declare(table, stored[0]),
        )
    if table.dimensions is not None and table.dimensions > limit and not [i for i in table.indexes if i.valid]:
        return about.warn(
            f"{table.dimensions:,} dimensions of {table.storage.type_name} are more than an index takes ({limit:,})",
            mending.declare(table, table.dimensions),
        )
    return about.ok(f"{table.column.type} can be indexed")
