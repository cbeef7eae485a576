"""What PGVector's sync and async halves share: state, and everything that does no I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from howdah.retrieval import dense, hybrid, lexical, queries
from howdah.retrieval.asked import Asked
from howdah.retrieval.cache import Cache, EmbeddingCache
from howdah.retrieval.collection import Collection, Metric, Spec, Storage
from howdah.retrieval.database import Database
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import Filter, compile_filter
from howdah.retrieval.language import detect_language
from howdah.retrieval.mmr import mmr, mmr_by_scores
from howdah.retrieval.options import Wanted
from howdah.retrieval.plans import SearchOptions, check_k, checked
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.rows import hit
from howdah.retrieval.search import Search
from howdah.retrieval.slow import NO_QUERY, Ran, SlowLog
from howdah.retrieval.store import Store
from howdah.retrieval.store_async import AsyncStore
from howdah.retrieval.types import Array, Hit
from howdah.retrieval.values import embeddings as embeddings_array
from howdah.retrieval.values import query_embedding, wanted_ids
from howdah.retrieval.wire import decode
from howdah.retrieval.writes import where_ids

Row = dict[str, Any]


class Answer(NamedTuple):
    """What the database said to one search, and its query's embedding (d,), where it has one."""

    rows: list[Row]
    embedding: Array | None


class Meant(NamedTuple):
    """What is looked for by meaning: a text, or the caller's own vector."""

    query: str | None
    embedding: Any = None


class Base(VectorStore):
    """State and pure steps of a PGVector."""

    _embeddings: Embeddings
    _next_embeddings: Embeddings | None = None
    _wanted: Wanted
    _tenant: str
    _pre_delete: bool
    _cache_options: Cache
    _slow_ms: float | None = None

    def _open(self) -> Database:
        raise NotImplementedError

    def _reset(self) -> None:
        self._database: Database | None = None
        self._store: Store | None = None
        self._astore: AsyncStore | None = None
        self._metric = self._wanted.metric or Metric.COSINE
        self._slow = SlowLog.of(self._slow_ms)
        self._cache = EmbeddingCache(self._embeddings, self._cache_options, tenant=self._tenant)
        self._next_cache: EmbeddingCache | None = None
        if self._next_embeddings is not None:
            self._next_cache = EmbeddingCache(self._next_embeddings, self._cache_options, tenant=self._tenant)

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

    def _cache_of(self, collection: Collection | None) -> EmbeddingCache:
        """What embeds for the collection: the model that it has, of the two that the store may have."""
        return self._next_cache if self._next_cache and self._wanted.follows(collection) else self._cache

    @property
    def _caches(self) -> list[EmbeddingCache]:
        return [cache for cache in (self._cache, self._next_cache) if cache is not None]

    def _checked(self, collection: Collection) -> Collection:
        """The collection, once it agrees with what the constructor was told."""
        self._wanted.check(collection)
        self._metric = collection.spec.metric
        return collection

    def _new_spec(self, embeddings: Sequence[Any], texts: Sequence[str]) -> Spec:
        """What the first write's collection is to be. The embeddings are checked here: bad ones must not make it."""
        name = self._wanted.name
        array = embeddings_array(embeddings, count=len(texts), dimensions=None, collection=name, cosine=False)
        language = detect_language(texts[:100])
        spec = self._wanted.spec(dimensions=array.shape[1], language=language.name, config=language.config)
        checked(array, count=len(texts), spec=spec, collection=name)
        return spec

    def _query(self, collection: Collection, embedding: Any) -> Array:
        return query_embedding(
            embedding,
            dimensions=collection.spec.dimensions,
            collection=collection.name,
            cosine=collection.spec.metric is Metric.COSINE,
            half=collection.spec.storage is Storage.HALFVEC,
        )

    def _dense(
        self, collection: Collection, embedding: Any, k: int, given: Filter | None, options: SearchOptions,
        *, vectors: bool = False,
    ) -> Query:  # fmt: skip
        array = self._query(collection, embedding)
        return dense.nearest(
            collection,
            array,
            k=check_k(k),
            where=compile_filter(given, collection=collection),
            exact=options.exact,
            vectors=vectors,
            oversample=options.oversample,
        )

    def _lexical(self, collection: Collection, asked: Asked, k: int, given: Filter | None, how: hybrid.Hybrid) -> Query:
        _check_lexical(collection)
        return lexical.lexical(
            collection, asked, k=check_k(k), where=compile_filter(given, collection=collection), k1=how.k1, b=how.b
        )

    def _hybrid(
        self, collection: Collection, asked: Asked, embedding: Any, k: int, given: Filter | None, how: hybrid.Hybrid,
        options: SearchOptions,
    ) -> Query:  # fmt: skip
        _check_lexical(collection)
        _check_cosine(collection)
        array = self._query(collection, embedding)
        return hybrid.hybrid(
            collection,
            asked,
            array,
            k=check_k(k),
            how=how,
            c0=collection.c0,
            where=compile_filter(given, collection=collection),
            exact=options.exact,
            oversample=options.oversample,
        )

    def _statement(self, collection: Collection, search: Search, embedding: Array | None) -> Query:
        """The search as SQL. `embedding` (d,) is its query's, where it is by meaning."""
        if search.search_type not in ("lexical", "hybrid"):
            return self._dense(
                collection, embedding, search.rows, search.filter, search.options, vectors=search.vectors
            )
        if search.search_type == "lexical":
            found = self._lexical(collection, search.asked, search.rows, search.filter, search.how)
        else:
            found = self._hybrid(
                collection, search.asked, embedding, search.rows, search.filter, search.how, search.options
            )
        return queries.with_vectors(collection, found) if search.vectors else found

    def _ran(self, collection: Collection, pair: tuple[Search, Array | None], seconds: float, searches: int) -> Ran:
        """What the first of some searches was, for the log: its statement is made again only where it is asked for."""
        search, embedding = pair
        slow = self._slow.slow(seconds)
        query = self._statement(collection, search, embedding) if slow else NO_QUERY
        local = search.settings(collection) if slow else {}
        return Ran(search.search_type, search.k, search.filter, query, local, seconds, searches)

    def _candidates(self, search: Search, rows: list[Row]) -> list[Hit]:
        """The hits of a search's rows, best first, without those whose relevance is below the threshold."""
        if search.threshold is not None and search.search_type == "similarity_score_threshold":
            relevance = self._select_relevance_score_fn()
            rows = [row for row in rows if relevance(row["distance"]) >= search.threshold]
        return [hit(row) for row in rows]

    def _chosen(self, collection: Collection, search: Search, hits: list[Hit], answer: Answer) -> list[Hit]:
        """The k of the candidates above the threshold, in the order of their choice where variety counts, else the first."""
        if search.threshold is not None and search.search_type in ("hybrid", "lexical"):
            check_scored(search, hits, "score_threshold")
            hits = [each for each in hits if each.score >= search.threshold]
        if search.spread is None:
            return hits[: search.k]
        if search.search_type == "mmr" and search.ranker is None:
            found = diverse(answer.rows, answer.embedding, k=search.k, lambda_mult=search.spread.lambda_mult)
            return [item for item, _ in found]
        vectors = {row["id"]: decode(row["embedding"]) for row in answer.rows}
        return varied(hits, vectors, search, c0=collection.c0)


