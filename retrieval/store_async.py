"""The only asynchronous I/O on collections and chunks, method for method as `store` does it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, tuple_row
from psycopg.sql import SQL, Composed

from howdah.retrieval import batches, catalog, postings, queries, schema, writes
from howdah.retrieval.batches import Batch
from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.database import AsyncConn, Database
from howdah.retrieval.errors import InvalidInput, NotAdopted, NotFound
from howdah.retrieval.lookups import Lookups
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.store import GONE, Row, Store, cannot_create, check_name
from howdah.retrieval.wire import copy_blocks


class AsyncStore:
    """Collections and chunks of one tenant in one database."""

    def __init__(self, database: Database, *, tenant: str = "") -> None:
        self.database, self.tenant = database, tenant
        self._known = Lookups()
        self._current = False

    # -- collections

    async def find(self, name: str) -> Collection | None:
        """The collection of that name, or None; what was found is remembered for a minute."""
        collection = self._known.get(name)
        if collection is None:
            try:
                rows = await self.rows(catalog.find(self.tenant, name))
            except GONE:
                return None
            if not rows:
                return None
            if rows[0]["installed"] < schema.READABLE:
                await self.prepare_schema()
            found = catalog.from_row(rows[0], (await self.database.aserver()).vector_schema)
            collection = self._known.put(name, found)
        return collection

    async def get(self, name: str) -> Collection:
        """As `find`; NotFound where there is none, NotAdopted where its rows are in langchain-postgres' tables."""
        collection = await self.find(name)
        if collection is None:
            await self.check_not_elsewhere(name)
            raise NotFound(
                f"there is no collection {name!r} in {self.database.conninfo.place}", hint="run: howdah ingest PATH"
            )
        return collection

    async def check_not_elsewhere(self, name: str) -> None:
        """Raise NotAdopted where langchain-postgres holds rows of a collection of this name."""
        async with self.database.aconnection() as conn:
            if not await _value(conn, catalog.langchain_tables()):
                return
            try:
                rows = int(await _value(conn, catalog.langchain_rows(name)))
            except (errors.UndefinedColumn, errors.InsufficientPrivilege):
                return
        if rows:
            raise NotAdopted(collection=name, rows=rows, table="langchain_pg_embedding")

    async def create(self, name: str, spec: Spec) -> Collection:
        """Make the collection and its tables; the one that is there where another process was quicker."""
        check_name(name)
        await self.prepare_schema()
        with cannot_create(spec):
            async with self.database.aconnection() as conn, conn.transaction():
                cursor = conn.cursor(row_factory=dict_row)
                row = await (await cursor.execute(*catalog.insert(self.tenant, name, spec))).fetchone()
                if row is not None:
                    collection = catalog.from_row(row, (await self.database.aserver()).vector_schema)
                    await conn.execute(schema.create_tables(collection))
        return await self.get(name)

    async def drop(self, name: str) -> None:
        collection = await self.get(name)
        async with self.database.aconnection() as conn, conn.transaction():
            await conn.execute(schema.drop_tables(collection))  # first: a writer holds them and needs the row
            await conn.execute(*catalog.remove(collection))
        self.forget(name)

    async def rename(self, name: str, to: str) -> None:
        collection = await self.get(name)
        check_name(to)
        try:
            await self.execute(catalog.rename(collection, to))
        except errors.UniqueViolation:
            raise InvalidInput(
                f"there is a collection {to!r} already", hint="choose another name, or drop that one"
            ) from None
        self.forget(name)

    async def listing(self, name: str | None = None) -> list[Row]:
        return await self.rows_if_there(catalog.listing(self.tenant, name))

    def forget(self, name: str) -> None:
        """Look the collection up again at its next use: it was dropped, made anew or changed."""
        self._known.forget(name)

    # -- the schema

    async def prepare_schema(self) -> None:
        """Make sure that the schema is this program's: an embedded server's is migrated, another's only checked."""
        if not self._current:
            await asyncio.to_thread(Store(self.database, tenant=self.tenant).prepare_schema)
            self._current = True

    async def migrate(self) -> list[int]:
        """Bring the schema up to date, on a direct connection; the versions applied."""
        return await asyncio.to_thread(Store(self.database, tenant=self.tenant).migrate)

    # -- chunks

    async def add(self, collection: Collection, batch: Batch, *, conn: AsyncConn | None = None) -> None:
        """Write the batch in one transaction, all rows or none; rows with known ids are replaced."""
        await self.prepare_schema()
        batch = batches.unique(batch)
        if len(batch) == 0:
            return
        async with self._transaction(conn, pipeline=len(batch) <= writes.SMALL) as mine:
            if len(batch) <= writes.SMALL:
                await self._add_small(mine, collection, batch)
            elif batch.fresh:
                await self._add_fresh(mine, collection, batch)
            else:
                await self._add_staged(mine, collection, batch)
            if conn is None and postings.in_turn():
                await mine.execute(*postings.fold_stats(collection))

    async def _add_small(self, conn: AsyncConn, collection: Collection, batch: Batch) -> None:
        element_oid = (await self.database.aserver()).types[collection.spec.storage.type_name][0]
        await conn.execute(*writes.upsert_chunks(collection, batch, element_oid))
        await conn.execute(*writes.upsert_passages(collection, batch))

    async def _add_fresh(self, conn: AsyncConn, collection: Collection, batch: Batch) -> None:
        cursor = await conn.cursor(row_factory=tuple_row).execute(*writes.next_numbers(collection, len(batch)))
        numbers = [row[0] for row in await cursor.fetchall()]
        await _copy(conn, writes.copy_chunks(collection), batches.chunk_rows(collection, batch, numbers))
        await _copy(conn, writes.copy_passages(collection), batches.passage_rows(collection, batch, numbers))
        await conn.execute(*writes.index_fresh(collection, numbers))

    async def _add_staged(self, conn: AsyncConn, collection: Collection, batch: Batch) -> None:
        for query in writes.create_staging(collection):
            await conn.execute(*query)
        await _copy(conn, writes.COPY_STAGED_CHUNKS, batches.staged_chunk_rows(collection, batch))
        await _copy(conn, writes.COPY_STAGED_PASSAGES, batches.staged_passage_rows(batch))
        for query in [*writes.upsert_staged(collection, batch.document), writes.drop_staging()]:
            await conn.execute(*query)

    async def delete(self, collection: Collection, where: Condition, *, conn: AsyncConn | None = None) -> int:
        """Delete the chunks that match, in one transaction; how many there were."""
        await self.prepare_schema()
        async with self._transaction(conn) as mine:
            cursor = await mine.cursor(row_factory=tuple_row).execute(*writes.delete(collection, where))
            numbers = [row[0] for row in await cursor.fetchall()]
            if numbers:
                await mine.execute(*writes.delete_words(collection, numbers))
        return len(numbers)

    async def fetch(self, query: Query, settings: dict[str, str] | None = None) -> list[Row]:
        """A search statement's rows, in one round trip; prepared. `settings` hold for this statement alone."""
        return (await self.fetch_many([query], settings))[0]

    async def fetch_many(self, wanted: Sequence[Query], settings: dict[str, str] | None = None) -> list[list[Row]]:
        """The rows of each search statement, all in one round trip on one connection; `settings` hold for them alone."""
        local = (await self.database.aserver()).missing(settings or {})
        return await self.database.aread(lambda conn: _fetch(conn, wanted, local))

    async def rows(self, query: Query) -> list[Row]:
        async def work(conn: AsyncConn) -> list[Row]:
            return await (await conn.cursor(row_factory=dict_row).execute(*query)).fetchall()

        return await self.database.aread(work)

    async def rows_if_there(self, query: Query) -> list[Row]:
        """As `rows`; none where the schema, or the table, is not there yet."""
        try:
            return await self.rows(query)
        except GONE:
            return []

    async def execute(self, query: Query) -> int:
        """Run a statement; how many rows it touched."""
        async with self.database.aconnection() as conn:
            return (await conn.execute(*query)).rowcount

    async def count(self, collection: Collection) -> int:
        return int((await self.rows(queries.count(collection)))[0]["chunks"])

    @asynccontextmanager
    async def _transaction(self, conn: AsyncConn | None, *, pipeline: bool = False) -> AsyncIterator[AsyncConn]:
        """A transaction of our own (with `pipeline`, in one trip), or a savepoint in the caller's."""
        async with AsyncExitStack() as stack:
            if conn is None:
                conn = await stack.enter_async_context(self.database.aconnection())
            else:
                (await self.database.aserver()).register(conn.adapters)
                if not conn.autocommit and conn.info.transaction_status == TransactionStatus.IDLE:
                    await conn.execute("SELECT")  # begins: else the block below would begin, and commit
            if pipeline:
                await stack.enter_async_context(conn.pipeline())
            await stack.enter_async_context(conn.transaction())
            yield conn


async def _fetch(conn: AsyncConn, wanted: Sequence[Query], local: dict[str, str]) -> list[list[Row]]:
    cursors = [conn.cursor(row_factory=dict_row) for _ in wanted]
    if len(cursors) == 1 and not local:
        return [await (await cursors[0].execute(*wanted[0], prepare=True)).fetchall()]
    async with conn.pipeline():  # as in `store`
        if local:
            await conn.execute(*queries.set_local(local))
        for cursor, query in zip(cursors, wanted, strict=True):
            await cursor.execute(*query, prepare=True)
    return [await cursor.fetchall() for cursor in cursors]


async def _value(conn: AsyncConn, query: Query) -> Any:
    row = await (await conn.cursor(row_factory=tuple_row).execute(*query)).fetchone()
    assert row is not None
    return row[0]


async def _copy(conn: AsyncConn, statement: SQL | Composed, rows: Iterator[bytes]) -> None:
    async with conn.cursor().copy(statement) as copy:
        for block in copy_blocks(rows):
            await copy.write(block)
