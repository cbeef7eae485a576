"""PGVector: LangChain's VectorStore on PostgreSQL and pgvector."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from howdah.retrieval import options
from howdah.retrieval.cache import Cache, cache_options
from howdah.retrieval.connect import open_database
from howdah.retrieval.database import POOL_SIZE, AsyncPool, Database, Pool
from howdah.retrieval.embeddings import identity
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.hits_async import AsyncHits
from howdah.retrieval.hits_sync import SyncHits
from howdah.retrieval.promoted import promoted_keys
from howdah.retrieval.retriever import PGVectorRetriever


class PGVector(SyncHits, AsyncHits):
    """Chunks, their vectors and their words in PostgreSQL, behind LangChain's interface, sync and async.

    The constructor does no I/O; the collection's tables are made by the first write. Takes every argument of
    langchain-postgres' class of this name; `similarity_search_with_score*` return the distance, as that class does.

    Args:
        embeddings: the model; a collection remembers which one filled it.
        connection: a URL (postgresql://…) or a SQLAlchemy engine; None is the embedded server.
        collection_name: which collection.
        distance_strategy: "cosine" (default), "l2" or "inner_product".
        storage: "halfvec" (default: half the size, the same recall within 0.3 points) or "vector".
        lexical: False leaves the words out: no BM25 and no hybrid search, and the fastest loads.
        config: PostgreSQL's text-search configuration; detected from the first texts unless given.
        promoted: metadata keys that get a column and an index of their own, {"year": "number"}: number, text or boolean.
        pool: your own psycopg_pool pool; pool_size bounds ours.
        home: folder of the embedded server.
        tenant: rows of other tenants are never seen.
        next_embeddings: the model that the collection is about to be switched to (see `reembed`): the store uses the one of
            the two that the collection has. Vectors that you give yourself are taken to be those of `embeddings`.
        cache: which embeddings are kept in the database: True all, False none, None by the model's cost, or a Cache.
        slow_ms: searches slower than so many milliseconds are logged with their plan (docs/monitoring.md); None logs none.
        create_extension: either value; a store never creates the extension, `howdah db migrate` does.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        connection: Any = None,
        embedding_length: int | None = None,
        collection_name: str = "langchain",
        collection_metadata: Mapping[str, Any] | None = None,
        distance_strategy: Any = None,
        pre_delete_collection: bool = False,
        logger: Any = None,
        relevance_score_fn: Callable[[float], float] | None = None,
        engine_args: Mapping[str, Any] | None = None,
        use_jsonb: bool | None = None,
        create_extension: bool = True,
        async_mode: bool | None = None,
        storage: str | None = None,
        lexical: bool | None = None,
        config: str | None = None,
        promoted: Mapping[str, str] | None = None,
        pool: Pool | AsyncPool | None = None,
        pool_size: int | None = None,
        home: str | Path | None = None,
        tenant: str = "",
        cache: Cache | bool | None = None,
        next_embeddings: Embeddings | None = None,
        slow_ms: float | None = None,
    ) -> None:
        if not isinstance(embeddings, Embeddings):
            raise InvalidInput(
                f"embeddings is {type(embeddings).__name__} and must be a LangChain Embeddings object",
                hint="for example: from howdah.retrieval.embeddings import load_embeddings; load_embeddings('local')",
            )
        options.langchain_arguments(use_jsonb=use_jsonb, async_mode=async_mode, engine_args=engine_args, logger=logger)
        self._embeddings, self._next_embeddings = embeddings, next_embeddings
        self._conninfo = options.conninfo_of(connection)
        self._given_pool = pool
        self._pool_size = pool_size or int((engine_args or {}).get("pool_size") or POOL_SIZE)
        self._home = Path(home) if home is not None else None
        self._tenant = tenant
        self._slow_ms = slow_ms
        self._cache_options = cache_options(cache)
        self._relevance = relevance_score_fn
        self._pre_delete = pre_delete_collection
        model = identity(embeddings)
        self._wanted = options.Wanted(
            name=collection_name,
            model=model.name,
            strong_model=model.strong,
            dimensions=embedding_length,
            storage=options.storage_of(storage),
            metric=options.metric_of(distance_strategy),
            lexical=lexical,
            config=config,
            metadata=collection_metadata,
            promoted=promoted_keys(promoted) if promoted is not None else None,
            next_model=identity(next_embeddings).name if next_embeddings is not None else None,
        )
        self._reset()

    def _open(self) -> Database:
        return open_database(self._conninfo, pool=self._given_pool, pool_size=self._pool_size, home=self._home)

    def __repr__(self) -> str:
        where = self._conninfo.place if self._conninfo else "the embedded server"
        return f"PGVector(collection {self.collection_name!r} in {where})"

    def __getstate__(self) -> dict[str, Any]:
        """Everything but sockets; a password or a pool is not pickled, but refused with the reason."""
        if self._given_pool is not None:
            raise TypeError("a PGVector with pool= cannot be pickled: give connection= instead")
        if self._conninfo is not None and self._conninfo.has_secret:
            raise TypeError(
                "a PGVector whose URL holds a password is not pickled: keep the password in PGPASSWORD, ~/.pgpass or a"
                " service file, or build the store where it is used"
            )
        return {**self.__dict__, "_database": None, "_store": None, "_astore": None}

    def __copy__(self) -> Self:
        """Another store on the same connections, with the same model; it stays in this process, so passwords and pools may."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        other._reset()
        return other

    def __deepcopy__(self, memo: object) -> Self:
        return self.__copy__()

    @property
    def collection_name(self) -> str:
        return self._wanted.name

    @property
    def embeddings(self) -> Embeddings:
        return self._embeddings

    def as_retriever(self, **kwargs: Any) -> PGVectorRetriever:
        """A retriever over this store; search_type: similarity, mmr, similarity_score_threshold, hybrid or lexical."""
        tags = [*(kwargs.pop("tags", None) or []), *self._get_retriever_tags()]
        return PGVectorRetriever(vectorstore=self, tags=tags, **{"search_type": "similarity", **kwargs})

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return self._relevance or self._relevance_of_metric

    def _relevance_of_metric(self, distance: float) -> float:
        """By the metric as it is at this moment: LangChain asks for the function before the collection was looked at."""
        return self._metric.relevance(distance)

    # -- from what one has

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], embedding: Embeddings, metadatas: Iterable[Mapping[str, Any]] | None = None,
        *, ids: Sequence[str | None] | None = None, **kwargs: Any,
    ) -> Self:  # fmt: skip
        """A store with these texts in it; `kwargs` are the constructor's."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls, texts: Iterable[str], embedding: Embeddings, metadatas: Iterable[Mapping[str, Any]] | None = None,
        *, ids: Sequence[str | None] | None = None, **kwargs: Any,
    ) -> Self:  # fmt: skip
        store = cls(embedding, **kwargs)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    def from_documents(cls, documents: Iterable[Document], embedding: Embeddings, **kwargs: Any) -> Self:
        """A store with these documents in it; `kwargs` are the constructor's, and ids."""
        ids = kwargs.pop("ids", None)
        store = cls(embedding, **kwargs)
        store.add_documents(documents, ids=ids)
        return store

    @classmethod
    async def afrom_documents(cls, documents: Iterable[Document], embedding: Embeddings, **kwargs: Any) -> Self:
        ids = kwargs.pop("ids", None)
        store = cls(embedding, **kwargs)
        await store.aadd_documents(documents, ids=ids)
        return store

    @classmethod
    def from_embeddings(
        cls, text_embeddings: Iterable[tuple[str, Sequence[float]]], embedding: Embeddings, *,
        metadatas: Iterable[Mapping[str, Any]] | None = None, ids: Sequence[str | None] | None = None, **kwargs: Any,
    ) -> Self:  # fmt: skip
        """A store with these (text, embedding) pairs in it."""
        pairs = list(text_embeddings)
        store = cls(embedding, **kwargs)
        store.add_embeddings([text for text, _ in pairs], [vector for _, vector in pairs], metadatas, ids)
        return store

    @classmethod
    async def afrom_embeddings(
        cls, text_embeddings: Iterable[tuple[str, Sequence[float]]], embedding: Embeddings, *,
        metadatas: Iterable[Mapping[str, Any]] | None = None, ids: Sequence[str | None] | None = None, **kwargs: Any,
    ) -> Self:  # fmt: skip
        pairs = list(text_embeddings)
        store = cls(embedding, **kwargs)
        await store.aadd_embeddings([text for text, _ in pairs], [vector for _, vector in pairs], metadatas, ids)
        return store

    @classmethod
    def from_existing_index(cls, embedding: Embeddings, **kwargs: Any) -> Self:
        """A store on a collection that is there; the constructor does the same."""
        return cls(embedding, **kwargs)

    @classmethod
    def from_table(
        cls, table: str, embeddings: Embeddings, *, content: str | None = None, embedding: str | None = None,
        id: str | None = None, metadata: Sequence[str] = (), metadata_json: str | None = None, **kwargs: Any,
    ) -> "PGVector":  # fmt: skip
        """Any table or view with a vector column, searched in place: only read, and without Howdah's schema.

        All searches by vector work, sync and async, filters on the metadata, get_by_ids and retrievers; the table's own
        index serves them where its operator class fits. Hybrid and lexical search and writes raise InvalidInput.

        Args:
            table: schema.table; without a schema what the search path finds. Names are taken as they are.
            embeddings: the model that made the vectors.
            content, embedding, id: its columns; found where there is one that can be meant.
            metadata: columns that are metadata, as to_jsonb writes them; `metadata_json` is one more, json or jsonb.
            kwargs: connection, distance_strategy (default what the table's index is for, else cosine),
                relevance_score_fn, pool, pool_size, home and slow_ms, as the constructor's.
        """
        from howdah.retrieval.foreign_store import PGVectorTable, columns

        named = columns(content=content, embedding=embedding, id=id, metadata=metadata, metadata_json=metadata_json)
        return PGVectorTable(table, embeddings, columns=named, **kwargs)
