"""Every kind of index: what it finds beside NumPy's brute force, that the server uses it, and how one becomes another."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from howdah import PGVector
from howdah.retrieval import building, dense, lookups, queries, upkeep
from howdah.retrieval.choosing import Wish, choose
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.kinds import Form, Index, Method
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.query import Query
from tests.integration.checks import check_whole

K, QUERIES = 10, 20
SCORES = {
    "cosine": lambda rows, query: rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query)),
    "l2": lambda rows, query: -np.linalg.norm(rows - query, axis=1),
    "inner_product": lambda rows, query: rows @ query,
}


def clustered(count: int, size: int, *, seed: int = 1, clusters: int = 40) -> np.ndarray:
    """Vectors around some centres, of about unit length, as a model gives."""
    centres = np.random.default_rng(size).standard_normal((clusters, size))
    rng = np.random.default_rng([size, seed])
    rows = centres[rng.integers(clusters, size=count)] + 0.7 * rng.standard_normal((count, size))
    return (rows / np.sqrt(1.5 * size)).astype(np.float32)


def forced(url: str) -> str:
    """A small table would be scanned: this is how a large one is searched."""
    return make_conninfo(url, options="-c enable_seqscan=off -c enable_sort=off")


@contextmanager
def opened(url: str, size: int, *, name: str = "docs", **kwargs: object) -> Iterator[PGVector]:
    with PGVector(
        DeterministicFakeEmbedding(size=size), connection=forced(url), collection_name=name, **kwargs
    ) as store:
        yield store
        store.database.close()


def fill(store: PGVector, rows: np.ndarray, start: int = 0) -> None:
    ids = [f"{start + n}" for n in range(len(rows))]
    store.add_embeddings([f"elephant {id_}" for id_ in ids], rows, ids=ids)


def recall(store: PGVector, rows: np.ndarray, metric: str, **options: object) -> float:
    """The share of the true K nearest that a search finds, by arithmetic on what is stored."""
    size = rows.shape[1]
    half = store.store.get(store.collection_name).spec.storage.type_name == "halfvec"
    stored = rows.astype(np.float16 if half else np.float32).astype(np.float64)
    shared = 0
    for query in clustered(QUERIES, size, seed=99):
        best = np.argsort(-SCORES[metric](stored, query.astype(np.float64)), kind="stable")[:K]
        found = store.similarity_search_by_vector(query, K, **options)
        assert len(found) == K or "iterative_scan" in options
        shared += len({f"{n}" for n in best} & {doc.id for doc in found})
    return shared / (K * QUERIES)


def indexes(store: PGVector) -> list[tuple[str, bool]]:
    return [
        (row["name"], row["valid"]) for row in store.store.rows(upkeep.indexes(store.store.get(store.collection_name)))
    ]


def index_in_plan(store: PGVector, query: np.ndarray, **options: object) -> str | None:
    """The vector index that the server reads for a search, with the settings that go with it."""
    collection, how = store.store.get(store.collection_name), SearchOptions(**options)
    statement = dense.nearest(collection, query, k=K, exact=how.exact, oversample=how.oversample)
    with store.database.connection() as conn, conn.transaction():
        if settings := how.settings(K, collection):
            conn.execute(*queries.set_local(settings))
        plan = conn.execute(SQL("EXPLAIN ") + statement.sql, statement.params).fetchall()
    found = re.findall(r"using (\w+_embedding_\w+)", "\n".join(row[0] for row in plan))
    return found[0] if found else None


# -- recall, and the index in the plan


COSINE, ALL = ["cosine"], ["cosine", "l2", "inner_product"]


@pytest.mark.parametrize(
    ("kind", "storage", "size", "count", "metric"),
    [
        (*case, metric)
        for case, metrics in [
            (("hnsw", "halfvec", 48, 1_500), ALL),
            (("hnsw", "vector", 48, 1_500), COSINE),
            (("ivfflat", "halfvec", 48, 1_500), ALL),
            (("ivfflat", "vector", 48, 1_500), COSINE),
            (("hnsw", "vector", 2_100, 300), ALL),
            (("bits", "halfvec", 1_200, 600), ["cosine", "inner_product"]),
        ]
        for metric in metrics
    ],
)
def test_recall_of_each_kind(url: str, kind: str, storage: str, size: int, count: int, metric: str) -> None:
    rows = clustered(count, size)
    with opened(url, size, distance_strategy=metric, storage=storage, lexical=False) as store:
        fill(store, rows)
        report = maintain(store, index=kind)
        assert (report.index, report.kind, report.warnings) == ("built", kind, [])
        assert report.recall >= 0.95
        assert index_in_plan(store, rows[0]) == f"chunks_1_embedding_{kind}"
        assert index_in_plan(store, rows[0], exact=True) is None
        assert recall(store, rows, metric) >= 0.95
        assert recall(store, rows, metric, exact=True) == 1.0


def test_few_candidates_of_bits_find_less(url: str) -> None:
    rows = clustered(800, 128, clusters=4)
    with opened(url, 128, lexical=False) as store:
        fill(store, rows)
        maintain(store, index="bits")
        few, many = (recall(store, rows, "cosine", oversample=n) for n in (1, 40))
        assert few < 0.8
        assert many >= 0.95


def test_bits_that_tell_nothing_apart_are_a_warning(url: str) -> None:
    """All numbers of all vectors are above 0."""
    rows = clustered(600, 300) + 0.3
    with opened(url, 300, lexical=False) as store:
        fill(store, rows)
        report = maintain(store, index="bits")
        assert report.recall < 0.5
        assert re.fullmatch(r"with this index a search finds \d+% of the ten nearest; .* around 0", report.warnings[-1])
        assert maintain(store, index="hnsw").recall >= 0.9


def test_one_probe_finds_less_than_the_usual_ones(url: str) -> None:
    rows = clustered(2_000, 48, clusters=200)
    with opened(url, 48, lexical=False) as store:
        fill(store, rows)
        maintain(store, index="ivfflat", lists=100)
        one = recall(store, rows, "cosine", probes=1, iterative_scan="off")
        usual = recall(store, rows, "cosine")
        assert one < usual - 0.1
        assert recall(store, rows, "cosine", probes=100) == 1.0


def test_a_filter_with_each_kind(url: str) -> None:
    rows = clustered(1_200, 64)
    with opened(url, 64, lexical=False) as store:
        ids = [f"{n}" for n in range(len(rows))]
        store.add_embeddings(ids, rows, [{"third": n % 3} for n in range(len(rows))], ids)
        for kind in ("bits", "ivfflat", "hnsw"):
            maintain(store, index=kind)
            for filter_ in ({"third": 1}, {"third": {"$gte": 1}}):
                query = clustered(1, 64, seed=7)[0]
                want = store.similarity_search_by_vector(query, K, filter=filter_, exact=True)
                found = store.similarity_search_by_vector(query, K, filter=filter_)
                assert len(found) == K
                assert all(doc.metadata["third"] for doc in found)
                assert len({doc.id for doc in found} & {doc.id for doc in want}) >= 8, kind


def test_bits_of_l2_are_hnsw(url: str) -> None:
    with opened(url, 32, distance_strategy="l2", lexical=False) as store:
        fill(store, clustered(50, 32))
        report = maintain(store, index="bits")
        assert (report.kind, report.index) == ("hnsw", "built")
        assert "L2" in report.warnings[0]


async def test_the_async_half_searches_alike(url: str) -> None:
    rows = clustered(600, 1_100)
    with opened(url, 1_100, lexical=False) as store:
        fill(store, rows)
        maintain(store, index="bits")
        for query in clustered(3, 1_100, seed=5):
            want = store.similarity_search_with_score_by_vector(query, K)
            assert await store.asimilarity_search_with_score_by_vector(query, K) == want
        await store.database.aclose()


def test_hybrid_mmr_and_more_like_this_with_bits(url: str) -> None:
    rows = clustered(300, 1_100)
    with opened(url, 1_100) as store:
        fill(store, rows)
        before = [hit.id for hit in store.hits("elephant 7", k=K)]
        mmr = [doc.id for doc in store.max_marginal_relevance_search("elephant 7", k=5)]
        like = [hit.id for hit in store.similar_to(["7"], k=K)]
        maintain(store, index="bits")
        assert before[0] == "7"
        found = [hit.id for hit in store.hits("elephant 7", k=K)]
        assert found[0] == "7"
        assert len(set(found) & set(before)) >= 8
        assert len(set(like) & {hit.id for hit in store.similar_to(["7"], k=K)}) >= 9
        assert len(set(mmr) & {doc.id for doc in store.max_marginal_relevance_search("elephant 7", k=5)}) >= 3


# -- up to 16,000 dimensions, from the texts on


class Wide(Embeddings):
    """As a model of many dimensions: a text's vector is its cluster's, moved a little."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.centres = np.random.default_rng(size).standard_normal((10, size))

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        number = int(text.rsplit(maxsplit=1)[-1])
        own = np.random.default_rng(number).standard_normal(self.size)
        vector = self.centres[number % 10] + 0.7 * own
        return (vector / np.linalg.norm(vector)).tolist()


