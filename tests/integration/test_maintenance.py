"""maintain: its lease, what it measures, and who builds the index when."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL, Composed

from howdah import PGVector
from howdah.retrieval import dense, lexical, upkeep
from howdah.retrieval.asked import parse
from howdah.retrieval.choosing import Wish, choose
from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.retrieval.kinds import Index
from howdah.retrieval.lease import Lease
from howdah.retrieval.maintenance import maintain, maintain_async
from howdah.retrieval.query import Query
from tests.integration.checks import check_whole, rows

SIZE, ROWS = 16, 3_000
MEAN = np.full(SIZE, 0.25)


def vectors_of(count: int, *, seed: int = 1) -> np.ndarray:
    """Vectors around a mean: their pairs' mean cosine is far from 0."""
    return (MEAN + 0.25 * np.random.default_rng(seed).standard_normal((count, SIZE))).astype(np.float32)


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as store:
        yield store
        store.database.close()


@pytest.fixture
def filled(store: PGVector) -> PGVector:
    fill(store, ROWS)
    return store


def fill(store: PGVector, count: int, start: int = 0) -> None:
    texts = [f"elephant {number} with howdah {number % 7}" for number in range(start, start + count)]
    store.add_embeddings(texts, vectors_of(count, seed=start + 1), ids=[f"{start + n}" for n in range(count)])


def indexes(store: PGVector) -> list[tuple[str, bool]]:
    return [(row["name"], row["valid"]) for row in store.store.rows(upkeep.indexes(store.store.get("docs")))]


def create_index(store: PGVector) -> Composed:
    """What `maintain` runs."""
    collection = store.store.get("docs")
    index = choose(Wish(policy="hnsw"), collection.spec, rows=ROWS, threshold=1).index
    assert index is not None
    return upkeep.create_index(collection, index, collection.index_name)


def explain(conn: psycopg.Connection, query: Query, *options: str) -> dict:
    statement = SQL("EXPLAIN ({}) ").format(SQL(", ".join(["FORMAT json", *options]))) + query.sql
    [(plan,)] = conn.execute(statement, query.params).fetchall()
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


# -- statistics


def test_a_collection_that_is_not_there_is_named(store: PGVector) -> None:
    with pytest.raises(NotFound, match="'docs'"):
        maintain(store)


def test_an_unknown_policy_is_named(store: PGVector) -> None:
    with pytest.raises(InvalidInput, match="'btree'"):
        maintain(store, index="btree")


def test_the_statistics_are_folded_into_one_row(store: PGVector) -> None:
    for number in range(5):
        fill(store, 3, start=3 * number)
    maintain(store)
    assert store.store.rows(Query(SQL("SELECT count(*) AS n FROM howdah.corpus_stats"), {})) == [{"n": 1}]
    check_whole(store.store, "docs")


@pytest.mark.parametrize("count", [3, 500, ROWS])
def test_c0_is_the_mean_cosine_of_pairs(store: PGVector, count: int) -> None:
    fill(store, count)
    report = maintain(store)
    units = vectors_of(count)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    total = units.sum(axis=0)
    expected = float((total @ total - count) / (count * (count - 1)))
    assert report.c0 == pytest.approx(expected, abs=0.001 if count < 2 * upkeep.SAMPLE else 0.03)
    assert store.store.get("docs").c0 == report.c0, "known to this process at once"


def test_c0_stays_while_the_collection_stays_alike(filled: PGVector) -> None:
    first = maintain(filled).c0
    fill(filled, 30, start=ROWS)
    assert maintain(filled).c0 == first


def test_one_row_has_no_pairs_and_no_c0(store: PGVector) -> None:
    fill(store, 1)
    assert maintain(store).c0 is None


def test_c0_belongs_to_cosine_alone(url: str) -> None:
    fake = DeterministicFakeEmbedding(size=SIZE)
    with PGVector(fake, connection=url, collection_name="docs", distance_strategy="l2") as store:
        fill(store, 20)
        assert maintain(store, index="hnsw").c0 is None
        assert indexes(store) == [("chunks_1_embedding_hnsw", True)]
        store.database.close()


def test_the_time_of_measuring_c0_does_not_grow_with_the_collection(filled: PGVector) -> None:
    collection = filled.store.get("docs")
    with filled.database.connection() as conn:
        plan = explain(conn, upkeep.mean_cosine(collection), "ANALYZE")
    scanned = [node for node in nodes(plan) if node.get("Relation Name") == "chunks_1"]
    assert all("Index" in node["Node Type"] for node in scanned)
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scanned) <= upkeep.SAMPLE + 2


def test_after_maintain_postings_are_read_from_their_index_alone(filled: PGVector) -> None:
    maintain(filled)
    query = lexical.lexical(filled.store.get("docs"), parse("howdah 3"), k=10)
    with filled.database.connection() as conn:
        plan = explain(conn, query, "ANALYZE")
    scans = [node for node in nodes(plan) if node.get("Relation Name", "").startswith("postings")]
    assert scans
    assert {node["Node Type"] for node in scans} == {"Index Only Scan"}
    assert sum(node["Heap Fetches"] for node in scans) == 0


