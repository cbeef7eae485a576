"""What PGVector's sync and async halves share: state, and everything that does no I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from howdah.retrieval import queries
from howdah.retrieval.collection import Collection, Metric, Spec
from howdah.retrieval.database import Database
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import Filter, compile_filter
from howdah.retrieval.language import detect_language
from howdah.retrieval.mmr import mmr
from howdah.retrieval.options import Wanted
from howdah.retrieval.plans import SearchOptions, check_k
from howdah.retrieval.query import Query
from howdah.retrieval.rows import hit
from howdah.retrieval.store import Store
from howdah.retrieval.store_async import AsyncStore
from howdah.retrieval.types import Array, Hit
from howdah.retrieval.values import query_embedding
from howdah.retrieval.wire import decode
from howdah.retrieval.writes import where_ids

FETCH_K = 20
Row = dict[str, Any]


class Base(VectorStore):
    """State and pure steps of a PGVector."""

    _embeddings: Embeddings
    _wanted: Wanted
    _tenant: str
    _pre_delete: bool

    def _open(self) -> Database:
        raise NotImplementedError

    def _reset(self) -> None:
        self._database: Database | None = None
        self._store: Store | None = None
        self._astore: AsyncStore | None = None
        self._metric = self._wanted.metric or Metric.COSINE

    @property
    def database(self) -> Database:
        """This process's connection pools for the store; opened at first use."""
        if self._database is None:
            self._database = self._open()
        return self._database

    @property
    def store(self) -> Store:
        if self._store is None:
            self._store = Store(self.database, tenant=self._tenant)
        return self._store

    @property
    def astore(self) -> AsyncStore:
        if self._astore is None:
            self._astore = AsyncStore(self.database, tenant=self._tenant)
        return self._astore

    def _checked(self, collection: Collection) -> Collection:
        """The collection, once it agrees with what the constructor was told."""
        self._wanted.check(collection)
        self._metric = collection.spec.metric
        return collection

    def _new_spec(self, embeddings: Sequence[Any], texts: Sequence[str]) -> Spec:
        language = detect_language(texts[:100])
        return self._wanted.spec(dimensions=len(embeddings[0]), language=language.name, config=language.config)

    def _dense(
        self, collection: Collection, embedding: Any, k: int, given: Filter | None, options: SearchOptions,
        *, vectors: bool = False,
    ) -> Query:  # fmt: skip
        array = query_embedding(embedding, dimensions=collection.spec.dimensions, collection=collection.name)
        return queries.nearest(
            collection, array, k=check_k(k), where=compile_filter(given), exact=options.exact, vectors=vectors
        )

    def _lexical(
        self, collection: Collection, words: str, k: int, given: Filter | None, kwargs: Mapping[str, Any]
    ) -> Query:
        _check_lexical(collection)
        return queries.lexical(collection, words, k=check_k(k), where=compile_filter(given), **kwargs)

    def _hybrid(
        self, collection: Collection, words: str, embedding: Any, k: int, given: Filter | None, how: queries.Hybrid
    ) -> Query:
        _check_lexical(collection)
        array = query_embedding(embedding, dimensions=collection.spec.dimensions, collection=collection.name)
        return queries.hybrid(
            collection, words, array, k=check_k(k), how=how, c0=collection.c0, where=compile_filter(given)
        )


def _check_lexical(collection: Collection) -> None:
    if not collection.spec.lexical:
        raise InvalidInput(
            f"collection {collection.name!r} was made with lexical=False and has no words to search",
            hint="search with search_type='similarity', or load it into a collection with lexical=True",
        )
    if collection.spec.metric is not Metric.COSINE:
        raise InvalidInput(
            f"collection {collection.name!r} has the metric {collection.spec.metric.label}; hybrid search is defined for cosine"
        )


def where(ids: Sequence[str] | None, given: Filter | None) -> Query:
    """The condition of a delete: ids, a filter, or both."""
    if ids is None and not given:
        raise InvalidInput(
            "delete() was given neither ids nor a filter", hint="to remove everything, call delete_collection()"
        )
    if ids is None:
        return compile_filter(given)
    by_id = where_ids([str(item) for item in ids])
    if not given:
        return by_id
    by_filter = compile_filter(given)
    return Query(by_id.sql + queries.AND + by_filter.sql, {**by_id.params, **by_filter.params})


def diverse(rows: list[Row], embedding: Any, *, k: int, lambda_mult: float) -> list[tuple[Hit, float]]:
    """The k hits that maximal marginal relevance chooses among `rows`, in its order, each with its distance."""
    if not rows:
        return []
    candidates: Array = np.stack([decode(row["embedding"]) for row in rows])
    order = mmr(np.asarray(embedding, dtype=np.float32), candidates, k=k, lambda_mult=lambda_mult)
    return [(hit(rows[place]), rows[place]["distance"]) for place in order]


def split_options(kwargs: dict[str, Any]) -> SearchOptions:
    """Take the search settings out of a method's keyword arguments; unknown ones are an error, not ignored."""
    known = {name: kwargs.pop(name) for name in list(kwargs) if name in SearchOptions.__dataclass_fields__}
    if kwargs:
        raise InvalidInput(
            f"unknown search arguments: {', '.join(sorted(kwargs))}",
            hint=f"known ones: k, filter, {', '.join(SearchOptions.__dataclass_fields__)}",
        )
    return SearchOptions(**known)