def _check_lexical(collection: Collection) -> None:
    if not collection.spec.lexical:
        raise InvalidInput(
            f"collection {collection.name!r} was made with lexical=False and has no words to search",
            hint="search with search_type='similarity', or load it into a collection with lexical=True",
        )


def _check_cosine(collection: Collection) -> None:
    if collection.spec.metric is not Metric.COSINE:
        raise InvalidInput(
            f"collection {collection.name!r} has the metric {collection.spec.metric.label}; hybrid search is defined for cosine",
            hint="search with search_type='similarity' or 'lexical'",
        )


def check_where(ids: Sequence[str] | None, given: Filter | None) -> None:
    if ids is None and not given:
        raise InvalidInput(
            "delete() was given neither ids nor a filter", hint="to remove everything, call delete_collection()"
        )


def where(collection: Collection, ids: Sequence[str] | None, given: Filter | None) -> Condition:
    """The condition of a delete: ids, a filter, or both."""
    by_filter = compile_filter(given, collection=collection)
    if ids is None:
        return by_filter
    by_id = where_ids(wanted_ids(ids))
    if not given:
        return by_id
    return Condition(by_id.sql + queries.AND + by_filter.sql, {**by_id.params, **by_filter.params})


def diverse(rows: list[Row], embedding: Any, *, k: int, lambda_mult: float) -> list[tuple[Hit, float]]:
    """The k hits that maximal marginal relevance chooses among `rows`, in its order, each with its distance."""
    check_k(k)
    if not rows:
        return []
    candidates: Array = np.stack([decode(row["embedding"]) for row in rows])
    order = mmr(np.asarray(embedding, dtype=np.float32), candidates, k=k, lambda_mult=lambda_mult)
    return [(hit(rows[place]), rows[place]["distance"]) for place in order]


def varied(hits: list[Hit], vectors: Mapping[str, Array], search: Search, *, c0: float) -> list[Hit]:
    """The k of the first fetch_k hits that maximal marginal relevance by their own scores chooses, in its order."""
    assert search.spread is not None
    check_scored(search, hits, "lambda_mult")
    pool = hits[: max(search.k, search.spread.fetch_k)]
    if not pool:
        return []
    scores = np.array([each.score for each in pool], dtype=np.float32)
    candidates: Array = np.stack([vectors[each.id] for each in pool])
    order = mmr_by_scores(scores, candidates, k=search.k, lambda_mult=search.spread.lambda_mult, c0=c0)
    return [pool[place] for place in order]


def check_scored(search: Search, hits: list[Hit], setting: str) -> None:
    """Raise InvalidInput where the hits are in the order of a compressor that gave them no scores."""
    if search.ranker is not None and any("rerank" not in each.scores for each in hits):
        raise InvalidInput(
            f"{setting} goes by scores, and {type(search.ranker).__name__} gives none",
            hint=f"leave one of rerank and {setting} out, or use a reranker that scores",
        )


def check_written(kwargs: Mapping[str, Any]) -> None:
    """Arguments of a write that LangChain's callers send and that have no work here: batch_size. Others are an error."""
    unknown = sorted(set(kwargs) - {"batch_size"})
    if unknown:
        raise InvalidInput(f"unknown arguments: {', '.join(unknown)}", hint="known ones: metadatas, ids, conn")