@pytest.mark.parametrize(
    ("size", "storage", "kind", "why"),
    [
        (3_072, None, "hnsw", "3,072 dimensions of halfvec: HNSW directly"),
        (3_072, "vector", "hnsw", "so as halfvec with exact re-ranking of 2·k candidates"),
        (4_096, None, "bits", "4,096 dimensions: above what HNSW indexes (4,000), so bits"),
        (8_000, None, "bits", "8,000 dimensions: above what HNSW indexes (4,000), so bits"),
        (16_000, "vector", "bits", "16,000 dimensions: above what HNSW indexes (4,000), so bits"),
    ],
)
def test_many_dimensions_just_work(url: str, size: int, storage: str | None, kind: str, why: str) -> None:
    texts = [f"text {n}" for n in range(80)]
    model = Wide(size)
    with PGVector(model, connection=forced(url), collection_name="docs", storage=storage, lexical=False) as store:
        store.add_texts(texts, ids=texts)
        report = maintain(store, threshold=80)
        assert (report.kind, report.index, report.warnings) == (kind, "built", [])
        assert why in report.why
        assert index_in_plan(store, np.array(model.embed_query("text 1"))) == f"chunks_1_embedding_{kind}"
        rows, shared = np.array(model.embed_documents(texts)), 0
        for number in (3, 42, 79, 1_000):
            query = np.array(model.embed_query(f"text {number}"))
            found = [doc.id for doc in store.similarity_search(f"text {number}", k=5)]
            shared += len({texts[n] for n in np.argsort(-(rows @ query))[:5]} & set(found))
            assert number == 1_000 or found[0] == f"text {number}"
        assert shared >= 19
        store.database.close()


