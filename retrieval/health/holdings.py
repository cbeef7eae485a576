"""Checks of what Howdah holds: its schema, rows that belong to nothing, statistics against a recount, and work left undone."""

from collections.abc import Iterator
from typing import Any

from psycopg.sql import SQL, Identifier, Literal

from howdah.retrieval import schema
from howdah.retrieval.collection import SCHEMA, Collection
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.tables import VectorTable
from howdah.retrieval.query import Query

MANY_POSTINGS = 2_000_000
"""Postings up to which all are looked at; of more, so many are drawn block by block."""
LEXEMES = 200
"""Lexemes whose postings are counted anew."""


def ours(patient: Patient) -> list[tuple[VectorTable, Collection]]:
    """The collections whose tables may be read."""
    return [(table, table.collection) for table in patient.tables if table.collection is not None]


def schema_version(patient: Patient) -> Iterator[Check]:
    yield judge_schema(patient.schema_version, foreign=any(table.collection is None for table in patient.tables))


def judge_schema(installed: int, *, foreign: bool) -> Check:
    about = About("schema-version")
    if installed == schema.VERSION:
        return about.ok(f"Howdah's schema is version {installed}")
    if installed == 0:
        seen = "Howdah has no schema here"
        return about.ok(f"{seen}, and the tables of others need none" if foreign else f"{seen} yet: howdah db migrate")
    if installed > schema.VERSION:
        return about.fail(
            f"Howdah's schema is version {installed}, made by a newer Howdah than this one ({schema.VERSION}):"
            " nothing can be written",
            "pip install --upgrade howdah",
        )
    return about.fail(
        f"Howdah's schema is version {installed} and this program needs {schema.VERSION}", "howdah db migrate"
    )


# -- rows that belong to nothing


def orphans(patient: Patient) -> Iterator[Check]:
    for table, collection in ours(patient):
        found = {what: patient.plain.row(query)["rows"] for what, query in orphaned(collection).items()}
        yield judge_orphans(table.subject, collection, found)


def judge_orphans(subject: str, collection: Collection, found: dict[str, int]) -> Check:
    about, bad = About("orphans", subject), {what: rows for what, rows in found.items() if rows}
    if not bad:
        return about.ok("documents, chunks, passages and postings belong together")
    return about.fail(
        "; ".join(f"{rows:,} {what}" for what, rows in bad.items()) + ": written past Howdah, or restored in part",
        "\n".join(_mends(collection)[what] for what in bad),
    )


DOCUMENTS, LOST, BARE, LOOSE, POSTED = (
    "documents without chunks", "chunks of no document", "chunks without a passage", "passages without a chunk",
    "passages' postings without a passage",
)  # fmt: skip


def _conditions(collection: Collection) -> dict[str, tuple[str, str]]:
    """For each kind of orphan: the table, called t, and the condition on its rows."""
    number, chunks = collection.id, f"howdah.{collection.chunks_name}"
    passages, tenant = f"howdah.passages_{number}", Literal(collection.tenant).as_string(None)
    mine = f"t.tenant = {tenant}"
    found = {
        DOCUMENTS: ("howdah.documents", f"{mine} AND t.collection = {number} AND NOT EXISTS"
                    f" (SELECT FROM {chunks} AS c WHERE c.tenant = t.tenant AND c.document = t.id)"),
        LOST: (chunks, f"{mine} AND t.document IS NOT NULL AND NOT EXISTS"
               " (SELECT FROM howdah.documents AS d WHERE d.tenant = t.tenant AND d.id = t.document)"),
        BARE: (chunks, f"{mine} AND NOT EXISTS (SELECT FROM {passages} AS p WHERE p.tenant = t.tenant AND p.n = t.n)"),
        LOOSE: (passages, f"{mine} AND NOT EXISTS (SELECT FROM {chunks} AS c WHERE c.tenant = t.tenant AND c.n = t.n)"),
    }  # fmt: skip
    if collection.spec.lexical:
        without = f"{mine} AND NOT EXISTS (SELECT FROM {passages} AS p WHERE p.tenant = t.tenant AND p.n = t.n)"
        found[POSTED] = (f"howdah.postings_{number}", without)
    return found


