"""Searching: distances, scores, MMR, the retriever, and the ways into a PGVector; NumPy is the judge."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
import sqlalchemy
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from langchain_postgres import PGVector as TheirPGVector

from howdah import PGVector, PGVectorRetriever
from howdah.retrieval.errors import InvalidInput, NotAdopted

D, N = 8, 60
RNG = np.random.default_rng(11)
VECTORS = RNG.normal(size=(N, D)).astype(np.float16).astype(np.float32)
QUERY = RNG.normal(size=D).astype(np.float16).astype(np.float32)
IDS = [f"r{i:02}" for i in range(N)]


class Given(Embeddings):
    """Every query is QUERY."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(x) for x in VECTORS[int(text[1:3])]] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(x) for x in QUERY]


def distances(metric: str, rows: np.ndarray = VECTORS) -> np.ndarray:
    """pgvector's three, written out."""
    match metric:
        case "cosine":
            return np.asarray(1 - rows @ QUERY / (np.linalg.norm(rows, axis=1) * np.linalg.norm(QUERY)))
        case "l2":
            return np.asarray(np.sqrt(((rows - QUERY) ** 2).sum(axis=1)))
    return np.asarray(-(rows @ QUERY))


def filled(url: str, metric: str, storage: str, **kwargs: Any) -> PGVector:
    name = f"{metric}_{storage}"
    store = PGVector(Given(), connection=url, collection_name=name, **kwargs)
    if store.store.find(name) is None:
        first = PGVector(Given(), connection=url, collection_name=name, distance_strategy=metric, storage=storage)
        first.add_texts([f"{i} elephant" for i in IDS], [{"i": i, "even": i % 2 == 0} for i in range(N)], ids=IDS)
    return store


@pytest.fixture(scope="module")
def cosine(module_url: str) -> Iterator[PGVector]:
    store = filled(module_url, "cosine", "halfvec")
    yield store
    store.database.close()


@pytest.mark.parametrize("storage", ["halfvec", "vector"])
@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
class TestScores:
    def test_distances_are_numpys(self, module_url, metric, storage):
        found = filled(module_url, metric, storage).similarity_search_with_score("x", k=N)
        want = distances(metric)
        assert [doc.id for doc, _ in found] == [IDS[i] for i in np.argsort(want, kind="stable")]
        assert [score for _, score in found] == pytest.approx(sorted(want), abs=2e-5)

    def test_a_hits_score_is_higher_for_better(self, module_url, metric, storage):
        hits = filled(module_url, metric, storage).hits("x", k=N, search_type="similarity")
        want = -np.sort(distances(metric)) + (metric == "cosine")
        assert [hit.score for hit in hits] == pytest.approx(want, abs=2e-5)
        assert all(hit.scores == {"dense": hit.score} for hit in hits)

    def test_exact_and_filters(self, module_url, metric, storage):
        store = filled(module_url, metric, storage)
        even = [i for i in np.argsort(distances(metric), kind="stable") if i % 2 == 0]
        for exact in (True, False):
            found = store.similarity_search("x", k=7, filter={"even": True}, exact=exact)
            assert [doc.id for doc in found] == [IDS[i] for i in even[:7]]


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_relevance_is_in_0_1_and_falls_with_the_distance(module_url, metric):
    """On a store that has not looked at its collection yet: the metric is the collection's all the same."""
    found = filled(module_url, metric, "halfvec").similarity_search_with_relevance_scores("x", k=N)
    scores = [score for _, score in found]
    want = sorted(distances(metric))
    assert scores == pytest.approx([1 - d / 2 if metric == "cosine" else 1 / (1 + d) for d in want], abs=1e-4)
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] < scores[0] <= 1
    fresh = PGVector(Given(), connection=module_url, collection_name=f"{metric}_halfvec")
    above = fresh.similarity_search_with_relevance_scores("x", k=N, score_threshold=scores[9] - 1e-9)
    assert [doc.id for doc, _ in above] == [doc.id for doc, _ in found[:10]]


def test_relevance_of_inner_products_needs_unit_vectors(module_url):
    with pytest.raises(InvalidInput, match=r"defined for unit vectors only.*relevance_score_fn"):
        filled(module_url, "inner_product", "halfvec").similarity_search_with_relevance_scores("x", k=N)
    own = filled(module_url, "inner_product", "halfvec", relevance_score_fn=lambda d: 0.25)
    assert [score for _, score in own.similarity_search_with_relevance_scores("x", k=2)] == [0.25, 0.25]