def test_beyond_bits_of_l2_every_search_is_exact(url: str) -> None:
    with opened(url, 4_200, distance_strategy="l2", lexical=False) as store:
        fill(store, clustered(20, 4_200))
        report = maintain(store, threshold=10)
        assert (report.index, report.kind) == ("none", None)
        assert "bits keep directions and no lengths" in report.warnings[0]
        assert store.similarity_search_by_vector(clustered(20, 4_200)[3], 1)[0].id == "3"


def test_small_and_large_numbers_are_found_through_halves(url: str) -> None:
    """In half precision 1e-9 is 0 and 1e9 infinite: an index of the bare numbers would lack the rows, or refuse them."""
    rows = clustered(200, 2_100).astype(np.float64)
    rows[0] *= 1e-9
    rows[1] *= 1e9
    with opened(url, 2_100, storage="vector", lexical=False) as store:
        fill(store, rows.astype(np.float32))
        assert maintain(store, index="hnsw").index == "built"
        for number in (0, 1):
            assert store.similarity_search_by_vector(rows[number], 1)[0].id == f"{number}"
        fill(store, (clustered(1, 2_100, seed=3) * 1e9), start=900)
        assert store.similarity_search_by_vector(clustered(1, 2_100, seed=3)[0], 1)[0].id == "900"


def test_numbers_too_large_for_halves_are_named(url: str) -> None:
    rows = clustered(30, 2_100)
    with opened(url, 2_100, storage="vector", distance_strategy="l2", lexical=False) as store:
        fill(store, rows)
        maintain(store, index="hnsw")
        with pytest.raises(InvalidInput, match="65,504"):
            fill(store, 1e9 * rows, start=100)
        maintain(store, index="none")
        fill(store, 1e9 * rows, start=100)
        report = maintain(store, index="hnsw")
        assert (report.index, indexes(store)) == ("none", [])
        assert "half precision" in report.warnings[0]