def orphaned(collection: Collection) -> dict[str, Query]:
    """How many there are of each kind; of many postings, among some."""
    found = {}
    for what, (table, condition) in _conditions(collection).items():
        some = SQL("")
        if what == POSTED:
            some = SQL("TABLESAMPLE SYSTEM ((SELECT least(100, 100.0 * {} / greatest(reltuples, 1)) FROM pg_class"
                       " WHERE oid = {}::regclass))")  # fmt: skip
        sampled = some.format(Literal(MANY_POSTINGS), Literal(table)) if what == POSTED else some
        true: Any = condition.replace("%", "%%")  # of numbers, and of the tenant as a literal
        statement = SQL("SELECT count(*) AS rows FROM {} AS t {} WHERE ").format(Identifier(*table.split(".")), sampled)
        found[what] = Query(statement + SQL(true), {})
    return found


def _mends(collection: Collection) -> dict[str, str]:
    """What is left of them goes; statistics are `term-statistics`, which counts them anew."""
    deleted = {
        what: f"DELETE FROM {table} AS t WHERE {condition};"
        for what, (table, condition) in _conditions(collection).items()
    }
    table, condition = _conditions(collection)[LOST]
    deleted[LOST] = f"UPDATE {table} AS t SET document = NULL WHERE {condition};"
    return deleted


# -- statistics


def term_statistics(patient: Patient) -> Iterator[Check]:
    for table, collection in ours(patient):
        counted = patient.plain.row(recounted(collection))
        drifted = patient.plain.row(lexemes(collection)) if collection.spec.lexical else {"lexemes": 0, "drifted": 0}
        yield judge_terms(table.subject, collection, **counted, **drifted)


def recounted(collection: Collection) -> Query:
    """Chunks and their length by the statistics, and counted anew. The length is that of the passages' words."""
    words = SQL("0::bigint").format()
    if collection.spec.lexical:  # postings of no passage are `orphans`
        words = SQL("""
            (SELECT coalesce(sum(dl), 0) FROM (
                SELECT DISTINCT ON (o.n) o.dl FROM {postings} AS o JOIN {passages} AS p USING (tenant, n)
                WHERE o.tenant = %(tenant)s) AS each)::bigint
        """).format(postings=collection.postings, passages=collection.passages)
    return Query(
        SQL("""
            SELECT coalesce(sum(chunks), 0)::bigint AS chunks, coalesce(sum(length), 0)::bigint AS length,
                   (SELECT count(*) FROM {chunks} WHERE tenant = %(tenant)s) AS chunks_now, {words} AS length_now
            FROM howdah.corpus_stats WHERE tenant = %(tenant)s AND collection = %(collection)s
        """).format(chunks=collection.chunks, words=words),
        {"tenant": collection.tenant, "collection": collection.id},
    )


def lexemes(collection: Collection) -> Query:
    """Of some lexemes, spread over the dictionary, how many have another document frequency than postings."""
    return Query(
        SQL("""
            WITH drawn AS MATERIALIZED (
                SELECT lexeme, sum(df) AS df FROM {terms} WHERE tenant = %(tenant)s GROUP BY lexeme
                ORDER BY hashtext(lexeme) LIMIT {most}
            ),
            counted AS (
                SELECT o.lexeme, count(*) AS df FROM {postings} AS o JOIN drawn USING (lexeme)
                WHERE o.tenant = %(tenant)s GROUP BY o.lexeme
            )
            SELECT count(*) AS lexemes, count(*) FILTER (WHERE drawn.df <> coalesce(counted.df, 0)) AS drifted
            FROM drawn LEFT JOIN counted USING (lexeme)
        """).format(terms=collection.terms, postings=collection.postings, most=Literal(LEXEMES)),
        {"tenant": collection.tenant},
    )


def judge_terms(
    subject: str, collection: Collection, *, chunks: int, length: int, chunks_now: int, length_now: int,
    lexemes: int, drifted: int,
) -> Check:  # fmt: skip
    """BM25's weights come from these counts: wrong ones move every score by words."""
    about = About("term-statistics", subject)
    seen = []
    if chunks != chunks_now:
        seen.append(f"the statistics count {chunks:,} chunks and there are {chunks_now:,}")
    if collection.spec.lexical and length != length_now:
        seen.append(f"they add up to {length:,} words and the postings to {length_now:,}")
    if drifted:
        seen.append(f"{drifted:,} of {lexemes:,} lexemes have another frequency than postings")
    if not seen:
        return about.ok(f"{chunks:,} chunks; {lexemes:,} lexemes counted anew")
    return about.fail("; ".join(seen) + ": scores by words are wrong", _recount(collection))


