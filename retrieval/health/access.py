"""What this user may do with the tables of vectors."""

from collections.abc import Iterator

from psycopg.sql import SQL

from howdah.retrieval import relations
from howdah.retrieval.adopt_sources import COLLECTIONS, is_pgvector
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.query import Query

RIGHTS = Query(
    SQL("""
        SELECT to_regnamespace('howdah') IS NOT NULL AS there,
               coalesce(has_schema_privilege(to_regnamespace('howdah'), 'USAGE'), true) AS usage,
               ARRAY(SELECT c.relname::text FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('howdah')
                     AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, 'SELECT') ORDER BY 1) AS unread,
               ARRAY(SELECT c.relname::text FROM pg_class AS c WHERE c.relnamespace = to_regnamespace('howdah')
                     AND c.relkind = 'r' AND c.relname <> 'migrations'
                     AND NOT (has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE')
                              AND has_table_privilege(c.oid, 'DELETE')) ORDER BY 1) AS unwritten
    """),
    {},
)


def privileges(patient: Patient) -> Iterator[Check]:
    rights, user = patient.plain.row(RIGHTS), relations.shown(patient.facts.user)
    if not patient.facts.vector_usable:
        yield judge_extension(str(patient.facts.vector_schema), user)
    yield judge_schema(user, read_only=patient.facts.read_only, **rights)
    for relation in patient.unreadable:
        yield judge_foreign(relation)


def judge_extension(schema: str, user: str) -> Check:
    where = relations.shown(schema)
    return About("privileges").fail(
        f"{user} may not use the schema {where}, where pgvector's types and operators are",
        f"GRANT USAGE ON SCHEMA {where} TO {user};",
    )


def judge_schema(
    user: str, *, there: bool, usage: bool, unread: list[str], unwritten: list[str], read_only: bool
) -> Check:
    """Without SELECT a search fails; without the rest only loading, deleting and remembering conversations do."""
    about = About("privileges")
    if not there:
        return about.ok("Howdah has no schema here")
    if not usage or unread:
        what = "the schema howdah" if not usage else f"{len(unread)} of Howdah's tables ({_few(unread)})"
        return about.fail(
            f"{user} may not read {what}",
            f"GRANT USAGE ON SCHEMA howdah TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA howdah TO {user};",
        )
    if unwritten and not read_only:
        return about.warn(
            f"{user} may search, and not write to {len(unwritten)} of Howdah's tables ({_few(unwritten)})",
            f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA howdah TO {user};"
            f" GRANT USAGE ON ALL SEQUENCES IN SCHEMA howdah TO {user};",
        )
    return about.ok(
        f"{user} may read and write Howdah's tables" if not read_only else f"{user} may read Howdah's tables"
    )


def judge_foreign(relation: relations.Relation) -> Check:
    usage = (
        ""
        if relation.schema == "public"
        else f"GRANT USAGE ON SCHEMA {relations.shown(relation.schema)} TO {relation.user}; "
    )
    return About("privileges", f"table {relation.shown}").warn(
        f"{relation.user} may not read {relation.shown}, so nothing more is said of it",
        f"{usage}GRANT SELECT ON {', '.join(with_its_own(relation))} TO {relation.user};",
    )


def with_its_own(relation: relations.Relation) -> list[str]:
    """The table, and the one that its searches join: langchain-postgres' collections."""
    joined = [relations.shown(relation.schema, COLLECTIONS)] if is_pgvector(relation) else []
    return [relation.shown, *joined]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
