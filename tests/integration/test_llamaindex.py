"""LlamaIndex over the rows of a PGVector: LangChain's side, LlamaIndex's own filter function and NumPy are the judges."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import DeterministicFakeEmbedding

pytest.importorskip("llama_index.core", reason="the extra 'llamaindex' is not installed")

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import (
    IndexNode,
    MetadataMode,
    NodeRelationship,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn, node_to_metadata_dict

from howdah import PGVector
from howdah.retrieval.errors import CollectionMismatch, InvalidFilter, InvalidInput
from howdah.retrieval.filters import compile_filter
from howdah.retrieval.llamaindex import LangChainEmbedding, LlamaIndexEmbeddings, PGVectorNodeRetriever, PGVectorStore
from howdah.retrieval.llamaindex.filters import metadata_filter
from tests.integration.test_filters import conn, found  # noqa: F401  a fixture

D, N = 16, 40
FAKE = DeterministicFakeEmbedding(size=D)
WORDS = ("moon", "mars", "comet", "ring", "dust")
IDS = [f"r{i:02}" for i in range(N)]
TEXTS = [f"{WORDS[i % 5]} {WORDS[i % 3]} number {i}" for i in range(N)]
METADATA: list[dict[str, Any]] = [
    {"i": i, "kind": WORDS[i % 5], "tags": [WORDS[i % 3], f"t{i % 4}"], **({} if i % 7 else {"rare": "100% \\ sure_"})}
    for i in range(N)
]
QUESTION = "moon dust"
VECTOR = FAKE.embed_query(QUESTION)


def where(key: str, operator: str, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=FilterOperator[operator], value=value)])


def source(name: str, hash_: str | None = None) -> dict[NodeRelationship, RelatedNodeInfo]:
    return {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=name, hash=hash_)}


def node(name: str, text: str = "some text", **kwargs: Any) -> TextNode:
    return TextNode(id_=name, text=text, embedding=FAKE.embed_query(text), **kwargs)


@pytest.fixture(scope="module")
def theirs(module_url: str) -> Iterator[PGVector]:
    """Rows that LangChain wrote: N of them, read only."""
    with PGVector(FAKE, connection=module_url, collection_name="shared") as store:
        store.add_texts(TEXTS, METADATA, ids=IDS)
        yield store
        store.database.close()


@pytest.fixture(scope="module")
def ours(theirs: PGVector) -> PGVectorStore:
    """The same rows from LlamaIndex, through a store of its own that knows no model."""
    return PGVectorStore.from_params(theirs._conninfo, collection_name="shared")


@pytest.fixture
def empty(url: str) -> Iterator[PGVectorStore]:
    store = PGVectorStore.from_params(url, collection_name="nodes", embed_model=LangChainEmbedding(FAKE))
    yield store
    store.client.database.close()


# -- the same rows, the same answers

FILTERS: list[tuple[MetadataFilters | None, Any]] = [
    (None, None),
    (where("kind", "EQ", "mars"), {"kind": "mars"}),
    (where("i", "GTE", 20), {"i": {"$gte": 20}}),
    (where("tags", "ANY", ["t1", "moon"]), {"tags": {"$overlap": ["t1", "moon"]}}),
    (where("rare", "TEXT_MATCH", "% \\ sure_"), {"rare": {"$exists": True}}),
    (
        MetadataFilters(
            filters=[where("i", "LT", 10), MetadataFilter(key="kind", operator="nin", value=["moon", "ring"])],
            condition=FilterCondition.OR,
        ),
        {"$or": [{"i": {"$lt": 10}}, {"kind": {"$nin": ["moon", "ring"]}}]},
    ),
]
MODES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"mode": "default"}, {}, {"search_type": "similarity"}),
    ({"mode": "default"}, {"exact": True}, {"search_type": "similarity", "exact": True}),
    ({"mode": "sparse"}, {}, {"search_type": "lexical"}),
    ({"mode": "text_search", "sparse_top_k": 4}, {"k1": 2.0, "b": 0.0},
     {"search_type": "lexical", "k": 4, "k1": 2.0, "b": 0.0}),
    ({"mode": "hybrid"}, {}, {"search_type": "hybrid"}),
    ({"mode": "hybrid", "alpha": 0.9}, {}, {"search_type": "hybrid", "weight": 0.9}),
    ({"mode": "hybrid", "alpha": 0}, {}, {"search_type": "hybrid", "weight": 0}),
    ({"mode": "semantic_hybrid", "alpha": 1, "hybrid_top_k": 3, "sparse_top_k": 12}, {},
     {"search_type": "hybrid", "weight": 1, "k": 3, "dense_depth": 6, "lexical_depth": 12}),
    ({"mode": "hybrid", "hybrid_top_k": 9, "sparse_top_k": 1}, {"fusion": "rrf"},
     {"search_type": "hybrid", "k": 9, "lexical_depth": 1, "fusion": "rrf"}),
    ({"mode": "mmr"}, {}, {"search_type": "mmr"}),
    ({"mode": "mmr", "mmr_threshold": 0.1}, {}, {"search_type": "mmr", "lambda_mult": 0.1}),
    ({"mode": "mmr"}, {"mmr_threshold": 0.9, "mmr_prefetch_k": 30},
     {"search_type": "mmr", "lambda_mult": 0.9, "fetch_k": 30}),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "filter_"), FILTERS, ids=[str(filter_) for _, filter_ in FILTERS])
@pytest.mark.parametrize(("asked", "given_", "arguments"), MODES, ids=[str(arguments) for *_, arguments in MODES])
async def test_both_sides_find_the_same(theirs, ours, asked, given_, arguments, filters, filter_):
    """Same ids, same order, same scores; sync and async."""
    wanted = theirs.hits(QUESTION, **{"k": 6, "filter": filter_, **arguments})
    assert wanted
    query = VectorStoreQuery(
        query_embedding=VECTOR, query_str=QUESTION, similarity_top_k=6, filters=filters,
        **{**asked, "mode": VectorStoreQueryMode(asked["mode"])},
    )  # fmt: skip
    for result in (ours.query(query, **given_), await ours.aquery(query, **given_)):
        assert result.ids == [hit.id for hit in wanted]
        assert result.similarities == [hit.score for hit in wanted]
        assert [(n.node_id, n.get_content(), n.metadata) for n in result.nodes] == [
            (hit.id, hit.content, hit.metadata) for hit in wanted
        ]


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
def test_similarities_are_higher_for_better_in_each_metric(module_url, metric):
    store = PGVectorStore.from_params(
        module_url, collection_name=metric, distance_strategy=metric, storage="vector", embed_model=FAKE
    )
    vectors = np.array([FAKE.embed_query(text) for text in TEXTS])
    store.add([TextNode(id_=i, text=t, embedding=v.tolist()) for i, t, v in zip(IDS, TEXTS, vectors, strict=True)])
    query = np.array(VECTOR)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    want = {
        "cosine": vectors @ query / lengths,
        "l2": -np.linalg.norm(vectors - query, axis=1),
        "inner_product": vectors @ query,
    }[metric]
    result = store.query(VectorStoreQuery(query_embedding=VECTOR, similarity_top_k=N))
    assert result.ids == [IDS[i] for i in np.argsort(-want)]
    assert result.similarities == pytest.approx(np.sort(want)[::-1], abs=1e-5)


def test_a_query_is_held_to_nodes_and_to_documents(empty):
    empty.add([node(f"n{i}", f"text {i}", relationships=source(f"doc{i % 3}")) for i in range(9)])

    def ids(**kwargs: Any) -> list[str]:
        query = VectorStoreQuery(query_embedding=VECTOR, query_str="text", similarity_top_k=9, **kwargs)
        return sorted(empty.query(query).ids or [])

    assert ids(node_ids=["n1", "n5", "nothing"]) == ["n1", "n5"]
    assert ids(doc_ids=["doc0"]) == ["n0", "n3", "n6"]
    assert ids(doc_ids=["doc0", "doc2"], mode=VectorStoreQueryMode.HYBRID) == ["n0", "n2", "n3", "n5", "n6", "n8"]
    assert ids(doc_ids=["doc0"], node_ids=["n1", "n3"], mode=VectorStoreQueryMode.SPARSE) == ["n3"]
    assert len(ids(doc_ids=[], node_ids=[])) == 9
    for key in ("ref_doc_id", "doc_id", "document_id"):
        assert ids(filters=where(key, "EQ", "doc1")) == ["n1", "n4", "n7"]
        assert ids(filters=where(key, "NIN", ["doc1", "doc2"])) == ["n0", "n3", "n6"]


def test_what_a_query_cannot_be_is_said(ours):
    def query(mode: str = "default", **kwargs: Any) -> Any:
        return ours.query(VectorStoreQuery(mode=VectorStoreQueryMode(mode), **kwargs))

    for mode in ("svm", "logistic_regression", "linear_regression"):
        with pytest.raises(InvalidInput, match="not searched in the database; use one of default"):
            query(mode, query_embedding=VECTOR)
    with pytest.raises(InvalidInput, match="'default' needs query_embedding"):
        query()
    with pytest.raises(InvalidInput, match="opened without an embedding model"):
        query(query_str="moon")
    for mode in ("hybrid", "sparse", "text_search"):
        with pytest.raises(InvalidInput, match=f"'{mode}' needs query_str"):
            query(mode, query_embedding=VECTOR)
    with pytest.raises(InvalidInput, match="weight is 2"):
        query("hybrid", query_embedding=VECTOR, query_str="moon", alpha=2)
    with pytest.raises(InvalidInput, match="output_fields has no meaning"):
        query(query_embedding=VECTOR, output_fields=["a"])
    with pytest.raises(InvalidInput, match="3 dimensions"):
        query(query_embedding=[1.0, 2.0, 3.0])
    with pytest.raises(InvalidInput, match="unknown search arguments: louder"):
        ours.query(VectorStoreQuery(query_embedding=VECTOR), louder=True)
    with pytest.raises(InvalidFilter, match="filters are MetadataFilters, got str"):
        ours.get_nodes(filters="kind = mars")


# -- nodes

NODES = [
    node("plain"),
    node("unicode", "naïve 🐘 \u2028 text", metadata={"ключ": "🐘"}),
    node(
        "rich",
        metadata={"zebra": 1, "a": {"z": [1, {"y": 2.5, "b": None}], "b": True}, "big": 2**70, "tiny": 1e-9, "huge": 1e22},
        excluded_embed_metadata_keys=["zebra"],
        excluded_llm_metadata_keys=["a", "big"],
        metadata_template="{key}={value}",
        metadata_separator=" | ",
        text_template="<{metadata_str}> {content}",
        start_char_idx=3,
        end_char_idx=12,
        mimetype="text/markdown",
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id="d", hash="h", metadata={"z": 1, "a": 2}),
            NodeRelationship.NEXT: RelatedNodeInfo(node_id="n", node_type="1"),
            NodeRelationship.CHILD: [RelatedNodeInfo(node_id="c1"), RelatedNodeInfo(node_id="c2")],
        },
    ),
    node("own keys", metadata={"doc_id": "mine", "ref_doc_id": 5, "_node_content": "mine too"}, relationships=source("d")),
    IndexNode(id_="index", text="points", index_id="elsewhere", obj=TextNode(id_="o", text="obj"), embedding=VECTOR),
]  # fmt: skip


def same(got: Any, want: Any) -> None:
    """All of the node, to the letter: what an LLM reads, and the hash, depend on the order of metadata, too."""
    plain = want.model_copy()
    plain.embedding = None
    assert type(got) is type(want)
    assert got.model_dump_json() == plain.model_dump_json()
    assert got.hash == want.hash
    assert got.get_content(metadata_mode=MetadataMode.LLM) == want.get_content(metadata_mode=MetadataMode.LLM)
    assert got.ref_doc_id == want.ref_doc_id


async def test_nodes_come_back_as_they_were(empty):
    assert isinstance(empty, BasePydanticVectorStore)
    assert empty.add(n for n in NODES) == [n.node_id for n in NODES]
    order = sorted(NODES, key=lambda n: n.node_id)
    for found_ in (empty.get_nodes(), await empty.aget_nodes()):
        for got, want in zip(found_, order, strict=True):
            same(got, want)
    same(empty.query(VectorStoreQuery(query_embedding=VECTOR, node_ids=["rich"])).nodes[0], NODES[2])


def test_what_langchain_sees_is_the_text_the_metadata_and_one_key(empty):
    empty.add([node("n", "some text", metadata={"a": 1}, relationships=source("d"))])
    (doc,) = empty.client.get_by_ids(["n"])
    assert doc.page_content == "some text"
    assert doc.metadata.keys() == {"a", "_llamaindex"}
    assert doc.metadata["_llamaindex"].keys() == {"type", "content", "ref_doc_id"}
    assert "some text" not in str(doc.metadata)
    assert '"metadata": {"a"' not in doc.metadata["_llamaindex"]["content"]
    # What LangChain changes is changed in the node.
    doc.page_content, doc.metadata["a"], doc.metadata["b"] = "another text", 2, 3
    empty.client.add_documents([doc])
    (got,) = empty.get_nodes(["n"])
    assert (got.get_content(), got.metadata, got.ref_doc_id) == ("another text", {"a": 2, "b": 3}, "d")
    # Nor does what was kept for the order of its keys come back.
    empty.add([node("n", "some text", metadata={"zz": 1, "a": 1})])
    (doc,) = empty.client.get_by_ids(["n"])
    doc.metadata["a"] = 5
    empty.client.add_documents([doc])
    assert empty.get_nodes(["n"])[0].metadata == {"zz": 1, "a": 5}


def test_rows_copied_from_llamaindexs_own_tables_are_nodes(empty):
    """As `howdah adopt` copies data_*: metadata untouched, the text in our content."""
    for n in NODES:
        metadata = node_to_metadata_dict(n, remove_text=True)
        empty.client.add_embeddings([n.get_content()], [n.embedding], [metadata], [n.node_id])
    for got, want in zip(empty.get_nodes(), sorted(NODES, key=lambda n: n.node_id), strict=True):
        if want.node_id == "own keys":  # LlamaIndex itself loses a key of the name _node_content
            assert got.metadata["doc_id"] == "mine"
            continue
        same(got, want)
    assert [n.node_id for n in empty.get_nodes(filters=where("doc_id", "EQ", "d"))] == ["own keys", "rich"]
    empty.delete("d")
    assert [n.node_id for n in empty.get_nodes()] == ["index", "plain", "unicode"]


def test_rows_of_langchain_are_text_nodes_even_with_odd_keys(empty):
    rows = [{}, {"_node_content": "{"}, {"_node_content": 5}, {"_llamaindex": "x"}, {"_llamaindex": {"content": "[]"}},
            {"_llamaindex": {"content": '{"relationships": 5}', "type": "TextNode"}}]  # fmt: skip
    empty.client.add_texts([f"text {i}" for i in range(len(rows))], rows, ids=[f"r{i}" for i in range(len(rows))])
    found_ = empty.get_nodes()
    assert [type(n) for n in found_] == [TextNode] * len(rows)
    assert [(n.node_id, n.text, n.metadata) for n in found_] == [
        (f"r{i}", f"text {i}", row) for i, row in enumerate(rows)
    ]


# -- writing


async def test_writes_follow_pgvectors_rules(empty):
    assert empty.add([]) == [] == await empty.async_add([])
    assert empty.get_nodes() == [] == await empty.aget_nodes(["x"])
    assert empty.query(VectorStoreQuery(query_embedding=VECTOR)).ids == []
    empty.delete("d")
    empty.delete_nodes(["x"])
    empty.clear()
    assert empty.add([node("a", "one"), node("a", "two")]) == ["a", "a"]
    assert [n.text for n in empty.get_nodes()] == ["two"]
    empty.add([node("nul", "a\x00b", metadata={"k": "c\x00d", "a": "\ud800"})])
    (got,) = empty.get_nodes(["nul"])
    assert (got.text, got.metadata) == ("a\ufffdb", {"k": "c\ufffdd", "a": "\ufffd"})
    with pytest.raises(InvalidInput, match=r"node 1 \('b'\) has no embedding"):
        empty.add([node("c"), TextNode(id_="b", text="x")])
    with pytest.raises(InvalidInput, match="node 0 is str"):
        empty.add(["x"])
    with pytest.raises(InvalidInput, match="'_llamaindex', which is Howdah's own"):
        await empty.async_add([node("c", metadata={"_llamaindex": 1})])
    with pytest.raises(InvalidInput, match="JSON has no form"):
        empty.add([node("c", metadata={"o": object()})])
    with pytest.raises(InvalidInput, match=r"lengths \[1, 16\]"):
        empty.add([node("c"), TextNode(id_="d", text="x", embedding=[1.0])])
    with pytest.raises(InvalidInput, match="unknown arguments: batch"):
        empty.add([node("c")], batch=3)
    assert [n.node_id for n in empty.get_nodes()] == ["a", "nul"]
    with pytest.raises(InvalidInput, match="neither ids nor a filter"):
        empty.delete_nodes()
    with pytest.raises(InvalidInput, match="neither ids nor a filter"):
        await empty.adelete_nodes(filters=MetadataFilters(filters=[]))


@pytest.mark.parametrize("async_", [False, True])
async def test_delete_nodes_delete_and_clear(url, async_):
    store = PGVectorStore.from_params(url, collection_name="d", distance_strategy="l2", storage="vector")

    async def call(name: str, *args: Any, **kwargs: Any) -> Any:
        if async_:
            return await getattr(store, "async_add" if name == "add" else f"a{name}")(*args, **kwargs)
        return getattr(store, name)(*args, **kwargs)

    async def left() -> str:
        return " ".join(n.node_id for n in await call("get_nodes"))

    for size in (8, 300):  # by array parameters, and by COPY
        nodes = [node(f"n{i:03}", metadata={"i": i}, relationships=source(f"d{i % 2}")) for i in range(size)]
        await call("add", nodes)
        await call("delete_nodes", [f"n{i:03}" for i in range(8, size)])
    await call("delete_nodes", ["n000", "n001", "nothing"])
    assert await left() == "n002 n003 n004 n005 n006 n007"
    await call("delete_nodes", ["n002", "n003"], where("i", "GT", 2))
    assert await left() == "n002 n004 n005 n006 n007"
    await call("delete_nodes", filters=where("i", "LT", 5))
    assert await left() == "n005 n006 n007"
    assert [n.node_id for n in await call("get_nodes", ["n005", "n006"], where("i", "NE", 6))] == ["n005"]
    assert await call("get_nodes", []) == []
    await call("delete", "d1")
    assert await left() == "n006"
    await call("clear")
    assert await left() == ""
    spec = store.client.store.find("d").spec
    assert (spec.metric.label, spec.storage.type_name) == ("l2", "vector")
    await call("add", nodes[:1])
    assert await left() == "n000"
    await store.client.database.aclose()


STORY = "The elephant walks. " * 40 + "The end comes at last. " * 40
SPLITTER = SentenceSplitter(chunk_size=60, chunk_overlap=0)


def split(text: str, **metadata: Any) -> list[Any]:
    nodes = SPLITTER.get_nodes_from_documents([Document(id_="story", text=text, metadata=metadata)])
    for n in nodes:
        n.embedding = FAKE.embed_query(n.text)
    return nodes


@pytest.mark.parametrize("async_", [False, True])
async def test_a_document_that_is_added_again_is_replaced(empty, async_):
    async def add(nodes: list[Any]) -> None:
        await empty.async_add(nodes) if async_ else empty.add(nodes)

    def there() -> set[str]:
        return {n.node_id for n in empty.get_nodes()}

    other = node("other", STORY[:80], relationships=source("other", "h"), start_char_idx=0)
    by_hand = node("by hand", relationships=source("story"))
    await add([other, by_hand])
    first, second = split(STORY), split(STORY)
    assert len(first) > 4
    assert not {n.node_id for n in first} & {n.node_id for n in second}
    await add(first)
    # As an index hands them on: in batches. A later batch of a document keeps the earlier.
    await add(second[:3])
    assert there() == {"other", "by hand"} | {n.node_id for n in [*second[:3], *first[3:]]}
    await add(second[3:])
    assert there() == {"other", "by hand"} | {n.node_id for n in second}
    await add(second)
    assert there() == {"other", "by hand"} | {n.node_id for n in second}
    changed = split("It was all different. " + STORY)
    await add(changed[:2])
    await add(changed[2:])
    assert there() == {"other", "by hand"} | {n.node_id for n in changed}
    # What cannot be written takes nothing away.
    broken = split("Broken. " + STORY)
    broken[-1].embedding = [1.0]
    with pytest.raises(InvalidInput):
        await add(broken)
    assert there() == {"other", "by hand"} | {n.node_id for n in changed}


# -- inside LlamaIndex

PAPERS = [
    Document(id_="mars", text="Mars has two moons, Phobos and Deimos.", metadata={"kind": "planet", "year": 1877}),
    Document(id_="jupiter", text="Jupiter has four large moons.", metadata={"kind": "planet", "year": 1610}),
    Document(id_="halley", text="Halley is a comet of dust and ice.", metadata={"kind": "comet", "year": 1705}),
]


@pytest.mark.parametrize("use_async", [False, True])
async def test_an_index_on_the_store(empty, use_async):
    model = LangChainEmbedding(FAKE)
    context = StorageContext.from_defaults(vector_store=empty)
    for _ in range(2):  # the second time changes nothing
        if use_async:
            index = VectorStoreIndex([], storage_context=context, embed_model=model)
            await index.ainsert_nodes(SPLITTER.get_nodes_from_documents(PAPERS))
        else:
            index = VectorStoreIndex.from_documents(PAPERS, storage_context=context, embed_model=model)
        assert len(empty.get_nodes()) == 3
    retriever = index.as_retriever(vector_store_query_mode="hybrid", similarity_top_k=2, alpha=0.2)
    (best, second) = await retriever.aretrieve("Phobos moons") if use_async else retriever.retrieve("Phobos moons")
    assert best.node.ref_doc_id == "mars"
    assert best.score > second.score
    assert best.node.metadata == {"kind": "planet", "year": 1877}

    loaded = VectorStoreIndex.from_vector_store(empty, embed_model=model)
    comets = loaded.as_retriever(filters=where("kind", "EQ", "comet"), similarity_top_k=3)
    assert [n.node.ref_doc_id for n in comets.retrieve("moons")] == ["halley"]
    spread = loaded.as_retriever(vector_store_query_mode="mmr", vector_store_kwargs={"mmr_threshold": 1.0})
    assert len(spread.retrieve("moons")) == 2
    engine = loaded.as_query_engine(llm=MockLLM(), vector_store_query_mode="text_search", similarity_top_k=1)
    answer = await engine.aquery("comet dust") if use_async else engine.query("comet dust")
    assert "Halley is a comet of dust and ice." in str(answer)
    loaded.delete_ref_doc("mars")
    assert {n.ref_doc_id for n in empty.get_nodes()} == {"jupiter", "halley"}
    loaded.delete_nodes([best.node.node_id])
    loaded.insert(PAPERS[0])
    assert {n.ref_doc_id for n in empty.get_nodes()} == {"mars", "jupiter", "halley"}
    # and LangChain finds what LlamaIndex wrote
    assert empty.client.hits("Phobos", k=1, search_type="lexical")[0].content.startswith("Mars")


def test_an_index_finds_index_nodes_among_the_others(empty):
    model, context = LangChainEmbedding(FAKE), StorageContext.from_defaults(vector_store=empty)
    pointer = IndexNode(id_="i", text="where the moons are", index_id="elsewhere")
    built = VectorStoreIndex([TextNode(id_="t", text="moons"), pointer], storage_context=context, embed_model=model)
    assert [n.node_id for n in built.as_retriever(similarity_top_k=5).retrieve("moons")] == ["i"]  # LlamaIndex asks so
    opened = VectorStoreIndex.from_vector_store(empty, embed_model=model)
    assert {n.node_id for n in opened.as_retriever(similarity_top_k=5).retrieve("moons")} == {"i", "t"}


def test_an_ingestion_pipeline_into_the_store(empty):
    pipeline = IngestionPipeline(transformations=[SPLITTER, LangChainEmbedding(FAKE)], vector_store=empty)
    for _ in range(2):
        pipeline.run(documents=PAPERS)
    assert sorted(n.ref_doc_id for n in empty.get_nodes()) == ["halley", "jupiter", "mars"]


# -- the retriever


@pytest.mark.parametrize("search_type", ["hybrid", "lexical", "similarity", "mmr", "similarity_score_threshold"])
async def test_the_retriever_finds_what_langchains_does(theirs, search_type):
    more = {"score_threshold": 0.55} if "threshold" in search_type else {}
    wanted = theirs.as_retriever(search_type=search_type, search_kwargs={"k": 5, "filter": {"i": {"$lt": 30}}, **more})
    documents = wanted.invoke(QUESTION)
    assert documents
    nodes = PGVectorNodeRetriever(
        theirs, k=5, search_type=search_type, filters=where("i", "LT", 30), search_kwargs=more
    )
    for got in (nodes.retrieve(QUESTION), await nodes.aretrieve(QUESTION)):
        assert [(n.node.node_id, n.node.get_content(), n.node.metadata) for n in got] == [
            (d.id, d.page_content, d.metadata) for d in documents
        ]
        assert [n.score for n in got] == [d.metadata["_howdah"]["score"] for d in documents]
        assert all("_howdah" not in n.node.get_content(metadata_mode=MetadataMode.LLM) for n in got)
        assert all("_howdah" not in n.node.get_content(metadata_mode=MetadataMode.EMBED) for n in got)


def test_the_retriever_takes_either_librarys_model_and_an_embedded_question(theirs, ours):
    want = [n.node_id for n in PGVectorNodeRetriever(theirs, search_type="similarity").retrieve(QUESTION)]
    assert len(want) == 8
    for model in (FAKE, LangChainEmbedding(FAKE), LlamaIndexEmbeddings(LangChainEmbedding(FAKE))):
        retriever = PGVectorNodeRetriever(ours, embed_model=model, search_type="similarity")
        assert [n.node_id for n in retriever.retrieve(QUESTION)] == want
        elsewhere = QueryBundle("anything", custom_embedding_strs=[QUESTION])
        assert [n.node_id for n in retriever.retrieve(elsewhere)] == want
    bare = PGVectorNodeRetriever(ours, search_type="similarity")
    assert [n.node_id for n in bare.retrieve(QueryBundle("anything", embedding=VECTOR))] == want
    with pytest.raises(InvalidInput, match="opened without an embedding model"):
        bare.retrieve(QUESTION)
    assert PGVectorNodeRetriever(ours, search_type="lexical").retrieve(QUESTION)
    with pytest.raises(InvalidInput, match="store is str"):
        PGVectorNodeRetriever("docs")
    with pytest.raises(InvalidInput, match="search_type 'keyword' is not known"):
        PGVectorNodeRetriever(ours, search_type="keyword")


async def test_nodes_of_a_loaded_file_say_where_they_come_from(url, tmp_path):
    from howdah import sync

    text = "# Warranty\n\nThe warranty lasts two years.\n"
    (tmp_path / "warranty.md").write_text(text, encoding="utf-8")
    with PGVector(FAKE, connection=url, collection_name="docs") as store:
        sync(store, [tmp_path])
        (found_,) = PGVectorNodeRetriever(store).retrieve("How long is the warranty?")
        where_from = found_.node.metadata["_howdah"]
        assert where_from["source"].endswith("/warranty.md")
        assert (found_.node.start_char_idx, found_.node.end_char_idx) == (where_from["start"], where_from["end"])
        assert text[where_from["start"] : where_from["end"]] == found_.node.get_content()
        engine = RetrieverQueryEngine.from_args(PGVectorNodeRetriever(store), llm=MockLLM())
        answer = await engine.aquery("How long is the warranty?")
        assert "two years" in str(answer)
        assert "_howdah" not in str(answer)
        store.database.close()


# -- models, opening, pickling


def test_a_collection_remembers_llamaindexs_model(url):
    class Named(MockEmbedding):
        model_name: str = "named"

    class Other(MockEmbedding):
        model_name: str = "other:model"

    store = PGVectorStore.from_params(url, collection_name="m", embed_model=Named(embed_dim=D))
    store.add([node("a")])
    assert store.client.store.find("m").spec.model == "named"
    assert store.query(VectorStoreQuery(query_str="x")).ids == ["a"]  # it can embed a question itself
    other = PGVectorStore.from_params(url, collection_name="m", embed_model=Other(embed_dim=D))
    with pytest.warns(UserWarning, match="'named' and this model is 'other:model'"):
        other.get_nodes()
    # Without a model nothing is compared, neither here nor on LangChain's side.
    PGVectorStore.from_params(url, collection_name="m").add([node("b")])
    nameless = PGVectorStore.from_params(url, collection_name="nameless")
    nameless.add([node("a")])
    PGVector(FAKE, connection=url, collection_name="nameless").similarity_search("x")
    mars = PGVectorStore.from_params(url, collection_name="strong", embed_model=Other(embed_dim=D))
    mars.add([node("a")])
    third = LlamaIndexEmbeddings(Named(embed_dim=D, model_name="third:model"))
    with pytest.raises(CollectionMismatch, match="'other:model' and this model is 'third:model'"):
        PGVector(third, connection=url, collection_name="strong").similarity_search("x")
    store.client.database.close()


def test_a_store_opens_from_its_parts_copies_and_pickles(url, theirs):
    parts = psycopg.conninfo.conninfo_to_dict(url)
    store = PGVectorStore.from_params(
        host=parts["host"],
        port=parts.get("port"),
        database=parts["dbname"],
        user=parts.get("user"),
        collection_name="p",
    )
    store.add([node("a")])
    assert [n.node_id for n in PGVectorStore(PGVector(FAKE, connection=url, collection_name="p")).get_nodes()] == ["a"]
    for other in (pickle.loads(pickle.dumps(store)), copy.copy(store), copy.deepcopy(store)):
        assert [n.node_id for n in other.get_nodes()] == ["a"]
    assert store.to_dict() == {
        "stores_text": True, "is_embedding_query": True, "class_name": "HowdahPGVectorStore",
    }  # fmt: skip
    secret = PGVectorStore.from_params("postgresql://u:secret@localhost/db")
    assert "secret" not in repr(secret) + str(secret) + str(secret.to_dict())
    with pytest.raises(TypeError, match="password"):
        pickle.dumps(secret)
    with pytest.raises(InvalidInput, match="and its parts as well"):
        PGVectorStore.from_params(url, host="x")
    with pytest.raises(TypeError, match="hybrid_search"):
        PGVectorStore.from_params(url, hybrid_search=True)
    with pytest.raises(InvalidInput, match="must be a PGVector"):
        PGVectorStore(url)
    store.close()
    assert [n.node_id for n in store.get_nodes()] == ["a"]
    store.client.database.close()


SCRIPT = """
import sys
def watch(event, args):
    if event == "socket.connect" and args[1][0] not in ("127.0.0.1", "::1") and not str(args[1]).startswith("/"):
        raise RuntimeError(f"connected to {args[1]}")
    if event in ("socket.getaddrinfo", "socket.gethostbyname") and args[0] not in ("localhost", "127.0.0.1", "::1", None):
        raise RuntimeError(f"looked up {args[0]}")
    if event == "urllib.Request":
        raise RuntimeError(f"asked for {args[0]}")
