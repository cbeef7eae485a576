"""PGVectorRetriever: LangChain's retriever over a PGVector, with our two search types and annotated Documents."""

from collections.abc import Collection
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore, VectorStoreRetriever
from pydantic import model_validator

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.plans import annotated


class PGVectorRetriever(VectorStoreRetriever):
    """The k best chunks for a question.

    `search_type`: hybrid (default), lexical, similarity, mmr or similarity_score_threshold. Each Document carries one
    metadata key more than was stored, `_howdah`: id, score, scores, source, title, section, page, start and end.
    `k` and anything in `search_kwargs` may be given per call: `retriever.invoke(question, k=3, filter={…})`.

    `rerank`: True or "local" for the local cross-encoder, a reranker (scores(query, texts)) or a LangChain document
    compressor; None, the default, for none. `rerank_depth` is how many hits it sees.
    """

    vectorstore: VectorStore
    k: int | None = None
    rerank: Any = None
    rerank_depth: int | None = None
    search_type: str = "hybrid"
    allowed_search_types: ClassVar[Collection[str]] = (
        "similarity",
        "similarity_score_threshold",
        "mmr",
        "hybrid",
        "lexical",
    )

    @model_validator(mode="before")
    @classmethod
    def validate_search_type(cls, values: dict[str, Any]) -> Any:
        """LangChain's check, with our search types and our default."""
        return super().validate_search_type({"search_type": "hybrid", **values})  # type: ignore[operator]

    def _options(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        own: dict[str, Any] = {"k": (8 if self.search_type == "hybrid" else 4) if self.k is None else self.k}
        own |= {"rerank": self.rerank, "rerank_depth": self.rerank_depth}
        found = {**own, **self.search_kwargs, **kwargs, "search_type": self.search_type}
        if not hasattr(self.vectorstore, "hits"):
            raise InvalidInput(f"vectorstore is {type(self.vectorstore).__name__} and must be a PGVector")
        return found

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        found = self.vectorstore.hits(query, **self._options(kwargs))  # type: ignore[attr-defined]
        return [annotated(hit) for hit in found]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        found = await self.vectorstore.ahits(query, **self._options(kwargs))  # type: ignore[attr-defined]
        return [annotated(hit) for hit in found]
