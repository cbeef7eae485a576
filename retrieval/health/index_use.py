"""Checks of what the vector indexes are worth: unused or double, outgrown, not in memory, or searched too narrowly."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from psycopg import errors
from psycopg.sql import SQL

from howdah.retrieval import relations
from howdah.retrieval.choosing import Wish, choose
from howdah.retrieval.collection import Metric, Spec
from howdah.retrieval.health import mending
from howdah.retrieval.health.check import About, Check, size
from howdah.retrieval.health.index_rows import IndexRow, index_rows, pairs
from howdah.retrieval.health.mending import collection_command
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.tables import VectorTable
from howdah.retrieval.kinds import EF_CONSTRUCTION, FEW_LISTS, Form, M, Method, lists_for
from howdah.retrieval.kinds import Index as KindOfIndex
from howdah.retrieval.query import Query
from howdah.retrieval.relations import Index

LOOK = (
    "SELECT calls, query FROM pg_stat_statements WHERE query ~ '<(=|-|#|~)>'; -- an index serves ORDER BY of the bare"
    " operator, ascending, with a LIMIT"
)
"""Where it is the only index: the searches are to be written otherwise."""
MANY_SCANS = 1_000
"""Reads of the whole table, without one of the index, after which nothing seems to ask for the index."""
MOST_A_LIST = 10_000
"""Rows a list of an IVFFlat index: ten times what pgvector's README advises (rows / 1,000 lists)."""
COLD, ENOUGH_READS = 0.9, 10_000
"""The least share of an index's pages that come from shared_buffers, and the reads before which it says nothing."""
LEAST_CACHED = 0.5
"""The least share of an index in shared_buffers, where pg_buffercache tells: after a restart it is none."""