sys.addaudithook(watch)
from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.llms import MockLLM
from howdah.retrieval.llamaindex import LangChainEmbedding, PGVectorStore
store = PGVectorStore.from_params(sys.argv[1], collection_name="offline")
model = LangChainEmbedding(DeterministicFakeEmbedding(size=8))
index = VectorStoreIndex.from_documents([Document(text="Mars has two moons. " * 400)], embed_model=model,
    storage_context=StorageContext.from_defaults(vector_store=store))
answer = index.as_query_engine(llm=MockLLM(), vector_store_query_mode="hybrid").query("How many moons?")
assert "two moons" in str(answer)
store.client.database.close()
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=0.1)
except RuntimeError:
    print("offline")
"""


def test_neither_import_nor_use_leaves_this_machine(url):
    done = subprocess.run([sys.executable, "-c", SCRIPT, url], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["offline"], "")


# -- filters against LlamaIndex's own function

TEXT = st.text(st.sampled_from("abAB%_\\"), max_size=4)
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, -1.5, 2.0]))
LISTS = st.one_of(st.lists(TEXT, max_size=3), st.lists(st.integers(-3, 3), max_size=3))
KEYS = st.sampled_from(["a", "b", "a key"])
METADATAS = st.dictionaries(KEYS, st.one_of(TEXT, NUMBERS, LISTS, st.none()), max_size=3)


def filters_of(operators: list[FilterOperator], values: Any) -> Any:
    return st.builds(MetadataFilter, key=KEYS, operator=st.sampled_from(operators), value=values)


O = FilterOperator  # noqa: E741
LEAVES = st.one_of(
    filters_of([O.EQ, O.NE], st.one_of(TEXT, NUMBERS, LISTS, st.none())),
    filters_of([O.GT, O.GTE, O.LT, O.LTE], st.one_of(st.integers(-3, 3), st.sampled_from(["", "a", "ab", "b"]))),
    filters_of([O.IN, O.NIN, O.ANY, O.ALL], LISTS),
    filters_of([O.CONTAINS], st.one_of(TEXT, NUMBERS)),
    filters_of([O.TEXT_MATCH, O.TEXT_MATCH_INSENSITIVE], TEXT),
    filters_of([O.IS_EMPTY], st.none()),
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        MetadataFilters, filters=st.lists(inner, max_size=3), condition=st.sampled_from([*FilterCondition, None])
    ),
    max_leaves=5,
)


def matches(filter_: Any, metadata: dict[str, Any]) -> bool:
    """LlamaIndex's function for each single filter; nesting, which it refuses, and our rules where it raises or differs."""
    if isinstance(filter_, MetadataFilters):
        parts = [matches(part, metadata) for part in filter_.filters]
        if not parts:
            return True
        if filter_.condition is FilterCondition.OR:
            return any(parts)
        return not any(parts) if filter_.condition is FilterCondition.NOT else all(parts)
    value = metadata.get(filter_.key)
    if filter_.operator in (O.EQ, O.NE) and filter_.value is None:
        return (value is None) == (filter_.operator is O.EQ)
    if filter_.operator in (O.CONTAINS, O.ANY, O.ALL) and not isinstance(value, list):
        return False
    try:
        return build_metadata_filter_fn(lambda _: metadata, MetadataFilters(filters=[filter_]))("")
    except TypeError:
        return False


