"""Deleting what a person names: documents by their sources, or chunks by a condition."""

from collections.abc import Sequence

from psycopg.rows import tuple_row
from psycopg.sql import SQL

from howdah.retrieval import documents, writes
from howdah.retrieval.collection import Collection
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.store import Store


def count(store: Store, collection: Collection, *, sources: Sequence[str] = (), where: Condition | None = None) -> int:
    """How many chunks `remove` would delete."""
    condition = where or _of_sources(collection, sources)
    sql = SQL("SELECT count(*) AS chunks FROM {} AS c WHERE c.tenant = %(tenant)s AND {}").format(
        collection.chunks, condition.sql
    )
    return int(store.rows(Query(sql, {"tenant": collection.tenant, **condition.params}))[0]["chunks"])


def remove(store: Store, collection: Collection, *, sources: Sequence[str] = (), where: Condition | None = None) -> int:
    """Delete documents with their chunks, or the chunks that match, in one transaction; how many chunks went.

    A document that loses its last chunk goes as well, so that a later sync loads it again. Documents are locked before
    their chunks, as a sync locks them.
    """
    with store.database.connection() as conn, conn.transaction():
        cursor = conn.cursor(row_factory=tuple_row)
        if where is None:
            gone = [row[0] for row in cursor.execute(*documents.remove(collection, sources))]
            return store.delete(collection, writes.where_documents(gone), conn=conn)
        touched = [row[0] for row in cursor.execute(*documents.lock_those_of(collection, where))]
        deleted = store.delete(collection, where, conn=conn)
        conn.execute(*documents.remove_empty(collection, touched))
    return deleted


def _of_sources(collection: Collection, sources: Sequence[str]) -> Condition:
    return Condition(
        SQL("""
            c.document IN (SELECT d.id FROM howdah.documents AS d WHERE d.tenant = %(tenant)s
                           AND d.collection = %(of_collection)s AND d.source = ANY(%(sources)s))
        """),
        {"of_collection": collection.id, "sources": list(sources)},
    )
