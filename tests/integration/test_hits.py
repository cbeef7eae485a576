"""Ways of `hits`: variety in every mode, reranking, many queries at once."""

import re
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings

from howdah import Hit, PGVector, PGVectorRetriever
from howdah.retrieval.errors import InvalidInput
from tests.unit.test_mmr import by_scores

D, N = 8, 60
RNG = np.random.default_rng(5)
VECTORS = (1 + RNG.normal(size=(N, D))).astype(np.float16).astype(np.float32)
IDS = [f"r{i:02}" for i in range(N)]
TEXTS = [f"{id_} {'moon ' * (i % 4)}{'mars ' * (i % 3)}" for i, id_ in enumerate(IDS)]
WAYS: list[dict[str, Any]] = [
    {"search_type": "hybrid"},
    {"search_type": "hybrid", "lambda_mult": 0.4},
    {"search_type": "hybrid", "weight": 0.2, "depth": 7, "ef_search": 150},
    {"search_type": "lexical"},
    {"search_type": "lexical", "lambda_mult": 0.4, "fetch_k": 9, "b": 0.1},
    {"search_type": "similarity"},
    {"search_type": "mmr", "fetch_k": 30, "lambda_mult": 0.2},
    {"search_type": "similarity_score_threshold", "score_threshold": 0.8},
]


class Words(Embeddings):
    """A text that begins with an id has that row's vector; any other has one of its own, a query too."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return self.vector(text)

    def vector(self, text: str) -> list[float]:
        if re.match(r"r\d\d ", text):
            return [float(x) for x in VECTORS[int(text[1:3])]]
        seed = int.from_bytes(text.encode()[:6], "little")
        return [float(x) for x in 1 + np.random.default_rng(seed).normal(size=D)]


class ById:
    """Scores a text by the number in its id: unlike any search's order."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.seen.append(len(texts))
        return [int(text[1:3]) * 37 % 61 / 100 for text in texts]


def score_of(id_: str) -> float:
    return int(id_[1:3]) * 37 % 61 / 100


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.id for hit in hits]


@pytest.fixture(scope="module")
def store(module_url: str) -> Iterator[PGVector]:
    store = PGVector(Words(), connection=module_url, collection_name="words")
    store.add_texts(TEXTS, [{"i": i, "even": i % 2 == 0} for i in range(N)], ids=IDS)
    with psycopg.connect(module_url, autocommit=True) as conn:
        conn.execute("UPDATE howdah.collections SET scales = '{\"c0\": 0.35}' WHERE name = 'words'")
    store.store.forget("words")
    yield store
    store.database.close()


# -- variety in every mode


@pytest.mark.parametrize(
    "how", [{"search_type": "hybrid"}, {"search_type": "lexical"}, {"search_type": "hybrid", "weight": 0.9}]
)
@pytest.mark.parametrize(("k", "fetch_k", "share"), [(5, 20, 0.5), (8, 30, 0.1), (4, 20, 1.0), (9, 3, 0.3)])
def test_hybrid_and_lexical_choose_by_their_scores_and_the_stored_vectors(store, how, k, fetch_k, share):
    nearest = store.hits("moon mars", k=max(k, fetch_k), **how)
    rows = np.stack([VECTORS[int(hit.id[1:])] for hit in nearest]).astype(np.float64)
    order = by_scores(np.array([hit.score for hit in nearest]), rows, k, share, 0.35)
    found = store.hits("moon mars", k=k, fetch_k=fetch_k, lambda_mult=share, **how)
    assert found == [nearest[place] for place in order]
    if share == 1.0:
        assert found == nearest[:k]


def test_by_vectors_alone_hybrid_chooses_as_mmr_does(store):
    arguments = {"k": 6, "fetch_k": 25, "lambda_mult": 0.6}
    hybrid = store.hits("moon", search_type="hybrid", weight=1.0, **arguments)
    assert ids(hybrid) == ids(store.hits("moon", search_type="mmr", **arguments))


def test_variety_of_nothing_and_with_a_filter(store):
    assert store.hits("nothing of it", search_type="lexical", lambda_mult=0.5) == []
    found = store.hits("moon", k=5, lambda_mult=0.3, filter={"even": True})
    assert len(found) == 5
    assert all(hit.metadata["even"] for hit in found)


# -- reranking


