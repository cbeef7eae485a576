"""PGVectorStore: LlamaIndex's vector store over the rows of a PGVector, sync and async natively."""

from collections.abc import Sequence
from typing import Any, Self

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQuery, VectorStoreQueryResult
from psycopg.conninfo import make_conninfo

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.llamaindex.embeddings import langchain_embeddings
from howdah.retrieval.llamaindex.filters import of_documents, within
from howdah.retrieval.llamaindex.modes import arguments, result
from howdah.retrieval.llamaindex.nodes import NodeRows, node_of, replaced
from howdah.retrieval.types import Hit
from howdah.retrieval.vectorstore import PGVector


class PGVectorStore(BasePydanticVectorStore):
    """The chunks of one collection as LlamaIndex's nodes: the same rows that a PGVector of LangChain's reads and writes.

    LlamaIndex embeds, so nodes come with their vectors and queries with theirs. Nothing is read or written before the
    first call; the collection's tables are made by the first write.
    """

    stores_text: bool = True
    is_embedding_query: bool = True

    _store: PGVector = PrivateAttr()

    def __init__(self, store: PGVector) -> None:
        """`store` says where the rows are; `from_params` makes one."""
        if not isinstance(store, PGVector):
            raise InvalidInput(
                f"store is {type(store).__name__} and must be a PGVector",
                hint="PGVectorStore.from_params(connection=url, collection_name=…) makes one",
            )
        super().__init__(stores_text=True, is_embedding_query=True)
        self._store = store

    @classmethod
    def from_params(
        cls,
        connection: Any = None,
        *,
        collection_name: str = "llamaindex",
        embed_model: Any = None,
        host: str | None = None,
        port: str | int | None = None,
        database: str | None = None,
        user: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """A store on a collection; without `connection` and `host` it is in the embedded server.

        Args:
            connection: a URL or a SQLAlchemy engine; or give host, port, database, user and password.
            collection_name: which collection.
            embed_model: LlamaIndex's or LangChain's; a new collection remembers its name, and another one is then refused.
            host, port, database, user, password: what is None is left to libpq.
            kwargs: more arguments of PGVector: distance_strategy, storage, lexical, config, tenant …
        """
        server = {"host": host, "port": port, "dbname": database, "user": user, "password": password}
        parts = {name: value for name, value in server.items() if value is not None}
        if connection is not None and parts:
            raise InvalidInput("connection was given, and its parts as well", hint="give the one or the others")
        if parts:
            connection = make_conninfo("", **parts)
        model = langchain_embeddings(embed_model)
        return cls(PGVector(model, connection=connection, collection_name=collection_name, **kwargs))

    @classmethod
    def class_name(cls) -> str:
        return "HowdahPGVectorStore"

    @property
    def client(self) -> PGVector:
        """The PGVector on the same rows."""
        return self._store

    def __repr__(self) -> str:
        return f"PGVectorStore({self._store!r})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        """As a PGVector does: not with a password. LlamaIndex's way would drop the store without a word."""
        return type(self), (self._store,)

    # -- writing

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Write nodes with their embeddings in one transaction, all or none; returns their ids in input order.

        A node whose id is there is replaced, and so is a document that was split anew: nodes of another version of it,
        and the same pieces of this version, go in the same transaction. A repeated id keeps its last node.
        """
        rows = _rows(nodes, kwargs)
        gone = self._replaced(rows)
        if not gone:
            return self._store.add_embeddings(rows.texts, rows.embeddings, rows.metadatas, rows.ids)
        with self._store.database.connection() as conn, conn.transaction():
            self._store.delete(gone, conn=conn)
            return self._store.add_embeddings(rows.texts, rows.embeddings, rows.metadatas, rows.ids, conn=conn)

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        rows = _rows(nodes, kwargs)
        gone = await self._areplaced(rows)
        if not gone:
            return await self._store.aadd_embeddings(rows.texts, rows.embeddings, rows.metadatas, rows.ids)
        async with self._store.database.aconnection() as conn, conn.transaction():
            await self._store.adelete(gone, conn=conn)
            return await self._store.aadd_embeddings(rows.texts, rows.embeddings, rows.metadatas, rows.ids, conn=conn)

    def _replaced(self, rows: NodeRows) -> list[str]:
        documents = rows.documents
        return _gone(rows, self._store.matching(of_documents(documents))) if documents else []

    async def _areplaced(self, rows: NodeRows) -> list[str]:
        documents = rows.documents
        return _gone(rows, await self._store.amatching(of_documents(documents))) if documents else []

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete the nodes of the document with this id; an unknown one is no error."""
        _check_none(delete_kwargs)
        self._store.delete(filter=of_documents([ref_doc_id]))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        _check_none(delete_kwargs)
        await self._store.adelete(filter=of_documents([ref_doc_id]))

    def delete_nodes(self, node_ids: list[str] | None = None, filters: Any = None, **delete_kwargs: Any) -> None:
        """Delete the nodes with these ids, or that match the filters, or both where both are given."""
        _check_none(delete_kwargs)
        self._store.delete(node_ids, filter=within(filters))

    async def adelete_nodes(self, node_ids: list[str] | None = None, filters: Any = None, **delete_kwargs: Any) -> None:
        _check_none(delete_kwargs)
        await self._store.adelete(node_ids, filter=within(filters))

    def clear(self) -> None:
        """Remove everything from the collection, whoever wrote it; its metric, storage and language stay."""
        collection = self._store.store.find(self._store.collection_name)
        if collection is not None:
            self._store.delete_collection()
            self._store.store.create(collection.name, collection.spec)

    async def aclear(self) -> None:
        collection = await self._store.astore.find(self._store.collection_name)
        if collection is not None:
            await self._store.adelete_collection()
            await self._store.astore.create(collection.name, collection.spec)

    # -- reading

    def get_nodes(self, node_ids: list[str] | None = None, filters: Any = None) -> list[BaseNode]:
        """The nodes with these ids that match the filters, in id order; all of the collection without either."""
        return [node_of(hit) for hit in self._store.matching(within(filters, node_ids=node_ids))]

    async def aget_nodes(self, node_ids: list[str] | None = None, filters: Any = None) -> list[BaseNode]:
        return [node_of(hit) for hit in await self._store.amatching(within(filters, node_ids=node_ids))]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The nodes that the query finds, best first, each with its score (higher is better).

        Modes: default (vectors), sparse and text_search (BM25), hybrid and semantic_hybrid (both; alpha is the weight of
        the vectors) and mmr. `kwargs` are more settings of `PGVector.hits` (ef_search, exact, k1, b …), and mmr_threshold
        and mmr_prefetch_k for mmr. Raises InvalidInput for the other modes and for settings that a mode does not take.
        """
        return result(self._store.hits(**arguments(query, kwargs)))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        return result(await self._store.ahits(**arguments(query, kwargs)))

    # -- lifecycle

    def close(self) -> None:
        """Let go of the store's connections; other stores on the same database keep theirs working."""
        self._store.close()

    async def aclose(self) -> None:
        await self._store.aclose()


def _rows(nodes: Sequence[BaseNode], kwargs: dict[str, Any]) -> NodeRows:
    _check_none(kwargs)
    return NodeRows.of(nodes)


def _gone(rows: NodeRows, there: Sequence[Hit]) -> list[str]:
    return replaced(rows.nodes, [node_of(hit) for hit in there])


def _check_none(kwargs: dict[str, Any]) -> None:
    if kwargs:
        raise InvalidInput(f"unknown arguments: {', '.join(sorted(kwargs))}", hint="this call takes no others")
