"""Each library's embeddings as the other's, and the model of a store that was told of none."""

from typing import Any, cast

from langchain_core.embeddings import Embeddings
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from howdah.retrieval.embeddings import (
    UNKNOWN,
    ModelIdentity,
    aembed_query_with_retry,
    aembed_with_retry,
    embed_query_with_retry,
    embed_with_retry,
    identity,
)
from howdah.retrieval.errors import InvalidInput


class LangChainEmbedding(BaseEmbedding):
    """A LangChain Embeddings object (Howdah's local model, or any) as LlamaIndex's embed_model; sync and async natively."""

    _embeddings: Embeddings = PrivateAttr()

    def __init__(self, embeddings: Embeddings, **kwargs: Any) -> None:
        """`kwargs` are LlamaIndex's own: embed_batch_size, callback_manager, embeddings_cache …"""
        super().__init__(**{"model_name": identity(embeddings).name, **kwargs})
        self._embeddings = embeddings

    @property
    def embeddings(self) -> Embeddings:
        return self._embeddings

    @classmethod
    def class_name(cls) -> str:
        return "HowdahLangChainEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return cast("list[float]", embed_query_with_retry(self._embeddings, query).tolist())

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return cast("list[float]", (await aembed_query_with_retry(self._embeddings, query)).tolist())

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return cast("list[list[float]]", embed_with_retry(self._embeddings, texts).tolist())

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return cast("list[list[float]]", (await aembed_with_retry(self._embeddings, texts)).tolist())


class LlamaIndexEmbeddings(Embeddings):
    """A LlamaIndex embedding as LangChain's, so that a PGVector can use it; the collection remembers the model's name."""

    def __init__(self, embed_model: BaseEmbedding) -> None:
        if not isinstance(embed_model, BaseEmbedding):
            raise InvalidInput(
                f"embed_model is {type(embed_model).__name__} and must be a LlamaIndex BaseEmbedding",
                hint="a LangChain Embeddings object needs no wrapping here",
            )
        self.embed_model = embed_model

    @property
    def model_identity(self) -> ModelIdentity:
        """As LangChain's object for the same model would have it: "openai:text-embedding-3-small"."""
        if isinstance(self.embed_model, LangChainEmbedding):
            return identity(self.embed_model.embeddings)
        kind, name = type(self.embed_model), self.embed_model.model_name
        if not name or name == BaseEmbedding.model_fields["model_name"].default:
            return ModelIdentity(name=f"{kind.__module__}.{kind.__qualname__}", strong=False)
        where = kind.__module__.split(".")
        provider = where[2] if where[:2] == ["llama_index", "embeddings"] and len(where) > 2 else ""
        return ModelIdentity(name=f"{provider}:{name}" if provider else name, strong=True)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_model.get_text_embedding_batch(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.embed_model.get_query_embedding(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return await self.embed_model.aget_text_embedding_batch(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return await self.embed_model.aget_query_embedding(text)


class NoModel(Embeddings):
    """Stands where no model was named: every vector comes with its row or its query."""

    model_identity = UNKNOWN

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        raise InvalidInput(
            "this store was opened without an embedding model and cannot embed a text itself",
            hint="give it embed_model=, or give nodes and queries with their embeddings",
        )

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


def langchain_embeddings(model: Any) -> Embeddings:
    """A LangChain object for either library's model; None is a store whose vectors all come from outside."""
    if model is None:
        return NoModel()
    if isinstance(model, LangChainEmbedding):
        return model.embeddings
    return model if isinstance(model, Embeddings) else LlamaIndexEmbeddings(model)


def llamaindex_embedding(model: Any) -> BaseEmbedding:
    """A LlamaIndex object for either library's model."""
    if isinstance(model, LlamaIndexEmbeddings):
        return model.embed_model
    if isinstance(model, BaseEmbedding):
        return model
    if isinstance(model, Embeddings):
        return LangChainEmbedding(model)
    raise InvalidInput(f"embed_model is {type(model).__name__} and must be a LlamaIndex or LangChain embedding object")