# -- the policy


def test_auto_scans_a_small_collection_and_indexes_a_large_one(filled: PGVector) -> None:
    report = maintain(filled, threshold=ROWS + 1)
    assert (report.index, report.rows, indexes(filled)) == ("none", ROWS, [])
    report = maintain(filled, threshold=ROWS)
    assert report.index == "built"
    assert report.build_seconds > 0
    assert report.index_bytes > 0
    assert indexes(filled) == [("chunks_1_embedding_hnsw", True)]
    assert maintain(filled, threshold=ROWS).index == "kept"


def test_auto_keeps_the_index_of_a_collection_that_shrank(filled: PGVector) -> None:
    maintain(filled, threshold=ROWS)
    filled.delete([f"{number}" for number in range(ROWS - 10)])
    report = maintain(filled, threshold=ROWS)
    assert (report.index, report.rows) == ("kept", 10)


def test_the_policy_is_remembered(filled: PGVector) -> None:
    assert maintain(filled, index="hnsw").index == "built"
    assert maintain(filled, index="none").index == "dropped"
    assert indexes(filled) == []
    report = maintain(filled, threshold=1)
    assert (report.policy, report.index) == ("none", "none")
    assert maintain(filled, index="auto", threshold=1).index == "built"


def test_a_graph_that_does_not_fit_in_memory_is_a_warning(filled: PGVector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Index, "build_memory", lambda *_: 1 << 45)
    report = maintain(filled, index="hnsw")
    assert report.index == "built"
    assert "maintenance_work_mem" in report.warnings[0]


def test_the_index_is_that_of_the_metric_with_our_settings(filled: PGVector) -> None:
    maintain(filled, index="hnsw")
    [row] = filled.store.rows(Query(SQL("SELECT pg_get_indexdef('howdah.chunks_1_embedding_hnsw'::regclass) AS d"), {}))
    assert "USING hnsw (embedding halfvec_cosine_ops) WITH (m='16', ef_construction='128')" in row["d"]


# -- the index in use


def test_a_search_uses_the_index_also_on_a_connection_with_an_old_plan(filled: PGVector) -> None:
    """The statement was planned without an index; building it throws that plan away."""
    fill(filled, 5_000, start=ROWS)
    collection, embedding = filled.store.get("docs"), vectors_of(1, seed=99)[0]
    query = dense.nearest(collection, embedding, k=10)
    with filled.database.connection() as aged:
        for _ in range(7):
            aged.execute(*query, prepare=True)
        [statement] = [
            row[0] for row in aged.execute("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%nearest%'")
        ]
        assert not uses_index(aged, statement)
        maintain(filled, index="hnsw")
        assert uses_index(aged, statement)


def uses_index(conn: psycopg.Connection, statement: str) -> bool:
    """What the server's own cached plan is, on this connection."""
    [oids] = conn.execute(
        "SELECT parameter_types::text FROM pg_prepared_statements WHERE name = %s", [statement]
    ).fetchone()
    vector = "[" + ",".join(["1"] * SIZE) + "]"
    values = [f"'{vector}'" if "vec" in kind else "''" for kind in oids.strip("{}").split(",")]
    found = conn.execute(f'EXPLAIN EXECUTE "{statement}" ({", ".join(values)})').fetchall()
    return any("embedding_hnsw" in row[0] for row in found)


def test_results_with_the_index_are_nearly_those_without(filled: PGVector) -> None:
    maintain(filled, index="hnsw")
    shared = 0
    for embedding in vectors_of(20, seed=5):
        exact = {doc.id for doc in filled.similarity_search_by_vector(embedding, 10, exact=True)}
        shared += len(exact & {doc.id for doc in filled.similarity_search_by_vector(embedding, 10)})
    assert shared >= 195


def test_searches_and_writes_go_on_while_the_index_is_built(filled: PGVector, url: str) -> None:
    failures, done = [], threading.Event()

    def use() -> None:
        with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as other:
            number = 0
            while not done.is_set():
                number += 1
                other.add_embeddings([f"late {number}"], vectors_of(1, seed=number), ids=[f"late{number}"])
                if not other.similarity_search_by_vector(vectors_of(1, seed=number)[0], k=1):
                    failures.append(number)

    thread = threading.Thread(target=use)
    thread.start()
    maintain(filled, index="hnsw")
    done.set()
    thread.join()
    assert failures == []
    check_whole(filled.store, "docs")


# -- a builder that dies


@contextmanager
def open_writer(store: PGVector, url: str) -> Iterator[None]:
    """A transaction that writes and does not end: an index build has to wait for it."""
    with psycopg.connect(url, autocommit=True) as conn, conn.transaction():
        conn.execute(SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(store.store.get("docs").chunks))
        conn.execute("SELECT pg_current_xact_id()")
        yield


