"""PGVector on a table of somebody else's: every search by vector, sync and async, and no write."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from psycopg import errors

from howdah.retrieval import foreign, relations
from howdah.retrieval.adopt_find import may_not_read
from howdah.retrieval.database import AsyncPool, Pool
from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.retrieval.filters import Filter
from howdah.retrieval.foreign import Columns, Table
from howdah.retrieval.plans import SearchOptions, check_k, document
from howdah.retrieval.query import Query
from howdah.retrieval.rows import hit
from howdah.retrieval.search import Search
from howdah.retrieval.types import Hit
from howdah.retrieval.values import query_embedding, wanted_ids
from howdah.retrieval.vectorstore import PGVector

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection

Row = dict[str, Any]
T = TypeVar("T")
CHANGED = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName, errors.UndefinedObject)


class PGVectorTable(PGVector):
    """What `PGVector.from_table` makes."""

    def __init__(
        self,
        table: str,
        embeddings: Embeddings,
        *,
        columns: Columns,
        connection: Any = None,
        distance_strategy: Any = None,
        relevance_score_fn: Callable[[float], float] | None = None,
        pool: Pool | AsyncPool | None = None,
        pool_size: int | None = None,
        home: str | Path | None = None,
        slow_ms: float | None = None,
    ) -> None:
        relations.split_name(table)
        super().__init__(
            embeddings,
            collection_name=table,
            connection=connection,
            distance_strategy=distance_strategy,
            relevance_score_fn=relevance_score_fn,
            pool=pool,
            pool_size=pool_size,
            home=home,
            slow_ms=slow_ms,
            cache=False,  # it would write, and where there may be no schema of ours
        )
        self._columns = columns

    def __repr__(self) -> str:
        where = self._conninfo.place if self._conninfo else "the embedded server"
        return f"PGVector(table {self.collection_name} in {where})"

    def _reset(self) -> None:
        super()._reset()
        self._table: Table | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_table": None}

    # -- the table, looked up in the catalog once

    def _found(self) -> "Collection | None":
        self._looked_up()
        return cast("Collection", self._table)

    async def _afound(self) -> "Collection | None":
        await self._alooked_up()
        return cast("Collection", self._table)

    def _looked_up(self) -> Table:
        if self._table is None:
            found = self._described(self.store.rows(relations.named(self.collection_name)))
            if found.dimensions is None:
                found = _measured(found, self.store.rows(foreign.first_dimensions(found.source)))
            self._table, self._metric = found, found.metric
        return self._table

    async def _alooked_up(self) -> Table:
        if self._database is None:
            await asyncio.to_thread(lambda: self.database)  # an embedded server may have to start
        if self._table is None:
            found = self._described(await self.astore.rows(relations.named(self.collection_name)))
            if found.dimensions is None:
                found = _measured(found, await self.astore.rows(foreign.first_dimensions(found.source)))
            self._table, self._metric = found, found.metric
        return self._table

    def _described(self, rows: list[Row]) -> Table:
        if not rows:
            raise NotFound(
                f"there is no table {self.collection_name} in {self.database.conninfo.place}",
                hint="write schema.table; names are taken as they are, also their case",
            )
        found = foreign.table(relations.from_row(rows[0]), self._columns, self._wanted.metric)
        if not found.source.relation.readable:
            raise may_not_read(found.source)
        return found

    # -- searches

    def _build(
        self,
        table: Table,
        embedding: Any,
        k: int,
        given: Filter | None,
        options: SearchOptions,
        *,
        vectors: bool = False,
    ) -> Query:
        array = query_embedding(
            embedding,
            dimensions=table.dimensions or len(embedding),
            collection=self.collection_name,
            cosine=table.metric.label == "cosine",
            half=table.storage.type_name == "halfvec",
        )
        return foreign.nearest(table, array, k=check_k(k), given=given, exact=options.exact, vectors=vectors)

    def _dense(
        self, collection: Any, embedding: Any, k: int, given: Filter | None, options: SearchOptions,
        *, vectors: bool = False,
    ) -> Query:  # fmt: skip
        return self._build(collection, embedding, k, given, options, vectors=vectors)

    def _on_collection(self, work: Callable[["Collection"], T], *, otherwise: T) -> T:
        """What `work` returns; looks the table up again where it was altered or made anew."""
        try:
            return work(cast("Collection", self._looked_up()))
        except CHANGED:
            self._table = None
            return work(cast("Collection", self._looked_up()))

    async def _aon_collection(self, work: Callable[["Collection"], Awaitable[T]], *, otherwise: T) -> T:
        try:
            return await work(cast("Collection", await self._alooked_up()))
        except CHANGED:
            self._table = None
            return await work(cast("Collection", await self._alooked_up()))

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in id order; unknown ones are left out."""
        wanted = wanted_ids(ids)
        query = foreign.by_ids(self._looked_up(), wanted)
        return [document(hit(row)) for row in self.store.fetch(query)]

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        wanted = wanted_ids(ids)
        query = foreign.by_ids(await self._alooked_up(), wanted)
        return [document(hit(row)) for row in await self.astore.fetch(query)]

    def _answers(self, searches: Sequence[Search]) -> list[list[Hit]]:
        self._check(searches)
        return super()._answers(searches)

    async def _aanswers(self, searches: Sequence[Search]) -> list[list[Hit]]:
        self._check(searches)
        return await super()._aanswers(searches)

    def _check(self, searches: Sequence[Search]) -> None:
        """Refuse what needs Howdah's tables before anything is embedded."""
        for search in searches:
            if search.search_type in ("hybrid", "lexical"):
                raise foreign.not_here(
                    self.collection_name,
                    f"{search.search_type} search needs Howdah's index of words",
                    instead="use search_type='similarity', or ",
                )
            if search.around is not None:
                raise foreign.not_here(self.collection_name, "neighbouring chunks are known in Howdah's tables alone")

    # -- no writes

    def _add(self, rows: Any, embeddings: Any, conn: Any, rest: dict[str, Any]) -> NoReturn:
        self._refuse_to_write()

    async def _aadd(self, rows: Any, embeddings: Any, conn: Any, rest: dict[str, Any]) -> NoReturn:
        self._refuse_to_write()

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> NoReturn:
        """Raises InvalidInput: the table is only read."""
        self._refuse_to_write()

    async def adelete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> NoReturn:
        """Raises InvalidInput: the table is only read."""
        self._refuse_to_write()

    def delete_collection(self) -> NoReturn:
        """Raises InvalidInput: the table is only read."""
        self._refuse_to_write()

    async def adelete_collection(self) -> NoReturn:
        """Raises InvalidInput: the table is only read."""
        self._refuse_to_write()

    def _refuse_to_write(self) -> NoReturn:
        raise foreign.not_here(self.collection_name, "a write needs a collection of Howdah's", instead="to write, ")


def _measured(table: Table, rows: Sequence[Mapping[str, Any]]) -> Table:
    return replace(table, dimensions=rows[0]["dimensions"]) if rows else table


def columns(*, metadata: Sequence[str], **named: str | None) -> Columns:
    """The columns that `from_table` was told; one string is not taken for a list of its letters."""
    if isinstance(metadata, str):
        raise InvalidInput(
            f"metadata is one string, {metadata!r}, and not a list of columns", hint=f"write [{metadata!r}]"
        )
    return Columns(metadata=tuple(metadata), **named)