def test_a_zero_query_has_a_distance_but_no_cosine(module_url):
    nearest = filled(module_url, "l2", "halfvec").similarity_search_by_vector([0.0] * D, k=1)
    assert nearest[0].id == IDS[int(np.argmin(np.linalg.norm(VECTORS, axis=1)))]
    with pytest.raises(InvalidInput, match="all zeros"):
        filled(module_url, "cosine", "halfvec").similarity_search_by_vector([0.0] * D)
    with pytest.raises(InvalidInput, match="halfvec goes up to"):
        filled(module_url, "l2", "halfvec").similarity_search_by_vector([1e6] * D)


def test_lexical_search_needs_no_cosine_but_hybrid_does(module_url):
    store = filled(module_url, "l2", "halfvec")
    assert [hit.id for hit in store.hits("r07", search_type="lexical")] == ["r07"]
    with pytest.raises(InvalidInput, match="hybrid search is defined for cosine"):
        store.hits("elephant")


class TestMmr:
    @pytest.mark.parametrize(("k", "fetch_k", "share"), [(4, 20, 0.5), (5, 30, 0.1), (20, 20, 0.9), (9, 3, 0.5)])
    def test_the_choice_is_langchains_over_the_nearest_fetch_k(self, cosine, k, fetch_k, share):
        nearest = np.argsort(distances("cosine"), kind="stable")[: max(k, fetch_k)]
        chosen = maximal_marginal_relevance(QUERY, list(VECTORS[nearest]), lambda_mult=share, k=k)
        want = [IDS[nearest[i]] for i in chosen]
        assert [doc.id for doc in cosine.max_marginal_relevance_search("x", k, fetch_k, share)] == want
        scored = cosine.max_marginal_relevance_search_with_score("x", k, fetch_k, share)
        assert [doc.id for doc, _ in scored] == want
        by_id = dict(zip(IDS, distances("cosine"), strict=True))
        assert [d for _, d in scored] == pytest.approx([by_id[i] for i in want], abs=2e-5)
        hits = cosine.hits("x", k=k, search_type="mmr", fetch_k=fetch_k, lambda_mult=share)
        assert [hit.id for hit in hits] == want

    def test_a_filter_holds_and_bad_sizes_are_named(self, cosine):
        found = cosine.max_marginal_relevance_search("x", 5, filter={"even": False})
        assert len(found) == 5
        assert not any(doc.metadata["even"] for doc in found)
        with pytest.raises(InvalidInput, match="fetch_k is 0"):
            cosine.max_marginal_relevance_search("x", 5, 0)


@pytest.mark.filterwarnings("ignore:.*vectors of two models")
@pytest.mark.parametrize("how", ["similarity", "hybrid", "mmr", "similarity_score_threshold"])
async def test_a_query_that_is_embedded_already_finds_the_same(cosine, how):
    """The other model would find others: its query is no neighbour of QUERY."""
    args: dict[str, Any] = {"k": 9, "search_type": how, **({"score_threshold": 0.2} if "score" in how else {})}
    want = cosine.hits("r07 elephant", **args)
    other = PGVector(DeterministicFakeEmbedding(size=D), connection=cosine._conninfo, collection_name="cosine_halfvec")
    assert other.hits("r07 elephant", embedding=list(QUERY), **args) == want
    assert await other.ahits("r07 elephant", embedding=QUERY, **args) == want
    assert other.hits("r07 elephant", **args) != want
    with pytest.raises(InvalidInput, match="a lexical search takes no embedding"):
        cosine.hits("r07", search_type="lexical", embedding=QUERY)
    with pytest.raises(InvalidInput, match="3 dimensions"):
        cosine.hits("r07", search_type=how, embedding=[1.0, 2.0, 3.0])


async def test_all_that_match_come_in_id_order_as_they_were_added(cosine):
    found = cosine.matching({"i": {"$lt": 3}})
    assert [(hit.id, hit.content, hit.metadata, hit.score) for hit in found] == [
        (f"r0{i}", f"r0{i} elephant", {"i": i, "even": i % 2 == 0}, 0) for i in range(3)
    ]
    assert [hit.id for hit in cosine.matching()] == IDS
    assert await cosine.amatching({"i": {"$lt": 3}}) == found


