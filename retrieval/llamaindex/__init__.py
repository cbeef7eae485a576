"""LlamaIndex on the rows of a PGVector: a vector store, a retriever, and each library's embeddings as the other's."""

from howdah.retrieval.errors import PackageMissing

try:
    import llama_index.core.schema  # noqa: F401  the first of it that is used below
except ImportError as exc:
    raise PackageMissing(
        "llama-index-core", needed_for="howdah.retrieval.llamaindex", install="pip install 'howdah[llamaindex]'"
    ) from exc

from howdah.retrieval.llamaindex.embeddings import LangChainEmbedding, LlamaIndexEmbeddings
from howdah.retrieval.llamaindex.retriever import PGVectorNodeRetriever
from howdah.retrieval.llamaindex.store import PGVectorStore

__all__ = ["LangChainEmbedding", "LlamaIndexEmbeddings", "PGVectorNodeRetriever", "PGVectorStore"]
