"""Checks of the tables as PostgreSQL keeps them: deleted rows, wasted room, age, and statistics."""

from collections.abc import Callable, Iterator, Mapping

from psycopg.sql import SQL

from howdah.retrieval.estimate import sizes
from howdah.retrieval.health.check import MB, About, Check, size
from howdah.retrieval.health.index_rows import IndexRow, index_rows, pairs
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.reading import Setting
from howdah.retrieval.health.tables import Heap, VectorTable
from howdah.retrieval.query import Query

DEAD, MANY_DEAD = 0.2, 1_000
"""Share of deleted rows at which autovacuum should have come: autovacuum_vacuum_scale_factor, and rows not worth a word."""
CHANGED, MANY_CHANGED = 0.2, 1_000
"""As much for the statistics: twice autovacuum_analyze_scale_factor, so that autovacuum had its turn."""
WASTED, MUCH_WASTED = 0.5, 10 * MB
"""Share of a table, or of an index, that holds nothing, and bytes not worth a rewrite."""
OLD = 2**31 * 3 // 4
"""Transactions at which a table is close to what stops the server (manual, 24.1.5: about two billion)."""
TOO_OLD = 1.05
"""Times autovacuum_freeze_max_age: at that age a vacuum begins, which has to have time to end."""
ROW_HEADER, PAGE_HEADER, PAGE = 28, 24, 8_192
INDEX_ROOM = 2.0
"""Times the size of a fresh HNSW index: deleted vectors leave room that only later ones of that place take."""


def each(judge: Callable[[Heap, Mapping[str, Setting]], Check]) -> Callable[[Patient], Iterator[Check]]:
    """The check of every heap; those of a subject that are well are said in one line."""

    def run(patient: Patient) -> Iterator[Check]:
        sound: dict[str, list[Check]] = {}
        for heap in patient.heaps:
            check = judge(heap, patient.settings)
            sound.setdefault(heap.subject, [])
            if check.fix:
                yield check
            else:
                sound[heap.subject].append(check)
        for subject, checks in sound.items():
            if checks and len(checks) == sum(heap.subject == subject for heap in patient.heaps):
                yield About(checks[0].name, subject).ok("; ".join(dict.fromkeys(check.detail for check in checks)))

    return run


def judge_dead(heap: Heap, settings: Mapping[str, Setting]) -> Check:
    """Small tables are left to autovacuum, which comes within a minute: every search reads all of them anyway."""
    about, total = About("dead-rows", heap.subject), heap.live + heap.dead
    if heap.large and heap.counted and heap.dead > MANY_DEAD and heap.dead > DEAD * total:
        return about.warn(
            f"{heap.dead:,} of {total:,} rows of {heap.table} are deleted ones: searches step over them",
            f"VACUUM (ANALYZE) {heap.table};",
        )
    return about.ok(f"{heap.dead:,} deleted rows in {heap.table}")


def judge_statistics(heap: Heap, settings: Mapping[str, Setting]) -> Check:
    """Without statistics the planner takes a tenant for a 200th of the rows and leaves the vector index."""
    about, fix = About("statistics", heap.subject), f"ANALYZE {heap.table};"
    if heap.large and not heap.analyzed and heap.live > MANY_CHANGED:
        return about.warn(
            f"{heap.table} was never analyzed: the planner guesses what is in its {heap.live:,} rows", fix
        )
    if heap.large and heap.counted and heap.modified > MANY_CHANGED and heap.modified > CHANGED * heap.live:
        return about.warn(
            f"rows of {heap.table}, which has {heap.live:,}, were changed {heap.modified:,} times since it was analyzed",
            fix,
        )
    return about.ok(f"{heap.table} is analyzed" if heap.analyzed else f"{heap.table} is small")


DATABASE_AGE = Query(
    SQL("""
        SELECT age(datfrozenxid) AS age, mxid_age(datminmxid) AS multi_age FROM pg_database WHERE datname = current_database()
    """),
    {},
)


def freeze_age(patient: Patient) -> Iterator[Check]:
    """Of the tables of vectors, and of the whole database: any table may be the one that stops the server."""
    of_tables = list(each(judge_age)(patient))
    yield from of_tables
    row = patient.plain.row(DATABASE_AGE)
    if not any(check.fix for check in of_tables):
        yield judge_database_age(
            patient.facts.database, **row, limit=int(patient.settings["autovacuum_freeze_max_age"].value)
        )


