"""PGVectorNodeRetriever: LlamaIndex's retriever over a PGVector."""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import NodeWithScore, QueryBundle

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.llamaindex.embeddings import llamaindex_embedding
from howdah.retrieval.llamaindex.filters import within
from howdah.retrieval.llamaindex.nodes import node_of
from howdah.retrieval.llamaindex.store import PGVectorStore
from howdah.retrieval.plans import annotated
from howdah.retrieval.search import SearchType, check_search_type
from howdah.retrieval.types import Hit
from howdah.retrieval.vectorstore import PGVector

HOWDAH = "_howdah"


class PGVectorNodeRetriever(BaseRetriever):
    """The k best chunks for a question as nodes, best first, with scores and where they come from.

    Each node has one metadata key more than was stored, `_howdah`: id, score, scores, source, title, section, page,
    start and end. It is among the excluded keys, so neither an LLM nor an embedding model reads it.

    Args:
        store: a PGVector, whoever filled it, or a PGVectorStore.
        k: how many.
        search_type: hybrid (default), lexical, similarity, mmr or similarity_score_threshold.
        filters: MetadataFilters, or a filter in Howdah's own grammar.
        embed_model: what embeds the questions, of either library; the store's own model unless given.
        search_kwargs: more settings of `PGVector.hits`: weight, ef_search …
        callback_manager: LlamaIndex's.
    """

    def __init__(
        self,
        store: PGVector | PGVectorStore,
        *,
        k: int = 8,
        search_type: SearchType = "hybrid",
        filters: Any = None,
        embed_model: Any = None,
        search_kwargs: Mapping[str, Any] | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self._store = store.client if isinstance(store, PGVectorStore) else store
        if not isinstance(self._store, PGVector):
            raise InvalidInput(f"store is {type(store).__name__} and must be a PGVector or a PGVectorStore")
        check_search_type(search_type)
        self._embed_model = llamaindex_embedding(embed_model if embed_model is not None else self._store.embeddings)
        self._arguments = {"k": k, "search_type": search_type, "filter": within(filters), **(search_kwargs or {})}
        super().__init__(callback_manager=callback_manager)

    def _texts(self, bundle: QueryBundle) -> Sequence[str]:
        """What of the query is still to be embedded."""
        return (
            [] if bundle.embedding is not None or self._arguments["search_type"] == "lexical" else bundle.embedding_strs
        )

    def _asked(self, bundle: QueryBundle, embedding: list[float] | None) -> dict[str, Any]:
        by_words = self._arguments["search_type"] == "lexical"
        return {"query": bundle.query_str, **self._arguments, "embedding": None if by_words else embedding}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        embedding, texts = query_bundle.embedding, self._texts(query_bundle)
        if texts:
            embedding = self._embed_model.get_agg_embedding_from_queries(list(texts))
        return [scored(hit) for hit in self._store.hits(**self._asked(query_bundle, embedding))]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        embedding, texts = query_bundle.embedding, self._texts(query_bundle)
        if texts:
            embedding = await self._embed_model.aget_agg_embedding_from_queries(list(texts))
        return [scored(hit) for hit in await self._store.ahits(**self._asked(query_bundle, embedding))]


def scored(hit: Hit) -> NodeWithScore:
    """The node with its score and, under `_howdah`, where it comes from."""
    node = node_of(hit)
    node.metadata = {**node.metadata, HOWDAH: annotated(hit).metadata[HOWDAH]}
    node.excluded_embed_metadata_keys = [*node.excluded_embed_metadata_keys, HOWDAH]
    node.excluded_llm_metadata_keys = [*node.excluded_llm_metadata_keys, HOWDAH]
    return NodeWithScore(node=node, score=hit.score)
