"""A LangChain RecordManager in the collection's own database: what `langchain_core.indexing.index` goes by.

Reads need no more than SELECT, and find nothing where there are no tables; the first write checks the schema.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from langchain_core.indexing import RecordManager

from howdah.retrieval import record_rows
from howdah.retrieval.collection import Collection
from howdah.retrieval.database import Database
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput
from howdah.retrieval.record_rows import Ledger
from howdah.retrieval.store import Store
from howdah.retrieval.store_async import AsyncStore

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector


class PGRecordManager(RecordManager):
    """The documents that `index` and `aindex` have written, in `howdah.records`. The constructor does no I/O.

    Every call is one statement, whatever the number of keys. Times are the server's.

    Args:
        namespace: which records; of one vector store, "pgvector/docs" for example. 1 to 400 bytes.
        store: the PGVector that is indexed into: a key whose chunk is no longer in its collection does not exist, so that
            the next run writes it anew. Or a Store, an AsyncStore or a Database: the records alone.
        tenant: with a Database alone; a store brings its own.
    """

    def __init__(self, namespace: str, store: "PGVector | Store | AsyncStore | Database", *, tenant: str = "") -> None:
        super().__init__(namespace)
        if not namespace:
            raise InvalidInput("the namespace is empty", hint="name the vector store: 'pgvector/docs'")
        record_rows.checked([namespace], "namespace", record_rows.LONGEST_NAMESPACE)
        self._store, self._astore = _stores(store, tenant)
        self._vectors = None if isinstance(store, Store | AsyncStore | Database) else store
        self._ledger = Ledger(tenant=self._store.tenant, namespace=namespace)

    def __repr__(self) -> str:
        return f"PGRecordManager({self.namespace!r} in {self._store.database.conninfo.place})"

    def create_schema(self) -> None:
        """Make the tables on an embedded server; raise SchemaMissing with the next step on another that has none."""
        self._store.prepare_schema()

    async def acreate_schema(self) -> None:
        await self._astore.prepare_schema()

    def get_time(self) -> float:
        """Seconds since 1970 by the server's clock."""
        return float(self._store.rows(record_rows.now())[0]["now"])

    async def aget_time(self) -> float:
        return float((await self._astore.rows(record_rows.now()))[0]["now"])

    def update(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None, time_at_least: float | None = None
    ) -> None:
        """Insert the keys or mark them as seen now, all or none.

        Raises InvalidInput where there are not as many group_ids as keys, DatabaseUnavailable where the server's clock
        is before `time_at_least`: it was set back, and a clean-up would then delete what is new.
        """
        query = record_rows.update(self._ledger, keys, group_ids, time_at_least)
        if keys:
            self._store.prepare_schema()
            _check_clock(self._store.execute(query))

    async def aupdate(
        self, keys: Sequence[str], *, group_ids: Sequence[str | None] | None = None, time_at_least: float | None = None
    ) -> None:
        query = record_rows.update(self._ledger, keys, group_ids, time_at_least)
        if keys:
            await self._astore.prepare_schema()
            _check_clock(await self._astore.execute(query))

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """Which of the keys are recorded, and, where the manager has the PGVector, are still in its collection.

        Both, because clean-ups go by the records: what a run beside this one, a `delete` by id or a dropped collection
        took away would else be skipped for ever.
        """

        def work(collection: Collection | None = None) -> set[str]:
            return {row["key"] for row in self._store.rows_if_there(record_rows.exists(self._ledger, keys, collection))}

        nothing: set[str] = set()
        there = work() if self._vectors is None else self._vectors._on_collection(work, otherwise=nothing)
        return [key in there for key in keys]

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        async def work(collection: Collection | None = None) -> set[str]:
            rows = await self._astore.rows_if_there(record_rows.exists(self._ledger, keys, collection))
            return {row["key"] for row in rows}

        nothing: set[str] = set()
        there = await (work() if self._vectors is None else self._vectors._aon_collection(work, otherwise=nothing))
        return [key in there for key in keys]

    def list_keys(
        self, *, before: float | None = None, after: float | None = None, group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:  # fmt: skip
        """Keys seen before, and after, these times and of these groups, those seen longest ago first."""
        query = record_rows.listing(self._ledger, before=before, after=after, groups=group_ids, limit=limit)
        return [row["key"] for row in self._store.rows_if_there(query)]

    async def alist_keys(
        self, *, before: float | None = None, after: float | None = None, group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:  # fmt: skip
        query = record_rows.listing(self._ledger, before=before, after=after, groups=group_ids, limit=limit)
        return [row["key"] for row in await self._astore.rows_if_there(query)]

    def delete_keys(self, keys: Sequence[str]) -> None:
        if keys:
            self._store.prepare_schema()
            self._store.execute(record_rows.delete(self._ledger, keys))

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        if keys:
            await self._astore.prepare_schema()
            await self._astore.execute(record_rows.delete(self._ledger, keys))


def _stores(given: object, tenant: str) -> tuple[Store, AsyncStore]:
    """Both halves of a store, from either of them, from a PGVector or from a Database."""
    if isinstance(given, Database):
        return Store(given, tenant=tenant), AsyncStore(given, tenant=tenant)
    found = given if isinstance(given, Store | AsyncStore) else getattr(given, "store", None)
    if not isinstance(found, Store | AsyncStore):
        raise InvalidInput(
            f"store is {type(given).__name__} and must be a PGVector, a Store or a Database",
            hint="for example: PGRecordManager('pgvector/docs', store)",
        )
    return Store(found.database, tenant=found.tenant), AsyncStore(found.database, tenant=found.tenant)


def _check_clock(touched: int) -> None:
    if not touched:
        raise DatabaseUnavailable(
            "the server's clock is before the time that this run began at, so nothing was recorded",
            hint="run it again once the clock is right",
        )