@pytest.mark.parametrize("how", [way for way in WAYS if "lambda_mult" not in way])
def test_a_reranker_orders_what_the_search_found_and_its_score_does_not_depend_on_k(store, how):
    ranker = ById()
    plain = store.hits("moon mars", k=12, **how)
    found = store.hits("moon mars", k=5, rerank=ranker, rerank_depth=12, **how)
    assert ranker.seen == [len(plain)]
    assert ids(found) == sorted(ids(plain), key=score_of, reverse=True)[:5]
    before = {hit.id: hit.scores for hit in plain}
    assert all(hit.scores == {**before[hit.id], "rerank": score_of(hit.id)} for hit in found)
    assert all(hit.score == hit.scores["rerank"] for hit in found)
    assert store.hits("moon mars", k=12, rerank=ranker, rerank_depth=12, **how)[:5] == found


@pytest.mark.parametrize("how", [{"search_type": "hybrid"}, {"search_type": "lexical"}, {"fusion": "rrf"}])
def test_a_threshold_is_on_the_rerankers_scores(store, how):
    every = store.hits("moon mars", k=20, rerank=ById(), rerank_depth=20, **how)
    found = store.hits("moon mars", k=20, rerank=ById(), rerank_depth=20, score_threshold=0.3, **how)
    assert 0 < len(found) < len(every)
    assert found == [hit for hit in every if score_of(hit.id) >= 0.3]
    with pytest.raises(InvalidInput, match="score_threshold goes by scores, and Last gives none"):
        store.hits("moon mars", rerank=Last(), score_threshold=0.1, **how)


def test_variety_among_reranked_hits_is_by_the_rerankers_scores(store):
    every = store.hits("moon", k=N, rerank=ById(), search_type="similarity")[:20]
    rows = np.stack([VECTORS[int(hit.id[1:])] for hit in every]).astype(np.float64)
    order = by_scores(np.array([hit.score for hit in every]), rows, 6, 0.3, 0.35)
    for how in ("mmr", "hybrid"):
        found = store.hits("moon", k=6, search_type=how, rerank=ById(), rerank_depth=N, lambda_mult=0.3)
        assert ids(found) == [every[place].id for place in order]