def judge_database_age(database: str, *, age: int, multi_age: int, limit: int) -> Check:
    about, fix = About("freeze-age"), "VACUUM (FREEZE); -- of every table in this database, by its owner"
    seen = f"the oldest row of database {database} is {max(age, multi_age):,} transactions old"
    if age > OLD or multi_age > OLD:
        return about.fail(f"{seen}: at two billion the server takes no more writes", fix)
    if age > TOO_OLD * limit:
        return about.warn(f"{seen}, past autovacuum_freeze_max_age ({limit:,}): some table cannot be vacuumed", fix)
    return about.ok(seen)


def judge_age(heap: Heap, settings: Mapping[str, Setting]) -> Check:
    """A table past autovacuum_freeze_max_age is vacuumed come what may; that it is still as old means it cannot be."""
    about, limit = About("freeze-age", heap.subject), int(settings["autovacuum_freeze_max_age"].value)
    multi, fix = int(settings["autovacuum_multixact_freeze_max_age"].value), f"VACUUM (FREEZE) {heap.table};"
    seen = f"the oldest row of {heap.table} is {max(heap.age, heap.multi_age):,} transactions old"
    if heap.age > OLD or heap.multi_age > OLD:
        return about.fail(f"{seen}: at two billion the server takes no more writes", fix)
    if heap.age > TOO_OLD * limit or heap.multi_age > TOO_OLD * multi:
        return about.warn(f"{seen}, past autovacuum_freeze_max_age ({limit:,}): no vacuum could finish", fix)
    return about.ok(f"{heap.table} is {heap.age:,} transactions old")


def judge_autovacuum(heap: Heap, settings: Mapping[str, Setting]) -> Check:
    about = About("table-autovacuum", heap.subject)
    if not heap.vacuums:
        return about.warn(
            f"autovacuum is switched off for {heap.table}", f"ALTER TABLE {heap.table} RESET (autovacuum_enabled);"
        )
    return about.ok(f"autovacuum looks after {heap.table}")


def judge_logged(heap: Heap, settings: Mapping[str, Setting]) -> Check:
    about = About("unlogged", heap.subject)
    if not heap.logged:
        return about.fail(
            f"{heap.table} is unlogged: after a crash it is empty, and no replica has it",
            f"ALTER TABLE {heap.table} SET LOGGED;",
        )
    return about.ok(f"{heap.table} is logged")


def judge_bloat(heap: Heap, settings: Mapping[str, Setting]) -> Check:
    """By the planner's widths, so only where there are statistics; a page holds whole rows."""
    about = About("table-bloat", heap.subject)
    if not heap.width:
        return about.ok(f"{heap.table} has no statistics to tell by")
    wanted = expected_bytes(heap.rows, heap.width)
    if heap.bytes - wanted > MUCH_WASTED and wanted < WASTED * heap.bytes:
        return about.warn(
            f"{heap.table} takes {size(heap.bytes)} and its {heap.rows:,} rows need {size(wanted)}",
            f"-- locks it while it is rewritten:\nVACUUM (FULL, ANALYZE) {heap.table};",
        )
    return about.ok(f"{heap.table} takes {size(heap.bytes)}")


def expected_bytes(rows: int, width: int) -> int:
    """Of a heap without room between its rows, and of what lies beside them where they do not fit a page."""
    row = width + ROW_HEADER
    if row > PAGE - PAGE_HEADER:
        return int(rows * row * 1.1)
    a_page = (PAGE - PAGE_HEADER) // row
    return -(-rows // a_page) * PAGE


def index_bloat(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        for row, index in pairs(table, index_rows(patient, table)):
            if index.method == "hnsw" and table.dimensions is not None:
                yield judge_index_bloat(table, row, opclass=index.opclasses[0])


def judge_index_bloat(table: VectorTable, row: IndexRow, *, opclass: str) -> Check:
    """Against an HNSW index of so many rows made now; m adds to it."""
    about, kind = About("index-bloat", table.subject), opclass.partition("_")[0]
    wanted = sizes(table.rows, table.dimensions or 1)["bits" if kind == "bit" else kind].index
    wider = max(row.option("m", 16) / 16, 1.0)
    if wanted is None or row.bytes - wanted < MUCH_WASTED or row.bytes < INDEX_ROOM * wider * wanted:
        return about.ok(f"{row.name} takes {size(row.bytes)}")
    return about.warn(
        f"{row.name} takes {size(row.bytes)} and one of {table.rows:,} rows {size(wanted)}: it holds what was deleted",
        f"REINDEX INDEX CONCURRENTLY {row.name};",
    )
