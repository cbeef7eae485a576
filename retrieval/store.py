"""The only synchronous I/O on collections and chunks; `store_async` is its twin."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, tuple_row
from psycopg.sql import SQL, Composed

from howdah.retrieval import batches, catalog, postings, queries, schema, writes
from howdah.retrieval.batches import Batch
from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.database import Conn, Database
from howdah.retrieval.errors import InvalidInput, NotAdopted, NotFound, SchemaMissing
from howdah.retrieval.lookups import Lookups
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.server import connect
from howdah.retrieval.wire import copy_blocks

Row = dict[str, Any]
GONE = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)


class Store:
    """Collections and chunks of one tenant in one database."""

    def __init__(self, database: Database, *, tenant: str = "") -> None:
        self.database, self.tenant = database, tenant
        self._known = Lookups()
        self._current = False

    # -- collections

    def find(self, name: str) -> Collection | None:
        """The collection of that name, or None; what was found is remembered for a minute."""
        collection = self._known.get(name)
        if collection is None:
            try:
                rows = self.rows(catalog.find(self.tenant, name))
            except GONE:
                return None
            if not rows:
                return None
            if rows[0]["installed"] < schema.READABLE:
                self.prepare_schema()
            found = catalog.from_row(rows[0], self.database.server.vector_schema)
            collection = self._known.put(name, found)
        return collection

    def get(self, name: str) -> Collection:
        """As `find`; NotFound where there is none, NotAdopted where its rows are in langchain-postgres' tables."""
        collection = self.find(name)
        if collection is None:
            self.check_not_elsewhere(name)
            raise NotFound(
                f"there is no collection {name!r} in {self.database.conninfo.place}", hint="run: howdah ingest PATH"
            )
        return collection

    def check_not_elsewhere(self, name: str) -> None:
        """Raise NotAdopted where langchain-postgres holds rows of a collection of this name."""
        with self.database.connection() as conn:
            if not _value(conn, catalog.langchain_tables()):
                return
            try:
                rows = int(_value(conn, catalog.langchain_rows(name)))
            except (errors.UndefinedColumn, errors.InsufficientPrivilege):
                return
        if rows:
            raise NotAdopted(collection=name, rows=rows, table="langchain_pg_embedding")

    def create(self, name: str, spec: Spec) -> Collection:
        """Make the collection and its tables; the one that is there where another process was quicker."""
        check_name(name)
        self.prepare_schema()
        with cannot_create(spec), self.database.connection() as conn, conn.transaction():
            cursor = conn.cursor(row_factory=dict_row)
            row = cursor.execute(*catalog.insert(self.tenant, name, spec)).fetchone()
            if row is not None:
                collection = catalog.from_row(row, self.database.server.vector_schema)
                conn.execute(schema.create_tables(collection))
        return self.get(name)

    def drop(self, name: str) -> None:
        collection = self.get(name)
        with self.database.connection() as conn, conn.transaction():
            conn.execute(schema.drop_tables(collection))  # first: a writer holds them and needs the row
            conn.execute(*catalog.remove(collection))
        self.forget(name)

    def rename(self, name: str, to: str) -> None:
        collection = self.get(name)
        check_name(to)
        try:
            self.execute(catalog.rename(collection, to))
        except errors.UniqueViolation:
            raise InvalidInput(
                f"there is a collection {to!r} already", hint="choose another name, or drop that one"
            ) from None
        self.forget(name)

    def listing(self, name: str | None = None) -> list[Row]:
        return self.rows_if_there(catalog.listing(self.tenant, name))

    def forget(self, name: str) -> None:
        """Look the collection up again at its next use: it was dropped, made anew or changed."""
        self._known.forget(name)

    # -- the schema

    def prepare_schema(self) -> None:
        """Make sure that the schema is this program's: an embedded server's is migrated, another's only checked."""
        if self._current:
            return
        if self.database.embedded:
            self.migrate()
        else:
            with self.database.connection() as conn:
                schema.check_version(schema.installed_version(conn))
        self._current = True

    def migrate(self) -> list[int]:
        """Bring the schema up to date, on a direct connection; the versions applied."""
        self.database.wake()
        with connect(self.database.conninfo) as (conn, _):
            return schema.migrate(conn)

    # -- chunks

    def add(self, collection: Collection, batch: Batch, *, conn: Conn | None = None) -> None:
        """Write the batch in one transaction, all rows or none; rows with known ids are replaced."""
        self.prepare_schema()
        batch = batches.unique(batch)
        if len(batch) == 0:
            return
        with self._transaction(conn, pipeline=len(batch) <= writes.SMALL) as mine:
            if len(batch) <= writes.SMALL:
                self._add_small(mine, collection, batch)
            elif batch.fresh:
                self._add_fresh(mine, collection, batch)
            else:
                self._add_staged(mine, collection, batch)
            if conn is None and postings.in_turn():
                mine.execute(*postings.fold_stats(collection))

    def _add_small(self, conn: Conn, collection: Collection, batch: Batch) -> None:
        element_oid = self.database.server.types[collection.spec.storage.type_name][0]
        conn.execute(*writes.upsert_chunks(collection, batch, element_oid))
        conn.execute(*writes.upsert_passages(collection, batch))

    def _add_fresh(self, conn: Conn, collection: Collection, batch: Batch) -> None:
        numbers = [
            row[0] for row in conn.cursor(row_factory=tuple_row).execute(*writes.next_numbers(collection, len(batch)))
        ]
        _copy(conn, writes.copy_chunks(collection), batches.chunk_rows(collection, batch, numbers))
        _copy(conn, writes.copy_passages(collection), batches.passage_rows(collection, batch, numbers))
        conn.execute(*writes.index_fresh(collection, numbers))

    def _add_staged(self, conn: Conn, collection: Collection, batch: Batch) -> None:
        for query in writes.create_staging(collection):
            conn.execute(*query)
        _copy(conn, writes.COPY_STAGED_CHUNKS, batches.staged_chunk_rows(collection, batch))
        _copy(conn, writes.COPY_STAGED_PASSAGES, batches.staged_passage_rows(batch))
        for query in [*writes.upsert_staged(collection, batch.document), writes.drop_staging()]:
            conn.execute(*query)

    def delete(self, collection: Collection, where: Condition, *, conn: Conn | None = None) -> int:
        """Delete the chunks that match, in one transaction; how many there were."""
        self.prepare_schema()
        with self._transaction(conn) as mine:
            cursor = mine.cursor(row_factory=tuple_row).execute(*writes.delete(collection, where))
            numbers = [row[0] for row in cursor]
            if numbers:
                mine.execute(*writes.delete_words(collection, numbers))
        return len(numbers)

    def fetch(self, query: Query, settings: dict[str, str] | None = None) -> list[Row]:
        """A search statement's rows, in one round trip; prepared. `settings` hold for this statement alone."""
        return self.fetch_many([query], settings)[0]

    def fetch_many(self, wanted: Sequence[Query], settings: dict[str, str] | None = None) -> list[list[Row]]:
        """The rows of each search statement, all in one round trip on one connection; `settings` hold for them alone."""
        local = self.database.server.missing(settings or {})
        return self.database.read(lambda conn: _fetch(conn, wanted, local))

    def rows(self, query: Query) -> list[Row]:
        def work(conn: Conn) -> list[Row]:
            return conn.cursor(row_factory=dict_row).execute(*query).fetchall()

        return self.database.read(work)

    def rows_if_there(self, query: Query) -> list[Row]:
        """As `rows`; none where the schema, or the table, is not there yet."""
        try:
            return self.rows(query)
        except GONE:
            return []

    def execute(self, query: Query) -> int:
        """Run a statement; how many rows it touched."""
        with self.database.connection() as conn:
            return conn.execute(*query).rowcount

    def count(self, collection: Collection) -> int:
        return int(self.rows(queries.count(collection))[0]["chunks"])

    @contextmanager
    def _transaction(self, conn: Conn | None, *, pipeline: bool = False) -> Iterator[Conn]:
        """A transaction of our own (with `pipeline`, in one trip), or a savepoint in the caller's."""
        with ExitStack() as stack:
            if conn is None:
                conn = stack.enter_context(self.database.connection())
            else:
                self.database.server.register(conn.adapters)
                if not conn.autocommit and conn.info.transaction_status == TransactionStatus.IDLE:
                    conn.execute("SELECT")  # begins: else the block below would begin, and commit
            if pipeline:
                stack.enter_context(conn.pipeline())
            stack.enter_context(conn.transaction())
            yield conn