class Last(BaseDocumentCompressor):
    """Drops the best and turns the rest round; gives no scores."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        return [Document(page_content=document.page_content) for document in reversed(documents[1:])]


async def test_a_compressor_may_drop_and_reorder(store):
    plain = store.hits("moon", k=10)
    want = plain[:0:-1][:4]
    assert store.hits("moon", k=4, rerank=Last(), rerank_depth=10) == want
    assert await store.ahits("moon", k=4, rerank=Last(), rerank_depth=10) == want
    with pytest.raises(InvalidInput, match="lambda_mult goes by scores, and Last gives none"):
        store.hits("moon", rerank=Last(), lambda_mult=0.5)


async def test_the_retriever_takes_a_reranker_for_all_calls_and_for_one(store):
    plain = PGVectorRetriever(vectorstore=store, k=3)
    always = PGVectorRetriever(vectorstore=store, k=3, rerank=ById(), rerank_depth=20)
    want = [hit.id for hit in store.hits("moon", k=3, rerank=ById(), rerank_depth=20)]
    assert want != [doc.id for doc in plain.invoke("moon")]
    assert [doc.id for doc in always.invoke("moon")] == want
    assert [doc.id for doc in await always.ainvoke("moon")] == want
    assert [doc.id for doc in plain.invoke("moon", rerank=ById(), rerank_depth=20)] == want
    assert [doc.id for doc in always.invoke("moon", rerank=False, rerank_depth=None)] == [
        doc.id for doc in plain.invoke("moon")
    ]
    assert always.invoke("moon")[0].metadata["_howdah"]["scores"]["rerank"] == score_of(want[0])
    by_way = store.as_retriever(search_type="hybrid", search_kwargs={"k": 3, "rerank": ById(), "rerank_depth": 20})
    assert [doc.id for doc in by_way.invoke("moon")] == want


async def test_a_reranker_does_not_hold_the_loop(store):
    class Waits(ById):
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            assert threading.current_thread() is not threading.main_thread()
            return super().scores(query, texts)

    assert len(await store.ahits("moon", rerank=Waits())) == 8


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rerank": "cohere"}, "cannot rank"),
        ({"rerank_depth": 5}, "rerank_depth is given without rerank"),
        ({"rerank": ById(), "rerank_depth": 0}, "rerank_depth is 0"),
        ({"fetch_k": 9}, "fetch_k is given without lambda_mult"),
        ({"lambda_mult": 1.5}, "lambda_mult is 1.5"),
        ({"lambda_mult": 0.5, "search_type": "similarity"}, "unknown search arguments: lambda_mult"),
        ({"weight": 0.5, "search_type": "lexical"}, "unknown arguments of a lexical search: weight"),
        ({"lambda_mult": 0.5, "fusion": "rrf"}, "lambda_mult with fusion='rrf'"),
        ({"rerank": ById(), "score_threshold": "default"}, "one of hybrid scores, and rerank gives others"),
        ({"window": -1}, "window is -1"),
        ({"window": 1, "parent": "section"}, "got both"),
        ({"parent": "chapter"}, "parent is 'chapter'"),
        ({"max_characters": 100}, "got neither"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_embedded(store, given, said):
    before = len(store.embeddings.asked)
    for call in (store.hits, lambda *a, **k: store.hits_many(["moon"], **k)):
        with pytest.raises(InvalidInput, match=said):
            call("moon", **given)
    with pytest.raises(InvalidInput, match=said):
        await store.ahits("moon", **given)
    assert len(store.embeddings.asked) == before


# -- many queries


QUERIES = ["moon", "mars moon", "r07 x", "moon", "nothing here"]


@pytest.mark.parametrize("how", WAYS)
async def test_many_queries_get_what_each_gets_alone(store, how):
    given = {"k": 6, "filter": {"i": {"$lt": 50}}, **how}
    want = [store.hits(query, **given) for query in QUERIES]
    assert store.hits_many(QUERIES, **given) == await store.ahits_many(QUERIES, **given) == want
    ranked = [store.hits(query, rerank=ById(), **given) for query in QUERIES]
    assert (
        store.hits_many(QUERIES, rerank=ById(), **given)
        == await store.ahits_many(QUERIES, rerank=ById(), **given)
        == ranked
    )


async def test_many_queries_are_embedded_as_queries_and_equal_ones_once(store):
    asked = store.embeddings.asked
    asked.clear()
    store.hits_many(QUERIES)
    assert sorted(asked) == sorted(set(QUERIES))
    asked.clear()
    await store.ahits_many(QUERIES)
    assert sorted(asked) == sorted(set(QUERIES))
    asked.clear()
    store.hits_many(QUERIES, search_type="lexical")
    assert asked == []


async def test_no_queries_no_collection_and_one_string(store, module_url):
    assert store.hits_many([]) == await store.ahits_many([]) == []
    empty = PGVector(Words(), connection=module_url, collection_name="not there")
    assert empty.hits_many(QUERIES) == await empty.ahits_many(QUERIES) == [[]] * 5
    with pytest.raises(InvalidInput, match="not a list of them"):
        store.hits_many("moon")
    with pytest.raises(InvalidInput, match="not a list of them"):
        await store.ahits_many("moon")


async def test_the_first_failure_to_embed_is_the_error(store, monkeypatch):
    def fails(text: str) -> list[float]:
        if text == "mars moon":
            raise TypeError(text)
        return [1.0] * D

    monkeypatch.setattr(store.embeddings, "embed_query", fails)
    with pytest.raises(TypeError, match="mars moon"):
        store.hits_many(QUERIES)
    with pytest.raises(TypeError, match="mars moon"):
        await store.ahits_many(QUERIES)


@pytest.mark.skipif(sys.platform != "linux", reason="libpq traces on Linux alone")
@pytest.mark.parametrize("how", [{}, {"ef_search": 150}, {"lambda_mult": 0.5}])
def test_many_queries_are_one_round_trip(store, tmp_path, how):
    one = PGVector(
        Words(), connection=store.database.conninfo.text + " application_name=one", collection_name="words", pool_size=1
    )
    one.hits_many(QUERIES, **how)  # prepares
    with (tmp_path / "trace").open("w") as file:
        with one.database.connection() as conn:
            conn.pgconn.trace(file.fileno())
            conn.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        one.hits_many(QUERIES, **how)
        with one.database.connection() as conn:
            conn.pgconn.untrace()
    lines = [line.split("\t") for line in (tmp_path / "trace").read_text().splitlines()]
    # One end of the questions: nothing waits for an answer. (A server that is quick may answer the first ones already.)
    assert [line[2] for line in lines if line[0] == "F"].count("Sync") == 1
    assert [line[2] for line in lines if line[0] == "F"].count("Bind") == 5 + ("ef_search" in how)
    one.database.close()