@settings(max_examples=400)
@given(docs=st.lists(METADATAS, min_size=1, max_size=6), filter_=NESTED)
def test_filters_are_those_of_llamaindex(conn: psycopg.Connection, docs: list[Any], filter_: Any):  # noqa: F811
    compile_filter(metadata_filter(filter_))
    assert found(conn, docs, metadata_filter(filter_)) == [
        place for place, doc in enumerate(docs) if matches(filter_, doc)
    ]


@pytest.mark.parametrize("text", ["%", "_", "\\", "a_b", "a%", "\\_", "\\\\"])
def test_a_text_to_match_stands_for_itself(conn: psycopg.Connection, text: str):  # noqa: F811
    there = ["%", "_", "\\", "a_b", "axb", "a%", "A_B", "\\_", "\\\\", "x", ""]
    docs = [{"a": value} for value in there]
    exactly = found(conn, docs, metadata_filter(where("a", "TEXT_MATCH", text)))
    assert [there[place] for place in exactly] == [value for value in there if text in value]
    loosely = found(conn, docs, metadata_filter(where("a", "TEXT_MATCH_INSENSITIVE", text)))
    assert [there[place] for place in loosely] == [value for value in there if text.lower() in value.lower()]


def test_langchains_documents_and_llamaindexs_nodes_lie_in_one_collection(empty):
    empty.client.add_documents([LangChainDocument("written by LangChain", id="l", metadata={"by": "L"})])
    empty.add([node("n", "written by LlamaIndex", metadata={"by": "I"})])
    assert [n.node_id for n in empty.get_nodes(filters=where("by", "IN", ["L", "I"]))] == ["l", "n"]
    assert {d.id for d in empty.client.similarity_search("written", k=5)} == {"l", "n"}
    assert {n.node_id for n in PGVectorNodeRetriever(empty).retrieve("written")} == {"l", "n"}