# -- one kind becomes another


def test_a_kind_is_switched_under_searches(url: str) -> None:
    rows = clustered(1_000, 300)
    with opened(url, 300, lexical=False) as store, opened(url, 300, lexical=False) as other:
        fill(store, rows)
        query, shares, done = clustered(1, 300, seed=3)[0], [], threading.Event()
        want = {doc.id for doc in store.similarity_search_by_vector(query, K, exact=True)}

        def search(through: PGVector) -> None:
            while not done.is_set():
                found = {doc.id for doc in through.similarity_search_by_vector(query, K, oversample=40)}
                shares.append(len(found & want) if len(found) == K else -1)

        threads = [threading.Thread(target=search, args=[through]) for through in (store, other)]
        for thread in threads:
            thread.start()
        try:
            for kind in ("bits", "ivfflat", "hnsw", "bits", "none"):
                steps: list[str] = []
                maintain(store, index=kind, progress=steps.append)
                names = [name for name, _ in indexes(store)]
                assert names == ([] if kind == "none" else [f"chunks_1_embedding_{kind}"])
                built = [step for step in steps if step.startswith(("building the index", "dropping"))]
                if kind in ("ivfflat", "hnsw"):
                    assert built[0] == "building the index"
                    assert built[-1].startswith("dropping the index chunks_1_embedding_")
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert min(shares) >= K - 1
        check_whole(store.store, "docs")


def test_another_process_learns_of_the_kind_within_a_minute(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = clustered(200, 1_100)
    with opened(url, 1_100, lexical=False) as store, opened(url, 1_100, lexical=False) as other:
        fill(store, rows)
        assert other.similarity_search_by_vector(rows[3], 1)[0].id == "3"
        maintain(store, index="bits")
        assert other.store.get("docs").index is None
        assert other.similarity_search_by_vector(rows[3], 1)[0].id == "3"
        now = time.monotonic()
        monkeypatch.setattr(lookups.time, "monotonic", lambda: now + lookups.SECONDS + 1)
        found = other.store.get("docs").index
        assert found is not None
        assert (found.kind, found.options) == ("bits", {"m": 16, "ef_construction": 128})


def test_options_are_remembered_and_others_are_built_anew(url: str) -> None:
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(300, 16))
        assert maintain(store, index="hnsw").index == "built"
        assert maintain(store, m=8).index == "rebuilt"
        assert maintain(store).index == "kept"
        found = store.store.get("docs").index
        assert found is not None
        assert found.options == {"m": 8, "ef_construction": 128}
        assert maintain(store, index="auto", threshold=1).index == "kept", "what was not asked for again may stay"
        assert maintain(store, ef_construction=40, threshold=1).index == "rebuilt"
        assert len(indexes(store)) == 1


def test_an_index_of_the_same_kind_made_by_hand_is_kept(url: str) -> None:
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(300, 16))
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("CREATE INDEX mine ON howdah.chunks_1 USING hnsw (embedding halfvec_cosine_ops) WITH (m = 24)")
        assert maintain(store, index="hnsw").index == "kept"
        assert indexes(store) == [("mine", True)]


# -- IVFFlat and its rows


def test_ivfflat_over_too_few_rows_is_refused_and_nothing_is_changed(url: str) -> None:
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(300, 16))
        maintain(store, index="hnsw")
        with pytest.raises(InvalidInput, match="there are 300: it needs 1,000"):
            maintain(store, index="ivfflat")
        fill(store, clustered(1_000, 16, seed=2), start=300)
        with pytest.raises(InvalidInput, match="lists is 500 for 1,300 rows"):
            maintain(store, index="ivfflat", lists=500)
        report = maintain(store)
        assert (report.policy, report.index) == ("hnsw", "kept")


def test_outgrown_lists_are_built_anew(url: str) -> None:
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(1_000, 16))
        maintain(store, index="ivfflat", lists=20)
        fill(store, clustered(900, 16, seed=2), start=1_000)
        assert maintain(store).index == "kept"
        fill(store, clustered(100, 16, seed=3), start=1_900)
        report = maintain(store)
        assert report.index == "rebuilt"
        assert "found among 1,000 rows" in report.why
        assert maintain(store).index == "kept"
        assert len(indexes(store)) == 1


