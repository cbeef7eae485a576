"""Find what can be adopted, and say who may not read it."""

from psycopg import errors

from howdah.retrieval import adopt_sources, adopt_sql, relations
from howdah.retrieval.adopt_sources import Kind, Named, Source
from howdah.retrieval.errors import DatabaseUnavailable, NotFound
from howdah.retrieval.relations import Relation
from howdah.retrieval.store import Store


def adoptable(store: Store) -> list[Source]:
    """Every collection and table of the three libraries in this database, in the order of their names."""
    found: list[Source] = []
    for relation in map(relations.from_row, store.rows(relations.with_vectors())):
        if adopt_sources.is_pgvector(relation):
            found += _collections(store, relation, Named())
        elif source := adopt_sources.recognised(relation):
            found.append(source)
    return found


def table_sources(store: Store, table: str, named: Named) -> list[Source]:
    """What that one table holds: a source, or langchain-postgres' collections. NotFound where there is no such table."""
    rows = store.rows(relations.named(table))
    if not rows:
        raise NotFound(f"there is no table {table!r} in {store.database.conninfo.place}", hint="list: howdah adopt")
    relation = relations.from_row(rows[0])
    if adopt_sources.is_pgvector(relation):
        return _collections(store, relation, named)
    return [adopt_sources.of_table(relation, named)]


def _collections(store: Store, relation: Relation, named: Named) -> list[Source]:
    """langchain-postgres' collections; one source that may not be read where their names may not be read."""
    try:
        rows = store.rows(adopt_sources.collections(relation)) if relation.readable else None
    except errors.UndefinedTable:
        return []
    except errors.InsufficientPrivilege:
        rows = None
    if rows is None:
        return [adopt_sources.unreadable(relation)]
    return adopt_sources.pgvector(relation, rows, named)


def count(store: Store, source: Source) -> int | None:
    """How many rows the source has; None where this user may not read it."""
    return int(store.rows(adopt_sql.count(source))[0]["rows"]) if source.relation.readable else None


def may_not_read(source: Source) -> DatabaseUnavailable:
    relation = source.relation
    return DatabaseUnavailable(
        f"user {relation.user} may not read {relation.shown}",
        hint=f"its owner, {relation.owner}, must run: {grant(source)}",
    )


def grant(source: Source) -> str:
    """The statement that lets this user read the source."""
    relation = source.relation
    tables = [relation.shown]
    if source.kind is Kind.PGVECTOR:
        tables.append(relations.shown(relation.schema, adopt_sources.COLLECTIONS))
    usage = (
        ""
        if relation.schema == "public"
        else f"GRANT USAGE ON SCHEMA {relations.shown(relation.schema)} TO {relation.user}; "
    )
    return f"{usage}GRANT SELECT ON {', '.join(tables)} TO {relation.user};"