@contextmanager
def cannot_create(spec: Spec) -> Iterator[None]:
    """Our sentence for the two ways in which a server refuses a new collection."""
    try:
        yield
    except errors.InsufficientPrivilege as exc:
        raise SchemaMissing(
            f"this user may not create a collection's tables ({exc.diag.message_primary})",
            hint="the owner must run: GRANT USAGE, CREATE ON SCHEMA howdah TO this user; and grant it Howdah's tables",
        ) from exc
    except errors.UndefinedObject as exc:
        raise InvalidInput(
            f"this server has no text-search configuration {spec.config!r}", hint="its own are listed by psql's \\dF"
        ) from exc


def check_name(name: str) -> None:
    if not isinstance(name, str) or not name.strip() or len(name.encode()) > 200 or "\x00" in name:
        raise InvalidInput(f"{name!r} is not a collection name", hint="use 1 to 200 bytes of text")


def _fetch(conn: Conn, wanted: Sequence[Query], local: dict[str, str]) -> list[list[Row]]:
    cursors = [conn.cursor(row_factory=dict_row) for _ in wanted]
    if len(cursors) == 1 and not local:
        return [cursors[0].execute(*wanted[0], prepare=True).fetchall()]
    # One implicit transaction, with which the settings end: BEGIN and COMMIT would be three trips more.
    with conn.pipeline():
        if local:
            conn.execute(*queries.set_local(local))
        for cursor, query in zip(cursors, wanted, strict=True):
            cursor.execute(*query, prepare=True)
    return [cursor.fetchall() for cursor in cursors]


def _value(conn: Conn, query: Query) -> Any:
    row = conn.cursor(row_factory=tuple_row).execute(*query).fetchone()
    assert row is not None
    return row[0]


def _copy(conn: Conn, statement: SQL | Composed, rows: Iterator[bytes]) -> None:
    with conn.cursor().copy(statement) as copy:
        for block in copy_blocks(rows):
            copy.write(block)