class TestDocuments:
    def test_pgvectors_are_exactly_as_given_and_the_retrievers_say_where_from(self, cosine):
        (doc,) = cosine.similarity_search("x", k=1)
        nearest = int(np.argmin(distances("cosine")))
        want = Document(
            id=IDS[nearest], page_content=f"{IDS[nearest]} elephant", metadata={"i": nearest, "even": nearest % 2 == 0}
        )
        assert doc == want
        assert cosine.get_by_ids([IDS[nearest]]) == [want]
        for how in ("hybrid", "similarity", "mmr", "similarity_score_threshold"):
            args: dict[str, Any] = {"search_type": how, "search_kwargs": {"k": 1}}
            if how == "similarity_score_threshold":
                args["search_kwargs"]["score_threshold"] = 0.1
            (found,) = cosine.as_retriever(**args).invoke(f"{IDS[nearest]}")
            extra = found.metadata.pop("_howdah")
            assert found == want
            assert extra.keys() == {"id", "score", "scores", "source", "title", "section", "page", "start", "end"}
            assert extra["id"] == want.id
            assert extra["scores"]["dense"] == pytest.approx(1 - min(distances("cosine")), abs=1e-4)
            assert extra["source"] is None

    def test_the_retrievers_k(self, cosine):
        assert len(PGVectorRetriever(vectorstore=cosine).invoke("elephant")) == 8
        assert len(PGVectorRetriever(vectorstore=cosine, k=3).invoke("elephant")) == 3
        assert len(PGVectorRetriever(vectorstore=cosine, k=3).invoke("elephant", k=2)) == 2
        assert len(cosine.as_retriever().invoke("elephant")) == 4
        only = PGVectorRetriever(vectorstore=cosine, k=30, search_kwargs={"filter": {"i": {"$lt": 5}}})
        assert {doc.metadata["i"] for doc in only.invoke("elephant")} == set(range(5))

    def test_a_threshold_is_a_relevance(self, cosine):
        how = {"k": N, "score_threshold": 0.6}
        found = cosine.as_retriever(search_type="similarity_score_threshold", search_kwargs=how).invoke("x")
        assert len(found) == int((1 - distances("cosine") / 2 >= 0.6).sum())

    def test_ids_come_in_id_order_and_unknown_ones_are_left_out(self, cosine):
        assert [doc.id for doc in cosine.get_by_ids(["r05", "nope", "\x00", "r01"])] == ["r01", "r05"]
        assert cosine.get_by_ids([]) == []


TEXTS = ["r01 a", "r02 b"]
MAKERS: list[Callable[..., Any]] = [
    lambda **kw: PGVector.from_texts(TEXTS, Given(), [{"n": 1}, {"n": 2}], ids=["a", "b"], **kw),
    lambda **kw: PGVector.from_documents(
        [Document(page_content=t, metadata={"n": n + 1}) for n, t in enumerate(TEXTS)], Given(), ids=["a", "b"], **kw
    ),
    lambda **kw: PGVector.from_documents(
        [Document(id=i, page_content=t, metadata={"n": n + 1}) for n, t in enumerate(TEXTS) for i in "ab"[n]], Given(), **kw
    ),
    lambda **kw: PGVector.from_embeddings(
        ((t, list(VECTORS[n + 1])) for n, t in enumerate(TEXTS)), Given(), metadatas=[{"n": 1}, {"n": 2}], ids=["a", "b"], **kw
    ),
    lambda **kw: PGVector.afrom_texts(TEXTS, Given(), [{"n": 1}, {"n": 2}], ids=["a", "b"], **kw),
    lambda **kw: PGVector.afrom_documents(
        [Document(page_content=t, metadata={"n": n + 1}) for n, t in enumerate(TEXTS)], Given(), ids=["a", "b"], **kw
    ),
    lambda **kw: PGVector.afrom_embeddings(
        [(t, list(VECTORS[n + 1])) for n, t in enumerate(TEXTS)], Given(), metadatas=[{"n": 1}, {"n": 2}], ids=["a", "b"], **kw
    ),
]  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS)
async def test_every_way_into_a_store_gives_the_same(module_url, maker):
    name = f"from_{MAKERS.index(maker)}"
    made = maker(connection=module_url, collection_name=name)
    store = made if isinstance(made, PGVector) else await made
    assert store.get_by_ids(["a", "b"]) == [
        Document(id="a", page_content="r01 a", metadata={"n": 1}),
        Document(id="b", page_content="r02 b", metadata={"n": 2}),
    ]
    want = distances("cosine", VECTORS[1:3])
    assert sorted(score for _, score in store.similarity_search_with_score("x")) == pytest.approx(
        sorted(want), abs=2e-5
    )
    again = PGVector.from_existing_index(Given(), connection=module_url, collection_name=name)
    assert len(again.similarity_search("x")) == 2
    replaced = PGVector.from_texts(
        ["r03"], Given(), connection=module_url, collection_name=name, pre_delete_collection=True
    )
    assert [doc.page_content for doc in replaced.similarity_search("x")] == ["r03"]
    await store.database.aclose()


