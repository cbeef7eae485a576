"""PGVector's asynchronous methods, one for one those of `vectorstore_sync`."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from langchain_core.documents import Document
from psycopg import AsyncConnection

from howdah.retrieval import queries
from howdah.retrieval.advice import advise
from howdah.retrieval.collection import Collection
from howdah.retrieval.filters import Filter
from howdah.retrieval.plans import Rows, SearchOptions, Settings, check_k, document
from howdah.retrieval.query import Query
from howdah.retrieval.rows import hit
from howdah.retrieval.search import FETCH_K, split_options
from howdah.retrieval.slow import Ran
from howdah.retrieval.slow_plan import aplan
from howdah.retrieval.store import GONE
from howdah.retrieval.tally import Timing
from howdah.retrieval.types import Array, Hit, Vector
from howdah.retrieval.values import text, wanted_ids
from howdah.retrieval.vectorstore_base import Base, Meant, Row, check_where, check_written, diverse, where

T = TypeVar("T")
NO_ROWS: list[Row] = []


class AsyncMethods(Base):
    """Add, delete, get and search."""

    # -- the collection

    async def _afound(self) -> Collection | None:
        """The collection, checked against the constructor's arguments; None where there is none anywhere."""
        if self._database is None:
            await asyncio.to_thread(lambda: self.database)  # an embedded server may have to start
        if self._pre_delete:
            await self.adelete_collection()
        collection = await self.astore.find(self._wanted.name)
        if collection is None:
            await self.astore.check_not_elsewhere(self._wanted.name)
            return None
        return self._checked(collection)

    async def _amade(self, embeddings: Sequence[Any], texts: Sequence[str]) -> Collection:
        """The collection; made now where this is its first write."""
        collection = await self._afound()
        if collection is None:
            collection = self._checked(await self.astore.create(self._wanted.name, self._new_spec(embeddings, texts)))
        return collection

    async def _aon_collection(self, work: Callable[[Collection], Awaitable[T]], *, otherwise: T) -> T:
        """What `work` returns; `otherwise` where there is no collection. Looks again where it was dropped or made anew."""
        for last in (False, True):
            collection = await self._afound()
            if collection is None:
                return otherwise
            try:
                return await work(collection)
            except GONE:
                self.astore.forget(self._wanted.name)
                if last:
                    raise
        raise AssertionError

    async def adelete_collection(self) -> None:
        """Drop the collection and everything in it, where there is one."""
        self._pre_delete = False
        if await self.astore.find(self._wanted.name) is not None:
            await self.astore.drop(self._wanted.name)

    # -- writing

    async def aadd_texts(
        self, texts: Iterable[str], metadatas: Iterable[Mapping[str, Any]] | None = None,
        *, ids: Sequence[str | None] | None = None, conn: AsyncConnection[Any] | None = None, **kwargs: Any,
    ) -> list[str]:  # fmt: skip
        """Embed and write texts in one transaction, all or none; rows whose id is there already are replaced.

        Without ids each row gets a fresh UUID, and equal texts stay separate rows. A repeated id keeps its last row.
        `conn` joins the caller's transaction. Returns the ids in input order. Raises InvalidInput, before anything is
        embedded or written, for unequal lengths, ids over 1,000 bytes and metadata that JSON has no form for.
        """
        return await self._aadd(Rows.of(texts, metadatas, ids), None, conn, kwargs)

    async def aadd_documents(self, documents: Iterable[Document], **kwargs: Any) -> list[str]:
        """As `add_texts`; a Document's own id is used where `ids` is not given."""
        rows = Rows.of_documents(documents, kwargs.pop("ids", None))
        return await self._aadd(rows, None, kwargs.pop("conn", None), kwargs)

    async def aadd_embeddings(
        self, texts: Iterable[str], embeddings: Sequence[Sequence[float]],
        metadatas: Iterable[Mapping[str, Any]] | None = None, ids: Sequence[str | None] | None = None,
        *, conn: AsyncConnection[Any] | None = None, **kwargs: Any,
    ) -> list[str]:  # fmt: skip
        """As `add_texts`, with embeddings (n, d) that the caller has already."""
        return await self._aadd(Rows.of(texts, metadatas, ids), embeddings, conn, kwargs)

    async def _aadd(
        self, rows: Rows, embeddings: Any, conn: AsyncConnection[Any] | None, rest: dict[str, Any]
    ) -> list[str]:
        check_written(rest)
        if len(rows) == 0:
            return []
        if embeddings is not None:
            embeddings = embeddings if hasattr(embeddings, "__len__") else list(embeddings)
            rows.check_count(embeddings)
        for last in (False, True):
            found = await self._afound()
            vectors = await self._apassages(rows, found, embeddings, conn)
            collection = await self._amade(vectors, rows.texts)
            if found is not None and found.spec.model != collection.spec.model and not last:
                continue  # switched to another model meanwhile
            try:
                await self.astore.add(collection, rows.batch(vectors, collection), conn=conn)
                break
            except GONE:
                if conn is not None or last:
                    raise
                self.astore.forget(self._wanted.name)  # dropped, dropped and made anew, or switched to another model
        return list(rows.ids)

    async def _apassages(
        self, rows: Rows, found: Collection | None, embeddings: Any, conn: AsyncConnection[Any] | None
    ) -> Any:
        """The rows' vectors: the caller's own, or those of the model that the collection has."""
        if embeddings is not None:
            if found is not None:
                self._wanted.check_own(found)
            return embeddings
        dimensions, cache = found.dimensions if found else None, self._cache_of(found)
        vectors = (await cache.apassages(self.astore, rows.texts, dimensions=dimensions, conn=conn)).vectors
        rows.check_count(vectors)
        return vectors

    async def adelete(
        self, ids: Sequence[str] | None = None, *, filter: Filter | None = None,
        conn: AsyncConnection[Any] | None = None, **kwargs: Any,
    ) -> bool:  # fmt: skip
        """Delete the rows with these ids, or that match the filter, or both where both are given; unknown ids are no error."""
        split_options({name: value for name, value in kwargs.items() if name != "collection_only"})
        check_where(ids, filter)
        await self._aon_collection(
            lambda found: self.astore.delete(found, where(found, ids, filter), conn=conn), otherwise=0
        )
        return True

    # -- reading

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in id order; unknown ones are left out."""
        wanted = wanted_ids(ids)
        rows = await self._aon_collection(
            lambda found: self.astore.fetch(queries.by_ids(found, wanted)), otherwise=NO_ROWS
        )
        return [document(hit(row)) for row in rows]

    async def _asearch(
        self, build: Any, settings: Settings, given: Filter | None = None, *, mode: str, k: int
    ) -> list[Row]:
        """The rows of a search on the collection; none where it does not exist."""

        async def work(found: Collection) -> list[Row]:
            query, local, began = await build(found), settings(found), time.perf_counter()
            rows = await self.astore.fetch(query, local)
            seconds = time.perf_counter() - began
            advise(found, given, seconds)
            await self._anoted(timing, Ran(mode, k, given, query, local, seconds))
            return rows

        with self.database.tally.search(self._wanted.name, mode) as timing:
            rows = await self._aon_collection(work, otherwise=NO_ROWS)
        await self._aflush()
        return rows

    async def _anoted(self, timing: Timing, ran: Ran) -> None:
        """Count the statement, and log it with its plan where it was slow."""
        timing.database = ran.seconds * ran.searches
        timing.slow = self._slow.slow(ran.seconds)
        if timing.slow and self._slow.due():
            self._slow.write(self._wanted.name, ran, await aplan(self.database, ran.query, ran.settings))

    async def _aflush(self) -> None:
        for cache in self._caches:
            await cache.aflush(self.astore)

    async def _anearest(
        self, asked: Meant, k: int, filter: Filter | None, options: SearchOptions
    ) -> list[tuple[Hit, float]]:
        async def build(found: Collection) -> Query:
            return self._dense(found, await self._avector(found, asked), k, filter, options)

        rows = await self._asearch(
            build, partial(options.settings, check_k(k), filtered=bool(filter)), filter, mode="similarity", k=k
        )
        return [(hit(row), row["distance"]) for row in rows]

    async def _avector(self, found: Collection, asked: Meant) -> Any:
        """A query's vector by the model that the collection has, or the caller's own."""
        if asked.query is not None:
            return await self._aembed(asked.query, found)
        self._wanted.check_own(found)
        return asked.embedding

    async def _aembed(self, query: str, found: Collection) -> Array:
        return await self._cache_of(found).aquery(self.astore, text(query), dimensions=found.dimensions)

    async def asimilarity_search(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The k nearest documents, nearest first. `kwargs` are SearchOptions."""
        return [doc for doc, _ in await self.asimilarity_search_with_score(query, k, filter, **kwargs)]

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, with each one's distance (lower is nearer)."""
        found = await self._anearest(Meant(query), k, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    async def asimilarity_search_by_vector(
        self, embedding: Vector, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        return [doc for doc, _ in await self.asimilarity_search_with_score_by_vector(embedding, k, filter, **kwargs)]

    async def asimilarity_search_with_score_by_vector(
        self, embedding: Vector, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        found = await self._anearest(Meant(None, embedding), k, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[Document]:  # fmt: skip
        """k of the fetch_k nearest documents, in the order in which maximal marginal relevance chooses them."""
        found = await self.amax_marginal_relevance_search_with_score(query, k, fetch_k, lambda_mult, filter, **kwargs)
        return [doc for doc, _ in found]

    async def amax_marginal_relevance_search_by_vector(
        self, embedding: Vector, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[Document]:  # fmt: skip
        found = await self.amax_marginal_relevance_search_with_score_by_vector(
            embedding, k, fetch_k, lambda_mult, filter, **kwargs
        )
        return [doc for doc, _ in found]

    async def amax_marginal_relevance_search_with_score(
        self, query: str, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[tuple[Document, float]]:  # fmt: skip
        found = await self._adiverse(Meant(query), k, fetch_k, lambda_mult, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    async def amax_marginal_relevance_search_with_score_by_vector(
        self, embedding: Vector, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[tuple[Document, float]]:  # fmt: skip
        found = await self._adiverse(Meant(None, embedding), k, fetch_k, lambda_mult, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    async def _adiverse(
        self, asked: Meant, k: int, fetch_k: int, lambda_mult: float, filter: Filter | None, options: SearchOptions
    ) -> list[tuple[Hit, float]]:
        depth, embedding = max(check_k(fetch_k, "fetch_k"), check_k(k)), asked.embedding

        async def build(found: Collection) -> Query:
            nonlocal embedding
            embedding = await self._avector(found, asked)
            return self._dense(found, embedding, depth, filter, options, vectors=True)

        rows = await self._asearch(
            build, partial(options.settings, depth, filtered=bool(filter)), filter, mode="mmr", k=k
        )
        return diverse(rows, embedding, k=k, lambda_mult=lambda_mult)

    # -- lifecycle

    async def aclose(self) -> None:
        """Let go of the store's connections; other stores on the same database keep theirs working."""
        self._reset()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