def index_unused(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        yield judge_unused(table, index_rows(patient, table))


def judge_unused(table: VectorTable, rows: Sequence[IndexRow]) -> Check:
    """Two of one definition, or one that nothing asks for: each costs every write what an index costs."""
    about = About("index-unused", table.subject)
    valid = [index for index in table.indexes if index.valid]
    double = [index for place, index in enumerate(valid) if any(_same(index, other) for other in valid[:place])]
    if double:
        names = ", ".join(index.name for index in double)
        return about.warn(f"{names} is the same as another index: every write pays twice", mending.drop(table, double))
    idle = [row for row in rows if row.scans == 0 and row.table_scans >= MANY_SCANS]
    if idle and table.large:
        unused = [index for index in valid if any(row.index == index.name for row in idle)]
        return about.warn(
            f"{idle[0].name} ({size(idle[0].bytes)}) was never searched, and the whole table was read"
            f" {idle[0].table_scans:,} times",
            mending.drop(table, unused) if len(unused) < len(valid) else LOOK,
        )
    return about.ok(", ".join(f"{row.index} was searched {row.scans:,} times" for row in rows) or "no index")


def _same(one: Index, other: Index) -> bool:
    def what(index: Index) -> str:
        return index.definition.partition(" USING ")[2].partition(" WITH ")[0]

    return what(one) == what(other)


def ivfflat_lists(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        for row, index in pairs(table, index_rows(patient, table)):
            if index.method == "ivfflat":
                yield judge_lists(table, row)


def judge_lists(table: VectorTable, row: IndexRow) -> Check:
    about, lists = About("ivfflat-lists", table.subject), row.option("lists", 100)
    seen, wanted = f"{row.name} has {lists:,} lists for {table.rows:,} rows", lists_for(table.rows)
    fix = (
        f"ALTER INDEX {row.name} SET (lists = {wanted}); REINDEX INDEX CONCURRENTLY {row.name};"
        if table.collection is None else collection_command("howdah db maintain --index ivfflat --reindex", table.collection)
    )  # fmt: skip
    if table.rows > MOST_A_LIST * lists:
        return about.warn(f"{seen}: a search reads too many rows of each; it was made when there were fewer", fix)
    if table.rows < FEW_LISTS * lists:
        return about.warn(f"{seen}: fewer than {FEW_LISTS} rows a list, so that most neighbours lie in others", fix)
    return about.ok(seen)


def index_in_cache(patient: Patient) -> Iterator[Check]:
    buffers = patient.settings["shared_buffers"].bytes
    where = [row["schema"] for row in patient.plain.rows(BUFFERCACHE)]
    for table in patient.tables:
        for row in index_rows(patient, table):
            cached = _cached(patient, row, where[0]) if where else None
            yield judge_cache(table, replace(row, cached=cached), buffers=buffers)


BUFFERCACHE = Query(
    SQL("""
        SELECT n.nspname::text AS schema FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = 'pg_buffercache'
    """),
    {},
)
CACHED = SQL("""
    SELECT count(*)::float8 * current_setting('block_size')::int / greatest(pg_relation_size({0}::regclass), 1) AS cached
    FROM {1} AS b JOIN pg_database AS d ON d.oid = b.reldatabase AND d.datname = current_database()
    WHERE b.relfilenode = pg_relation_filenode({0}::regclass) AND b.relforknumber = 0
""")


def _cached(patient: Patient, row: IndexRow, schema: str) -> float | None:
    statement = CACHED.format(relations.literal(row.name), relations.name(schema, "pg_buffercache"))
    try:
        return float(patient.plain.row(Query(statement, {}))["cached"])
    except errors.InsufficientPrivilege:
        return None


def judge_cache(table: VectorTable, row: IndexRow, *, buffers: int) -> Check:
    """What does not fit is `shared-buffers`; what does should be there."""
    about, asked = About("index-in-cache", table.subject), row.hit + row.read
    fix = f"CREATE EXTENSION IF NOT EXISTS pg_prewarm; SELECT pg_prewarm('{row.name}');"
    if row.bytes > buffers:
        return about.ok(f"{row.name} ({size(row.bytes)}) does not fit shared_buffers")
    if row.cached is not None and table.large and row.cached < LEAST_CACHED:
        return about.warn(f"{row.cached:.0%} of {row.name} ({size(row.bytes)}) is in shared_buffers", fix)
    if row.cached is None and asked >= ENOUGH_READS and row.hit < COLD * asked:
        return about.warn(f"{row.hit / asked:.0%} of the reads of {row.name} ({size(row.bytes)}) came from memory", fix)
    share = row.cached if row.cached is not None else row.hit / asked if asked else None
    return about.ok(f"{row.name} ({size(row.bytes)})" + (f": {share:.0%} from memory" if share is not None else ""))


def search_settings(patient: Patient) -> Iterator[Check]:
    """Of tables that are not Howdah's: its own searches set theirs."""
    for table in patient.tables:
        if table.collection is None:
            for row, index in pairs(table, index_rows(patient, table)):
                yield mending.judge_settings(patient, table, index, lists=row.option("lists", 100))


# -- what a build takes


def build_sizes(patient: Patient) -> Iterator[tuple[str, int, bool]]:
    """For each table that has an HNSW index or should have one: subject, bytes of its graph, and whether Howdah builds it."""
    for table in patient.tables:
        if not table.large or table.dimensions is None or any(i.method == "ivfflat" for i in table.indexes):
            continue
        spec = table.collection.spec if table.collection else _spec(table)
        choice = choose(table.wish or Wish(policy="hnsw"), spec, rows=table.rows, threshold=table.threshold)
        graph = choice.index or KindOfIndex(
            method=Method.HNSW,
            form=Form.of(table.storage.type_name),
            options={"m": M, "ef_construction": EF_CONSTRUCTION},
        )
        yield table.subject, graph.build_memory(table.dimensions, table.rows), table.collection is not None


def _spec(table: VectorTable) -> Spec:
    return Spec(model="", dimensions=table.dimensions or 1, storage=table.storage, metric=table.metric or Metric.COSINE)