# -- rows in langchain-postgres' tables


async def test_rows_in_the_other_librarys_tables_are_never_an_empty_result(url):
    model = DeterministicFakeEmbedding(size=8)
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    theirs = TheirPGVector(model, connection=engine, collection_name="theirs", use_jsonb=True)
    theirs.add_texts(["a", "b", "c"], ids=["1", "2", "3"])
    engine.dispose()
    store = PGVector(model, connection=url, collection_name="theirs")
    other = PGVector(model, connection=url, collection_name="not theirs")
    for call in (
        lambda: store.similarity_search("a"),
        lambda: store.similarity_search_by_vector([1.0] * 8),
        lambda: store.max_marginal_relevance_search("a"),
        lambda: store.hits("a"),
        lambda: store.as_retriever().invoke("a"),
        lambda: store.add_texts(["d"]),
        lambda: store.add_embeddings(["d"], [[1.0] * 8]),
        lambda: store.delete(["1"]),
        lambda: store.delete(filter={"a": 1}),
        lambda: store.get_by_ids(["1"]),
    ):
        with pytest.raises(
            NotAdopted, match=r"'theirs' has 3 rows in langchain_pg_embedding .* howdah adopt"
        ) as caught:
            call()
        assert caught.value.rows == 3
    for call in (
        lambda: store.asimilarity_search("a"),
        lambda: store.aadd_texts(["d"]),
        lambda: store.adelete(["1"]),
        lambda: store.aget_by_ids(["1"]),
        lambda: store.ahits("a"),
    ):
        with pytest.raises(NotAdopted, match="3 rows"):
            await call()
    assert other.similarity_search("a") == []
    other.add_texts(["mine"])
    assert len(other.similarity_search("a")) == 1
    await store.database.aclose()


# -- langchain_core.indexing


def records(namespace: str) -> InMemoryRecordManager:
    manager = InMemoryRecordManager(namespace=namespace)
    manager.create_schema()
    return manager


def page(text: str, source: str) -> Document:
    return Document(page_content=text, metadata={"source": source})


CLEANUP = [(None, "abcd"), ("incremental", "acd"), ("full", "ac"), ("scoped_full", "acd")]


@pytest.mark.parametrize(("mode", "left"), CLEANUP)
def test_index_in_every_cleanup_mode(module_url, mode, left):
    store = PGVector(DeterministicFakeEmbedding(size=8), connection=module_url, collection_name=f"index_{mode}")
    manager = records(f"{mode}")

    def run(docs: list[Document]) -> dict[str, int]:
        return dict(
            index(docs, manager, store, cleanup=mode, source_id_key="source", key_encoder="sha256", batch_size=2)
        )

    first = [page("a", "1"), page("b", "1"), page("d", "2")]
    assert run(first) == {"num_added": 3, "num_updated": 0, "num_skipped": 0, "num_deleted": 0}
    assert run([page("a", "1"), page("c", "1")]) | {"num_deleted": 0} == {
        "num_added": 1, "num_updated": 0, "num_skipped": 1, "num_deleted": 0,
    }  # fmt: skip
    assert "".join(sorted(doc.page_content for doc in store.similarity_search("x", k=9))) == left
    if mode == "full":
        assert run([])["num_deleted"] == 2
        assert store.similarity_search("x") == []


@pytest.mark.parametrize(("mode", "left"), CLEANUP)
async def test_index_in_every_cleanup_mode_async(module_url, mode, left):
    store = PGVector(DeterministicFakeEmbedding(size=8), connection=module_url, collection_name=f"aindex_{mode}")
    manager = records(f"a{mode}")
    for docs in ([page("a", "1"), page("b", "1"), page("d", "2")], [page("a", "1"), page("c", "1")]):
        await aindex(docs, manager, store, cleanup=mode, source_id_key="source", key_encoder="sha256")
    assert "".join(sorted(doc.page_content for doc in await store.asimilarity_search("x", k=9))) == left
    await store.database.aclose()
