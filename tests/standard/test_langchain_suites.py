"""LangChain's own suites for vector stores and retrievers, against a real server."""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from howdah import PGVector, PGVectorRetriever


class TestPGVector(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, url: str) -> Iterator[PGVector]:
        with PGVector(self.get_embeddings(), connection=url) as store:
            yield store
            store.database.close()


class TestPGVectorWithoutWords(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, url: str) -> Iterator[PGVector]:
        with PGVector(self.get_embeddings(), connection=url, lexical=False, storage="vector") as store:
            yield store
            store.database.close()


class _Retriever(RetrieversIntegrationTests):
    search_type = "hybrid"

    @pytest.fixture(autouse=True)
    def _loaded(self, url: str) -> Iterator[None]:
        type(self).store = PGVector(DeterministicFakeEmbedding(size=16), connection=url)
        type(self).store.add_texts(["the moon is grey", "the sun is warm", "the sea is deep", "the moon is far"])
        yield
        type(self).store.database.close()

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return PGVectorRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"vectorstore": type(self).store, "search_type": self.search_type}

    @property
    def retriever_query_example(self) -> str:
        return "the moon"


class TestHybridRetriever(_Retriever):
    pass


class TestDenseRetriever(_Retriever):
    search_type = "similarity"
