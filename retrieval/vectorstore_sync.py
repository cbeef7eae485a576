"""PGVector's synchronous methods; `vectorstore_async` holds their twins."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from langchain_core.documents import Document
from psycopg import Connection

from howdah.retrieval import queries
from howdah.retrieval.advice import advise
from howdah.retrieval.collection import Collection
from howdah.retrieval.filters import Filter
from howdah.retrieval.plans import Rows, SearchOptions, Settings, check_k, document
from howdah.retrieval.query import Query
from howdah.retrieval.rows import hit
from howdah.retrieval.search import FETCH_K, split_options
from howdah.retrieval.slow import Ran
from howdah.retrieval.slow_plan import plan
from howdah.retrieval.store import GONE
from howdah.retrieval.tally import Timing
from howdah.retrieval.types import Array, Hit, Vector
from howdah.retrieval.values import text, wanted_ids
from howdah.retrieval.vectorstore_base import Base, Meant, Row, check_where, check_written, diverse, where

T = TypeVar("T")
NO_ROWS: list[Row] = []


class SyncMethods(Base):
    """Add, delete, get and search."""

    # -- the collection

    def _found(self) -> Collection | None:
        """The collection, checked against the constructor's arguments; None where there is none anywhere."""
        if self._pre_delete:
            self.delete_collection()
        collection = self.store.find(self._wanted.name)
        if collection is None:
            self.store.check_not_elsewhere(self._wanted.name)
            return None
        return self._checked(collection)

    def _made(self, embeddings: Sequence[Any], texts: Sequence[str]) -> Collection:
        """The collection; made now where this is its first write."""
        collection = self._found()
        if collection is None:
            collection = self._checked(self.store.create(self._wanted.name, self._new_spec(embeddings, texts)))
        return collection

    def _on_collection(self, work: Callable[[Collection], T], *, otherwise: T) -> T:
        """What `work` returns; `otherwise` where there is no collection. Looks again where it was dropped or made anew."""
        for last in (False, True):
            collection = self._found()
            if collection is None:
                return otherwise
            try:
                return work(collection)
            except GONE:
                self.store.forget(self._wanted.name)
                if last:
                    raise
        raise AssertionError

    def delete_collection(self) -> None:
        """Drop the collection and everything in it, where there is one."""
        self._pre_delete = False
        if self.store.find(self._wanted.name) is not None:
            self.store.drop(self._wanted.name)

    # -- writing

    def add_texts(
        self, texts: Iterable[str], metadatas: Iterable[Mapping[str, Any]] | None = None,
        *, ids: Sequence[str | None] | None = None, conn: Connection[Any] | None = None, **kwargs: Any,
    ) -> list[str]:  # fmt: skip
        """Embed and write texts in one transaction, all or none; rows whose id is there already are replaced.

        Without ids each row gets a fresh UUID, and equal texts stay separate rows. A repeated id keeps its last row.
        `conn` joins the caller's transaction. Returns the ids in input order. Raises InvalidInput, before anything is
        embedded or written, for unequal lengths, ids over 1,000 bytes and metadata that JSON has no form for.
        """
        return self._add(Rows.of(texts, metadatas, ids), None, conn, kwargs)

    def add_documents(self, documents: Iterable[Document], **kwargs: Any) -> list[str]:
        """As `add_texts`; a Document's own id is used where `ids` is not given."""
        rows = Rows.of_documents(documents, kwargs.pop("ids", None))
        return self._add(rows, None, kwargs.pop("conn", None), kwargs)

    def add_embeddings(
        self, texts: Iterable[str], embeddings: Sequence[Sequence[float]],
        metadatas: Iterable[Mapping[str, Any]] | None = None, ids: Sequence[str | None] | None = None,
        *, conn: Connection[Any] | None = None, **kwargs: Any,
    ) -> list[str]:  # fmt: skip
        """As `add_texts`, with embeddings (n, d) that the caller has already."""
        return self._add(Rows.of(texts, metadatas, ids), embeddings, conn, kwargs)

    def _add(self, rows: Rows, embeddings: Any, conn: Connection[Any] | None, rest: dict[str, Any]) -> list[str]:
        check_written(rest)
        if len(rows) == 0:
            return []
        if embeddings is not None:
            embeddings = embeddings if hasattr(embeddings, "__len__") else list(embeddings)
            rows.check_count(embeddings)
        for last in (False, True):
            found = self._found()
            vectors = self._passages(rows, found, embeddings, conn)
            collection = self._made(vectors, rows.texts)
            if found is not None and found.spec.model != collection.spec.model and not last:
                continue  # switched to another model meanwhile
            try:
                self.store.add(collection, rows.batch(vectors, collection), conn=conn)
                break
            except GONE:
                if conn is not None or last:
                    raise
                self.store.forget(self._wanted.name)  # dropped, dropped and made anew, or switched to another model
        return list(rows.ids)

    def _passages(self, rows: Rows, found: Collection | None, embeddings: Any, conn: Connection[Any] | None) -> Any:
        """The rows' vectors: the caller's own, or those of the model that the collection has."""
        if embeddings is not None:
            if found is not None:
                self._wanted.check_own(found)
            return embeddings
        dimensions = found.dimensions if found else None
        vectors = self._cache_of(found).passages(self.store, rows.texts, dimensions=dimensions, conn=conn).vectors
        rows.check_count(vectors)
        return vectors

    def delete(
        self, ids: Sequence[str] | None = None, *, filter: Filter | None = None,
        conn: Connection[Any] | None = None, **kwargs: Any,
    ) -> bool:  # fmt: skip
        """Delete the rows with these ids, or that match the filter, or both where both are given; unknown ids are no error."""
        split_options({name: value for name, value in kwargs.items() if name != "collection_only"})
        check_where(ids, filter)
        self._on_collection(lambda found: self.store.delete(found, where(found, ids, filter), conn=conn), otherwise=0)
        return True

    # -- reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in id order; unknown ones are left out."""
        wanted = wanted_ids(ids)
        rows = self._on_collection(lambda found: self.store.fetch(queries.by_ids(found, wanted)), otherwise=NO_ROWS)
        return [document(hit(row)) for row in rows]

    def _search(self, build: Any, settings: Settings, given: Filter | None = None, *, mode: str, k: int) -> list[Row]:
        """The rows of a search on the collection; none where it does not exist."""

        def work(found: Collection) -> list[Row]:
            query, local, began = build(found), settings(found), time.perf_counter()
            rows = self.store.fetch(query, local)
            seconds = time.perf_counter() - began
            advise(found, given, seconds)
            self._noted(timing, Ran(mode, k, given, query, local, seconds))
            return rows

        with self.database.tally.search(self._wanted.name, mode) as timing:
            rows = self._on_collection(work, otherwise=NO_ROWS)
        self._flush()
        return rows

    def _noted(self, timing: Timing, ran: Ran) -> None:
        """Count the statement, and log it with its plan where it was slow."""
        timing.database = ran.seconds * ran.searches
        timing.slow = self._slow.slow(ran.seconds)
        if timing.slow and self._slow.due():
            self._slow.write(self._wanted.name, ran, plan(self.database, ran.query, ran.settings))

    def _flush(self) -> None:
        for cache in self._caches:
            cache.flush(self.store)

    def _nearest(self, asked: Meant, k: int, filter: Filter | None, options: SearchOptions) -> list[tuple[Hit, float]]:
        rows = self._search(
            lambda found: self._dense(found, self._vector(found, asked), k, filter, options),
            partial(options.settings, check_k(k), filtered=bool(filter)),
            filter,
            mode="similarity",
            k=k,
        )
        return [(hit(row), row["distance"]) for row in rows]

    def _vector(self, found: Collection, asked: Meant) -> Any:
        """A query's vector by the model that the collection has, or the caller's own."""
        if asked.query is not None:
            return self._embed(asked.query, found)
        self._wanted.check_own(found)
        return asked.embedding

    def _embed(self, query: str, found: Collection) -> Array:
        return self._cache_of(found).query(self.store, text(query), dimensions=found.dimensions)

    def similarity_search(self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any) -> list[Document]:
        """The k nearest documents, nearest first. `kwargs` are SearchOptions."""
        return [doc for doc, _ in self.similarity_search_with_score(query, k, filter, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """As `similarity_search`, with each one's distance (lower is nearer)."""
        found = self._nearest(Meant(query), k, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    def similarity_search_by_vector(
        self, embedding: Vector, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        return [doc for doc, _ in self.similarity_search_with_score_by_vector(embedding, k, filter, **kwargs)]

    def similarity_search_with_score_by_vector(
        self, embedding: Vector, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        found = self._nearest(Meant(None, embedding), k, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[Document]:  # fmt: skip
        """k of the fetch_k nearest documents, in the order in which maximal marginal relevance chooses them."""
        found = self.max_marginal_relevance_search_with_score(query, k, fetch_k, lambda_mult, filter, **kwargs)
        return [doc for doc, _ in found]

    def max_marginal_relevance_search_by_vector(
        self, embedding: Vector, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[Document]:  # fmt: skip
        found = self.max_marginal_relevance_search_with_score_by_vector(
            embedding, k, fetch_k, lambda_mult, filter, **kwargs
        )
        return [doc for doc, _ in found]

    def max_marginal_relevance_search_with_score(
        self, query: str, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[tuple[Document, float]]:  # fmt: skip
        found = self._diverse(Meant(query), k, fetch_k, lambda_mult, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    def max_marginal_relevance_search_with_score_by_vector(
        self, embedding: Vector, k: int = 4, fetch_k: int = FETCH_K, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[tuple[Document, float]]:  # fmt: skip
        found = self._diverse(Meant(None, embedding), k, fetch_k, lambda_mult, filter, split_options(kwargs))
        return [(document(item), distance) for item, distance in found]

    def _diverse(
        self, asked: Meant, k: int, fetch_k: int, lambda_mult: float, filter: Filter | None, options: SearchOptions
    ) -> list[tuple[Hit, float]]:
        depth, embedding = max(check_k(fetch_k, "fetch_k"), check_k(k)), asked.embedding

        def build(found: Collection) -> Query:
            nonlocal embedding
            embedding = self._vector(found, asked)
            return self._dense(found, embedding, depth, filter, options, vectors=True)

        rows = self._search(build, partial(options.settings, depth, filtered=bool(filter)), filter, mode="mmr", k=k)
        return diverse(rows, embedding, k=k, lambda_mult=lambda_mult)

    # -- lifecycle

    def close(self) -> None:
        """Let go of the store's connections; other stores on the same database keep theirs working."""
        self._reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