def break_index(store: PGVector, url: str) -> None:
    """Leave an index that is not valid, as a builder does whose connection ends."""
    with open_writer(store, url), psycopg.connect(url, autocommit=True) as builder:
        builder.execute("SET statement_timeout = 500")
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(create_index(store))


def test_an_index_that_is_not_valid_is_found_and_rebuilt(filled: PGVector, url: str) -> None:
    break_index(filled, url)
    assert indexes(filled) == [("chunks_1_embedding_hnsw", False)]
    found = filled.similarity_search_by_vector(vectors_of(1)[0], k=5)
    assert len(found) == 5, "searches do without it"
    report = maintain(filled, threshold=ROWS)
    assert (report.dead, report.index) == (1, "rebuilt")
    assert indexes(filled) == [("chunks_1_embedding_hnsw", True)]


def test_an_index_that_is_not_valid_goes_where_none_is_wanted(filled: PGVector, url: str) -> None:
    break_index(filled, url)
    report = maintain(filled, threshold=ROWS + 1)
    assert (report.dead, report.index, indexes(filled)) == (1, "none", [])


def test_an_index_that_another_connection_builds_is_left_to_it(filled: PGVector, url: str) -> None:
    """A builder whose client was killed goes on: its server process does not know."""
    collection = filled.store.get("docs")
    with psycopg.connect(url, autocommit=True) as builder:
        with open_writer(filled, url):
            thread = threading.Thread(target=builder.execute, args=[create_index(filled)])
            thread.start()
            until(lambda: filled.store.rows(upkeep.building(collection)))
            report = maintain(filled, index="hnsw")
            assert report.index == "building"
            assert str(builder.info.backend_pid) in report.warnings[0]
        thread.join()
    assert maintain(filled).index == "kept"


def until(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- the lease


def test_a_second_maintainer_returns_at_once_and_says_who_is_at_work(filled: PGVector) -> None:
    lease = Lease(filled.store, filled.store.get("docs"), 60)
    assert lease.take() is None
    with lease.kept():
        report = maintain(filled, index="hnsw")
        assert report.held_by is not None
        assert lease.holder in report.held_by
        assert indexes(filled) == []
    assert maintain(filled).held_by is None


def test_a_dead_maintainer_lets_go_when_its_lease_ends(filled: PGVector) -> None:
    dead = Lease(filled.store, filled.store.get("docs"), 0.8)
    assert dead.take() is None
    assert maintain(filled).held_by is not None
    time.sleep(1)
    assert maintain(filled).held_by is None


def test_a_maintainer_that_works_longer_than_its_lease_renews_it(filled: PGVector) -> None:
    collection = filled.store.get("docs")
    lease = Lease(filled.store, collection, 0.6)
    lease.take()
    with lease.kept():
        time.sleep(1.5)
        lease.check()
        assert Lease(filled.store, collection, 0.6).take() is not None
    assert filled.store.rows(upkeep.lease(collection, lease.name)) == []


def test_a_maintainer_that_lost_its_lease_stops(filled: PGVector) -> None:
    """It was stopped or cut off for longer than the lease, and another has begun."""

    def usurp(step: str) -> None:
        if step == "vacuuming":
            filled.store.execute(Query(SQL("UPDATE howdah.leases SET holder = 'another'"), {}))
            time.sleep(0.4)

    report = maintain(filled, index="hnsw", lease_seconds=0.8, progress=usurp)
    assert indexes(filled) == []
    assert "another process has taken over" in report.warnings[-1]
    assert [row["holder"] for row in filled.store.rows(Query(SQL("SELECT holder FROM howdah.leases"), {}))] == [
        "another"
    ]


def test_maintainers_at_once_build_one_index(filled: PGVector, url: str) -> None:
    reports = []

    def work() -> None:
        with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as other:
            reports.append(maintain(other, threshold=ROWS))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.index for report in reports].count("built") == 1
    assert indexes(filled) == [("chunks_1_embedding_hnsw", True)]


def test_progress_is_told_in_words(filled: PGVector) -> None:
    said: list[str] = []
    maintain(filled, index="hnsw", progress=said.append)
    assert said[:3] == ["folding the statistics", "vacuuming", "building the index"]


# -- async


async def test_maintain_async_does_the_same(url: str) -> None:
    async with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as store:
        fill(store, 100)
        assert (await maintain_async(store, index="hnsw")).index == "built"
        await store.database.aclose()


async def test_a_cancelled_maintain_stops_and_lets_go(url: str) -> None:
    async with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as store:
        fill(store, 100)
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        def progress(step: str) -> None:
            if step == "building the index":
                loop.call_soon_threadsafe(begun.set)

        with open_writer(store, url):
            task = asyncio.create_task(maintain_async(store, index="hnsw", progress=progress))
            await begun.wait()
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 20)
        assert store.store.rows(Query(SQL("SELECT holder FROM howdah.leases"), {})) == []
        assert (await maintain_async(store)).index in {"built", "rebuilt"}
        assert rows(store.store, "SELECT count(*) AS n FROM {chunks}", store.store.get("docs")) == [{"n": 100}]
        await store.database.aclose()