def test_an_emptied_collection_keeps_its_lists_and_a_lost_index_waits_for_rows(url: str) -> None:
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(1_000, 16))
        maintain(store, index="ivfflat")
        store.delete([f"{n}" for n in range(990)])
        report = maintain(store)
        assert (report.index, report.kind) == ("kept", "ivfflat")
        store.store.execute(Query(SQL("DROP INDEX howdah.chunks_1_embedding_ivfflat"), {}))
        report = maintain(store)
        assert (report.index, report.kind) == ("none", None)
        assert "needs 1,000" in report.warnings[0]


@pytest.mark.parametrize(("size", "lists", "memory"), [(16, 200, "1MB"), (48, 400, "4MB")])
def test_the_memory_of_k_means_is_what_the_server_asks_for(url: str, size: int, lists: int, memory: str) -> None:
    """pgvector names the megabytes that it needs when it has fewer."""
    with opened(url, size, lexical=False) as store:
        fill(store, clustered(4_000, size))
        collection = store.store.get("docs")
        index = Index(method=Method.IVFFLAT, form=Form.HALFVEC, options={"lists": lists})
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(SQL("SET maintenance_work_mem = {}").format(memory))
            with pytest.raises(psycopg.Error) as raised:
                conn.execute(upkeep.create_index(collection, index, "x"))
        needed = int(re.findall(r"memory required is (\d+) MB", str(raised.value))[0])
        assert needed <= index.build_memory(size, 4_000) / 2**20 <= 1.25 * needed + 1


def test_k_means_without_enough_memory_is_a_sentence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(1_000, 16))
        monkeypatch.setattr(Index, "build_memory", lambda *_: 1 << 45)
        report = maintain(store, index="ivfflat")
        assert report.index == "none"
        assert "raise maintenance_work_mem" in report.warnings[0]


# -- builders that die, and REINDEX


@contextmanager
def open_writer(url: str) -> Iterator[None]:
    """A transaction that writes and does not end: an index build has to wait for it."""
    with psycopg.connect(url, autocommit=True) as conn, conn.transaction():
        conn.execute("LOCK TABLE howdah.chunks_1 IN ROW EXCLUSIVE MODE")
        conn.execute("SELECT pg_current_xact_id()")
        yield


def interrupt(url: str, statement: object) -> None:
    with open_writer(url), psycopg.connect(url, autocommit=True) as builder:
        builder.execute("SET statement_timeout = 300")
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(statement)


@pytest.mark.parametrize("kind", ["ivfflat", "bits"])
def test_what_a_dead_builder_left_is_dropped_and_built(url: str, kind: str) -> None:
    with opened(url, 64, lexical=False) as store:
        fill(store, clustered(1_000, 64))
        collection = store.store.get("docs")
        index = choose(Wish(policy=kind), collection.spec, rows=1_000, threshold=1).index
        assert index is not None
        interrupt(url, upkeep.create_index(collection, index, f"chunks_1_embedding_{kind}"))
        assert indexes(store) == [(f"chunks_1_embedding_{kind}", False)]
        store.store.forget("docs")
        assert store.store.get("docs").index is None, "searches do without it"
        report = maintain(store, index=kind)
        assert (report.dead, report.index, indexes(store)) == (1, "rebuilt", [(f"chunks_1_embedding_{kind}", True)])


@pytest.mark.parametrize("kind", ["hnsw", "ivfflat", "bits"])
def test_reindex_builds_anew_under_the_same_name(url: str, kind: str) -> None:
    rows = clustered(1_000, 64)
    with opened(url, 64, lexical=False) as store:
        fill(store, rows)
        maintain(store, index=kind)
        name = f"chunks_1_embedding_{kind}"
        before = oid(store, name)
        steps: list[str] = []
        report = maintain(store, reindex=True, progress=steps.append)
        assert (report.index, report.kind) == ("reindexed", kind)
        assert f"rebuilding the index {name}" in steps
        assert indexes(store) == [(name, True)]
        assert oid(store, name) != before
        assert recall(store, rows, "cosine", oversample=40) >= 0.95


def oid(store: PGVector, name: str) -> int:
    query = Query(SQL("SELECT {}::regclass::oid AS oid").format(f"howdah.{name}"), {})
    return int(store.store.rows(query)[0]["oid"])


