"""LlamaIndex's side without a server: filters that cannot be, models and their names, twins, and the missing package."""

import inspect
import sys
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah.retrieval.embeddings import LocalEmbeddings, ModelIdentity, identity
from howdah.retrieval.errors import InvalidFilter, InvalidInput, PackageMissing

pytest.importorskip("llama_index.core", reason="the extra 'llamaindex' is not installed")

from llama_index.core.embeddings import MockEmbedding
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from howdah.retrieval.filters import compile_filter
from howdah.retrieval.llamaindex import LangChainEmbedding, LlamaIndexEmbeddings, PGVectorStore
from howdah.retrieval.llamaindex.embeddings import NoModel, langchain_embeddings, llamaindex_embedding
from howdah.retrieval.llamaindex.filters import metadata_filter, within


def single(operator: str, value: Any, key: str = "k") -> MetadataFilter:
    return MetadataFilter(key=key, operator=FilterOperator[operator], value=value)


WRONG = [
    (single("IN", "a"), "IN on 'k' takes a list, got 'a'"),
    (single("NIN", 1), "NIN on 'k' takes a list, got 1"),
    (single("ANY", None), "ANY on 'k' takes a list, got None"),
    (single("ALL", "a"), "ALL on 'k' takes a list"),
    (single("CONTAINS", ["a"]), "CONTAINS on 'k' takes one value.*use ANY or ALL"),
    (single("CONTAINS", None), "CONTAINS on 'k' takes one value"),
    (single("TEXT_MATCH", 5), "TEXT_MATCH on 'k' takes a string, got 5"),
    (single("TEXT_MATCH_INSENSITIVE", ["a"]), "TEXT_MATCH_INSENSITIVE on 'k' takes a string"),
    (single("IS_EMPTY", "no"), "IS_EMPTY on 'k' takes no value.*value=None"),
    (single("GT", None), r"\$gt on 'k' compares with a number"),
    (single("LTE", ["a"]), r"\$lte on 'k' compares with a number"),
    (single("EQ", 1, key="$or"), r"\$or takes a list of filters"),
    (MetadataFilters(filters=[single("IN", "a")], condition=FilterCondition.NOT), "IN on 'k' takes a list"),
    ([single("EQ", 1)], "filters are MetadataFilters, got list; write"),
    ("year > 2000", "filters are MetadataFilters, got str"),
]


class TestFilters:
    @pytest.mark.parametrize("operator", list(FilterOperator))
    def test_every_operator_compiles_with_a_value_of_its_kind(self, operator):
        lists, texts = {"IN", "NIN", "ANY", "ALL"}, {"TEXT_MATCH", "TEXT_MATCH_INSENSITIVE"}
        value: Any = ["a"] if operator.name in lists else "a" if operator.name in texts else 1
        value = None if operator.name == "IS_EMPTY" else value
        assert compile_filter(metadata_filter(single(operator.name, value))).params

    @pytest.mark.parametrize(("given", "message"), WRONG, ids=[message for _, message in WRONG])
    def test_what_has_no_meaning_is_said(self, given, message):
        with pytest.raises(InvalidFilter, match=message):
            compile_filter(within(given))

    def test_without_filters_it_is_none(self):
        for condition in (*FilterCondition, None):
            assert within(MetadataFilters(filters=[], condition=condition)) is None
        assert within(None) is None
        assert within({}) is None
        assert within({"a": 1}) == {"$and": [{"a": 1}]}
        assert within(None, node_ids=[]) == {"$and": [{"$id": []}]}


class Named(MockEmbedding):
    model_name: str = "some-model"


class TestModels:
    def test_a_model_has_one_name_in_both_libraries(self):
        local = LocalEmbeddings()
        assert LangChainEmbedding(local).model_name == identity(local).name
        assert identity(LlamaIndexEmbeddings(LangChainEmbedding(local))) == identity(local)
        assert identity(LlamaIndexEmbeddings(Named(embed_dim=2))) == ModelIdentity(name="some-model", strong=True)
        hand_made = type("Mine", (MockEmbedding,), {"__module__": "mine"})(embed_dim=2)
        assert identity(LlamaIndexEmbeddings(hand_made)) == ModelIdentity(name="mine.Mine", strong=False)

    def test_a_provider_is_named_as_langchain_names_it(self):
        """As test_embeddings.py has it for langchain_openai's object of the same model."""
        packaged = type("OpenAIEmbedding", (Named,), {"__module__": "llama_index.embeddings.openai.base"})
        model = LlamaIndexEmbeddings(packaged(embed_dim=2, model_name="text-embedding-3-small"))
        assert identity(model) == ModelIdentity(name="openai:text-embedding-3-small", strong=True)

    async def test_each_embeds_as_the_one_inside_does(self):
        fake = DeterministicFakeEmbedding(size=4)
        llama = LangChainEmbedding(fake, embed_batch_size=2)
        back = LlamaIndexEmbeddings(llama)
        texts = ["a", "b", "c"]
        want = np32(fake.embed_documents(texts))
        assert llama.get_text_embedding_batch(texts) == want == await llama.aget_text_embedding_batch(texts)
        assert back.embed_documents(texts) == want == await back.aembed_documents(texts)
        assert back.embed_query("a") == want[0] == await back.aembed_query("a")
        assert llama.get_text_embedding("a") == want[0] == await llama.aget_text_embedding("a")

    async def test_without_a_model_embedding_says_what_to_do(self):
        for call in (lambda: NoModel().embed_query("a"), lambda: NoModel().embed_documents(["a"])):
            with pytest.raises(InvalidInput, match=r"without an embedding model .* give it embed_model="):
                call()
        with pytest.raises(InvalidInput, match="without an embedding model"):
            await NoModel().aembed_documents(["a"])

    def test_wrappers_are_unwrapped_and_others_named(self):
        fake, mock = DeterministicFakeEmbedding(size=4), MockEmbedding(embed_dim=4)
        assert langchain_embeddings(LangChainEmbedding(fake)) is fake
        assert langchain_embeddings(fake) is fake
        assert llamaindex_embedding(LlamaIndexEmbeddings(mock)) is mock
        assert llamaindex_embedding(mock) is mock
        for wrap in (langchain_embeddings, llamaindex_embedding):
            with pytest.raises(InvalidInput, match="embed_model is str and must be a LlamaIndex"):
                wrap("openai")


def np32(vectors: list[list[float]]) -> list[list[float]]:
    import numpy as np

    return np.asarray(vectors, dtype=np.float32).tolist()


TWINS = {"add": "async_add", **{n: f"a{n}" for n in ("delete", "delete_nodes", "clear", "get_nodes", "query", "close")}}


@pytest.mark.parametrize("name", TWINS)
def test_sync_and_async_are_twins_and_both_of_our_own(name):
    ours, twin = vars(PGVectorStore)[name], vars(PGVectorStore)[TWINS[name]]
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(ours) == inspect.signature(twin)


def test_nothing_of_the_base_class_is_left_out():
    of_base = {name for name, value in vars(BasePydanticVectorStore).items() if inspect.isfunction(value)}
    assert {name for name in of_base if not name.startswith("_")} - set(vars(PGVectorStore)) == {"persist"}


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("howdah.retrieval.llamaindex")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "llama_index.core.schema", None)
    with pytest.raises(PackageMissing, match=r"llama-index-core.*run: pip install 'howdah\[llamaindex\]'"):
        import howdah.retrieval.llamaindex.store  # noqa: F401
