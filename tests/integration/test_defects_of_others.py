"""Defects that other stores on PostgreSQL have had and that no other test here rules out; docs/defects.md lists them all."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL
from psycopg.types.json import set_json_loads

from howdah import PGVector, PGVectorRetriever, sync
from howdah.retrieval import writes
from howdah.retrieval.errors import DimensionMismatch
from howdah.retrieval.query import Query
from tests.integration.explaining import explain

TEXTS = {
    "mars": "Mars has two small moons, Phobos and Deimos.",
    "triton": "Triton circles Neptune against its rotation.",
    "halley": "Halley's comet returns every 76 years.",
    "ceres": "Ceres is the largest object of the asteroid belt.",
}


@pytest.fixture
def planets(vectors: PGVector) -> PGVector:
    vectors.add_texts(TEXTS.values(), ids=list(TEXTS))
    return vectors


@pytest.fixture(scope="module")
def many(module_url: str) -> Iterator[PGVector]:
    """3,000 rows of 8 dimensions, analyzed; to be read only."""
    with PGVector(DeterministicFakeEmbedding(size=8), connection=module_url, collection_name="many") as store:
        rows = np.random.default_rng(3).normal(size=(3_000, 8)).astype(np.float32)
        store.add_embeddings([f"row {n} of many" for n in range(3_000)], rows, ids=[str(n) for n in range(3_000)])
        store.store.execute(Query(SQL("ANALYZE"), {}))
        yield store
        store.database.close()


def ask(store: PGVector, sql: str) -> list[dict]:
    collection = store.store.get(store.collection_name)
    statement = SQL(sql).format(chunks=collection.chunks, passages=collection.passages)
    return store.store.rows(Query(statement, {}))


# -- hybrid search


def lexical_best(store: PGVector, question: str) -> str:
    """The id that the words alone put first within a hybrid search."""
    return max(store.hits(question, k=4), key=lambda hit: hit.scores["lexical"]).id


def test_each_hybrid_search_asks_for_its_own_words(planets):
    questions = {"moons of Mars": "mars", "rotation of Neptune": "triton", "a comet's return": "halley"}
    assert {question: lexical_best(planets, question) for question in questions} == questions


def test_hybrid_searches_at_once_do_not_see_each_others_words(planets):
    questions = {"moons of Mars": "mars", "rotation of Neptune": "triton", "a comet's return": "halley"}
    start = threading.Barrier(6)

    def search(question: str) -> set[str]:
        start.wait()
        return {lexical_best(planets, question) for _ in range(20)}

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(search, [*questions, *questions]))
    assert found == [{id_} for id_ in [*questions.values(), *questions.values()]]


@pytest.mark.parametrize("search_type", ["lexical", "hybrid"])
def test_a_question_need_not_have_all_its_words_in_the_passage(planets, search_type):
    question = "Which telescope first photographed the moons called Phobos and Deimos?"
    found = planets.hits(question, k=4, search_type=search_type)
    assert max(found, key=lambda hit: hit.scores["lexical"]).id == "mars"


def test_a_hybrid_search_gives_as_many_rows_as_were_asked_for(many):
    assert [len(many.hits("row 7 of many", k=k)) for k in (1, 9, 50, 200)] == [1, 9, 50, 200]


def test_a_fused_score_is_higher_for_better_and_a_relevance_too(planets):
    hits = planets.hits("moons of Mars, Phobos and Deimos", k=4)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    scored = planets.similarity_search_with_relevance_scores(TEXTS["mars"], k=4)
    assert scored[0][0].id == "mars"
    assert [score for _, score in scored] == sorted((score for _, score in scored), reverse=True)


# -- MMR


@pytest.mark.parametrize("k", [1, 10, 25])
def test_an_mmr_retriever_gives_k_documents(many, k):
    retriever = many.as_retriever(search_type="mmr", search_kwargs={"k": k})
    assert len(retriever.invoke("row 7")) == k


def test_lambda_mult_0_is_not_the_default(many):
    near = [doc.id for doc in many.max_marginal_relevance_search("row 7", k=10, fetch_k=200)]
    far = [doc.id for doc in many.max_marginal_relevance_search("row 7", k=10, fetch_k=200, lambda_mult=0)]
    assert far != near


# -- writing


@pytest.mark.parametrize("count", [5, 3_000])
def test_a_load_is_one_transaction(vectors, count):
    vectors.add_texts([f"text {n}" for n in range(count)])
    written = "SELECT xmin::text AS by FROM {chunks} UNION ALL SELECT xmin::text FROM {passages}"
    (found,) = ask(vectors, f"SELECT count(DISTINCT by) AS transactions, count(*) AS rows FROM ({written}) AS written")
    assert found == {"transactions": 1, "rows": 2 * count}


def test_more_rows_than_a_statement_has_parameters(url):
    with PGVector(DeterministicFakeEmbedding(size=2), connection=url, lexical=False) as store:
        ids = [f"{n}" for n in range(66_000)]
        rows = np.random.default_rng(5).normal(size=(len(ids), 2)).astype(np.float32)
        assert store.add_embeddings(["x"] * len(ids), rows, ids=ids) == ids
        assert {doc.id for doc in store.get_by_ids(ids)} == set(ids)
        store.delete(ids[1:])
        assert [doc.id for doc in store.similarity_search("x", k=9)] == ids[:1]
        store.database.close()


def test_no_ids_are_no_error(planets):
    assert planets.get_by_ids([]) == []
    assert planets.delete([]) is True
    assert len(planets.similarity_search("moons", k=9)) == len(TEXTS)


def test_metadata_may_be_named_like_columns_and_parameters(vectors):
    names = "id n tenant document content text embedding metadata extra k words tsv langchain_id distance score f0 c0"
    about = {name: f"my {name}" for name in names.split()}
    vectors.add_texts(["the text"], [about], ids=["1"])
    (found,) = vectors.similarity_search("the text", filter=about)
    assert (found.id, found.page_content, found.metadata) == ("1", "the text", about)
    assert vectors.hits("the text", filter=about)[0].metadata == about


def test_an_id_names_a_row_of_its_own_collection(url, embeddings):
    stores = [PGVector(embeddings, connection=url, collection_name=name) for name in ("a", "b")]
    for store in stores:
        store.add_texts([f"text of {store.collection_name}"], ids=["1"])
    stores[0].add_texts(["new text of a"], ids=["1"])
    assert [doc.page_content for store in stores for doc in store.get_by_ids(["1"])] == ["new text of a", "text of b"]
    stores[0].delete(["1"])
    assert [len(store.get_by_ids(["1"])) for store in stores] == [0, 1]
    stores[0].database.close()


def test_collections_of_different_dimensions_stand_side_by_side(url):
    stores = [PGVector(DeterministicFakeEmbedding(size=d), connection=url, collection_name=f"d{d}") for d in (3, 700)]
    for store in stores:
        store.add_texts(["one", "two"])
        assert len(store.hits("one", k=9)) == 2
    stores[0].database.close()


def test_another_dimension_is_refused_and_the_rows_stay(url, planets):
    other = PGVector(DeterministicFakeEmbedding(size=17), connection=url, collection_name=planets.collection_name)
    with pytest.raises(DimensionMismatch):
        other.add_texts(["new"])
    assert len(planets.similarity_search("moons", k=9)) == len(TEXTS)


def test_deleting_a_chunk_leaves_the_rest_of_its_document(vectors, tmp_path: Path):
    words = [f"# Part {part}\n\n" + " ".join(f"Words {n} of part {part}." for n in range(150)) for part in "abc"]
    (tmp_path / "page.md").write_text("\n\n".join(words), encoding="utf-8")
    sync(vectors, [tmp_path])
    before = {hit.id for hit in vectors.hits("words of part", k=50)}
    gone = min(before)
    assert len(before) > 2
    vectors.delete([gone])
    assert {hit.id for hit in vectors.hits("words of part", k=50)} == before - {gone}


# -- what goes over the wire


@pytest.mark.parametrize("search_type", ["similarity", "lexical", "hybrid"])
def test_a_search_does_not_send_the_vectors(many, search_type, monkeypatch):
    sent: list[dict] = []
    fetch = many.store.fetch_many

    def noting(*args):
        found = fetch(*args)
        sent.extend(row for rows in found for row in rows)
        return found

    monkeypatch.setattr(many.store, "fetch_many", noting)
    assert len(many.hits("row 7 of many", k=5, search_type=search_type)) == 5
    assert len(sent) == 5
    assert all("embedding" not in row for row in sent)


def test_searches_are_prepared_on_the_server(url):
    one = make_conninfo(url, application_name="prepared")
    store = PGVector(DeterministicFakeEmbedding(size=8), connection=one, collection_name="docs", pool_size=1)
    store.add_texts(["one", "two"])
    for question in ("one", "two", "three"):
        store.hits(question, k=2)
    with store.database.connection() as conn:
        found = conn.execute("SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements").fetchall()
    assert [uses for statement, uses in found if "by_meaning" in statement] == [3]
    store.database.close()


def test_a_json_loader_that_another_library_set_changes_nothing(planets):
    class Fragment(str):
        """What some JSON libraries hand over instead of a dict."""

    planets.add_texts(["Sedna is far away."], [{"far": True, "name": "sedna"}], ids=["sedna"])
    set_json_loads(Fragment)
    try:
        planets.database.close()  # later connections take over what is set globally
        (found,) = planets.similarity_search("Sedna", k=1, filter={"far": True})
        assert found.metadata == {"far": True, "name": "sedna"}
        assert type(found.metadata) is dict
    finally:
        set_json_loads(json.loads)


# -- indexes


def test_deleting_by_ids_reads_an_index(many):
    statement = writes.delete(many.store.get("many"), writes.where_ids(["1", "2"]))
    kinds = {node["Node Type"] for node in explain(many.database, statement)}
    assert kinds & {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
    assert "Seq Scan" not in kinds


def test_each_collection_has_an_index_of_its_words(url, embeddings):
    stores = [PGVector(embeddings, connection=url, collection_name=name) for name in ("a", "b")]
    for store in stores:
        store.add_texts(["some words"])
    found = ask(stores[0], "SELECT DISTINCT tablename FROM pg_indexes WHERE indexdef ~ 'USING gin .tsv.'")
    assert len(found) == len(stores)
    stores[0].database.close()


# -- the pool


def test_the_pool_is_as_large_as_was_asked_for(url, admin):
    name = make_conninfo(url, application_name="bounded")
    store = PGVector(DeterministicFakeEmbedding(size=8), connection=name, collection_name="docs", pool_size=2)
    store.add_texts(["one", "two"])
    seen = set()

    def search(_: int) -> int:
        (backends,) = store.store.rows(
            Query(SQL("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'bounded'"), {})
        )
        seen.add(backends["n"])
        return len(store.hits("one", k=2))

    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(search, range(60))) == {2}
    assert max(seen) == 2
    store.database.close()


def test_one_slow_user_does_not_keep_the_others_waiting(url):
    store = PGVector(DeterministicFakeEmbedding(size=8), connection=url, collection_name="docs", pool_size=2)
    store.add_texts(["one"])
    with store.database.connection() as held:
        held.execute("BEGIN")
        assert len(PGVectorRetriever(vectorstore=store, k=1).invoke("one")) == 1
        held.execute("ROLLBACK")
    store.database.close()