def test_what_a_killed_reindex_left_is_dropped(url: str) -> None:
    with opened(url, 64, lexical=False) as store:
        fill(store, clustered(500, 64))
        maintain(store, index="hnsw")
        name = "chunks_1_embedding_hnsw"
        interrupt(url, upkeep.rebuild_index("howdah", name))
        assert sorted(indexes(store)) == [(name, True), (f"{name}_ccnew", False)]
        report = maintain(store)
        assert (report.dead, report.index, indexes(store)) == (1, "kept", [(name, True)])


def test_a_leftover_of_a_switch_is_dropped(url: str) -> None:
    """Killed after the new index was built and before the old one was dropped."""
    with opened(url, 64, lexical=False) as store:
        fill(store, clustered(1_000, 64))
        maintain(store, index="hnsw")
        collection = store.store.get("docs")
        bits = choose(Wish(policy="bits"), collection.spec, rows=1_000, threshold=1).index
        assert bits is not None
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(upkeep.create_index(collection, bits, "chunks_1_embedding_bits"))
        report = maintain(store, index="bits")
        assert (report.index, indexes(store)) == ("kept", [("chunks_1_embedding_bits", True)])


# -- memory, workers, progress


def test_long_vectors_are_built_by_all_workers(url: str) -> None:
    """They lie beside the table's pages, which are all that PostgreSQL counts."""
    with opened(url, 4_100, lexical=False) as store:
        fill(store, clustered(200, 4_100))
        seen: list[str] = []
        with psycopg.connect(url, autocommit=True) as conn:
            conn.add_notice_handler(lambda notice: seen.append(str(notice.message_primary)))
            conn.execute("SET client_min_messages = debug1")
            conn.execute("SET min_parallel_table_scan_size = 0; SET maintenance_work_mem = '128MB'")
            collection = store.store.get("docs")
            bits = replace(choose(Wish(policy="bits"), collection.spec, rows=1, threshold=1)).index
            assert bits is not None
            conn.execute(upkeep.create_index(collection, bits, "x"))
        assert any(re.search(r"using \d+ parallel workers", text) for text in seen)


@pytest.mark.parametrize("kind", ["hnsw", "ivfflat"])
def test_progress_is_told_in_percent(url: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "LOOK_SECONDS", 0.001)
    with opened(url, 200, lexical=False) as store:
        fill(store, clustered(3_000, 200))
        steps: list[str] = []
        maintain(store, index=kind, progress=steps.append)
        percents = [int(found[1]) for step in steps if (found := re.search(r"loading tuples, (\d+) %", step))]
        assert percents == sorted(percents)
        assert all(0 < percent <= 100 for percent in percents)
        assert percents or kind == "ivfflat", "IVFFlat's loading may be over between two looks"


def test_k_means_that_the_server_refuses_is_a_sentence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a pooler, where a build cannot have settings of its own."""
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(2_000, 16))
        monkeypatch.setattr(
            building.Builder, "set", lambda self, _: self.conn.execute("SET maintenance_work_mem = '1MB'")
        )
        report = maintain(store, index="ivfflat", lists=200)
        assert (report.index, indexes(store)) == ("none", [])
        assert re.match(r"memory required is \d+ MB.* raise it on the server", report.warnings[0])


def test_workers_out_of_range_are_named(vectors: PGVector) -> None:
    with pytest.raises(InvalidInput, match="workers is -1"):
        maintain(vectors, workers=-1)


def test_progress_names_whose_end_it_waits_for(url: str) -> None:
    with opened(url, 16, lexical=False) as store:
        fill(store, clustered(50, 16))
        steps: list[str] = []
        with open_writer(url):
            thread = threading.Thread(target=maintain, args=[store], kwargs={"index": "hnsw", "progress": steps.append})
            thread.start()
            deadline = time.monotonic() + 20
            while not any("has not ended its transaction" in step for step in steps) and time.monotonic() < deadline:
                time.sleep(0.05)
        thread.join()
        assert any(re.search(r"waiting for .* \(server process \d+ has not ended", step) for step in steps)
        assert indexes(store) == [(Identifier("chunks_1_embedding_hnsw").as_string(None).strip('"'), True)]