def _recount(collection: Collection) -> str:
    number, chunks, tenant = (
        collection.id,
        f"howdah.{collection.chunks_name}",
        Literal(collection.tenant).as_string(None),
    )
    locked, words, terms, after = f"{chunks}, howdah.passages_{number}", "0", "", ""
    if collection.spec.lexical:
        locked += f",\n  howdah.postings_{number}, howdah.terms_{number}"
        words = (
            f"coalesce((SELECT sum(dl) FROM (\n    SELECT DISTINCT n, dl FROM howdah.postings_{number}"
            f" WHERE tenant = {tenant}\n  ) AS o), 0)"
        )
        terms = (
            f"DELETE FROM howdah.terms_{number} WHERE tenant = {tenant};\n"
            f"INSERT INTO howdah.terms_{number} (tenant, lexeme, df)\n"
            f"  SELECT tenant, lexeme, count(*) FROM howdah.postings_{number}\n"
            f"  WHERE tenant = {tenant} GROUP BY tenant, lexeme ORDER BY lexeme;\n"
        )
        after = f"\nVACUUM (ANALYZE) howdah.terms_{number};"
    return (
        f"BEGIN;\nLOCK TABLE {locked}\n  IN SHARE ROW EXCLUSIVE MODE;\n{terms}"
        f"DELETE FROM howdah.corpus_stats WHERE tenant = {tenant} AND collection = {number};\n"
        f"INSERT INTO howdah.corpus_stats (tenant, collection, chunks, length)\n  SELECT {tenant}, {number},"
        f"\n  (SELECT count(*) FROM {chunks} WHERE tenant = {tenant}),\n  {words};\nCOMMIT;{after}"
    )


# -- indexes that come with the tables


def own_indexes(patient: Patient) -> Iterator[Check]:
    for table, collection in ours(patient):
        wanted = wanted_indexes(collection, large=table.large)
        there = patient.plain.rows(
            Query(
                SQL("""
                    SELECT i.relname::text AS name FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
                    WHERE i.relnamespace = {}::regnamespace AND i.relname = ANY(%(names)s) AND x.indisvalid
                """).format(Literal(SCHEMA)),
                {"names": list(wanted)},
            )
        )
        yield judge_own(table.subject, wanted, {row["name"] for row in there})


def wanted_indexes(collection: Collection, *, large: bool) -> dict[str, str]:
    """By name, the SQL that makes each index that searches and writes go by, beside that of the vectors."""
    number, chunks = collection.id, collection.chunks_name
    found = {
        f"{chunks}_pkey": f"ALTER TABLE howdah.{chunks} ADD PRIMARY KEY (tenant, n);",
        f"{chunks}_tenant_id_key": f"ALTER TABLE howdah.{chunks} ADD UNIQUE (tenant, id);",
        f"{chunks}_document": f"CREATE INDEX CONCURRENTLY {chunks}_document ON howdah.{chunks} (tenant, document)"
        " WHERE document IS NOT NULL;",
        f"passages_{number}_pkey": f"ALTER TABLE howdah.passages_{number} ADD PRIMARY KEY (tenant, n);",
    }
    if collection.spec.lexical:
        for name, held in (("postings", "tf, dl"), ("terms", "df")):
            found[f"{name}_{number}_pkey"] = (
                f"ALTER TABLE howdah.{name}_{number} ADD PRIMARY KEY (tenant, lexeme, n) INCLUDE ({held});"
            )
        found[f"passages_{number}_tsv"] = (
            f"CREATE INDEX CONCURRENTLY passages_{number}_tsv ON howdah.passages_{number} USING gin (tsv);"
        )
    if large and collection.index is not None:
        found[collection.metadata_index_name] = (
            f"CREATE INDEX CONCURRENTLY {collection.metadata_index_name} ON howdah.{chunks}"
            " USING gin (metadata jsonb_path_ops);"
        )
    return found


def judge_own(subject: str, wanted: dict[str, str], there: set[str]) -> Check:
    about, missing = About("own-indexes", subject), [name for name in wanted if name not in there]
    if not missing:
        return about.ok(f"{len(wanted)} indexes of keys, words and metadata are there")
    return about.fail(
        f"{', '.join(missing)} is missing: searches or writes read whole tables",
        "\n".join(wanted[name] for name in missing),
    )
