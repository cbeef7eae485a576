"""Index recall against NumPy, indexes planted to be bad, and the search settings that `howdah tune` chooses and saves."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import make_conninfo

from howdah import PGVector
from howdah.retrieval import dense, tuning, tuning_measure
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.recall import Recall, Truth, index_recall, recall_of
from howdah.retrieval.traces import Trace
from howdah.retrieval.tracing import Traces
from howdah.retrieval.tuned import Tuned
from howdah.retrieval.tuning import Goal, tune
from howdah.scripts.main import _run

SIZE, ROWS, K = 32, 2_500, 10
Howdah = Callable[..., tuple[int, dict]]


def clustered(count: int, seed: int) -> np.ndarray:
    centres = np.random.default_rng(5).standard_normal((50, SIZE))
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(50, size=count)] + 0.6 * rng.standard_normal((count, SIZE))).astype(np.float32)


def forced(url: str) -> str:
    """A small table would be scanned: this is how a large one is searched."""
    return make_conninfo(url, options="-c enable_seqscan=off -c enable_sort=off")


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    with PGVector(
        DeterministicFakeEmbedding(size=SIZE), connection=forced(url), collection_name="docs", lexical=False
    ) as store:
        yield store
        store.database.close()


@pytest.fixture
def howdah(howdah: Howdah, url: str, monkeypatch: pytest.MonkeyPatch) -> Howdah:
    monkeypatch.setenv("HOWDAH_DATABASE_URL", forced(url))
    return howdah


def fill(store: PGVector, rows: np.ndarray, start: int = 0, *, tagged: bool = False) -> None:
    ids = [f"{start + n}" for n in range(len(rows))]
    tags = [{"parity": "even" if n % 2 == 0 else "odd", "tenth": n % 10, "n": n} for n in range(len(rows))]
    metadata = tags if tagged else None
    store.add_embeddings(ids, rows, metadata, ids=ids)


def by_numpy(rows: np.ndarray, queries: np.ndarray, answers: list[list[int]], where: np.ndarray | None = None) -> float:
    """Recall in double precision over what is stored, as near as the K-th counts."""
    stored, asked = (vectors.astype(np.float16).astype(np.float64) for vectors in (rows, queries))
    shares = []
    for query, ids in zip(asked, answers, strict=True):
        its = 1 - stored @ query / (np.linalg.norm(stored, axis=1) * np.linalg.norm(query))
        among = its if where is None else its[where]
        shares.append((its[ids] <= np.sort(among)[K - 1] + 1e-6).sum() / K)
    return float(np.mean(shares))


def answers(store: PGVector, queries: np.ndarray, **how: object) -> list[list[int]]:
    return [[int(str(doc.id)) for doc in store.similarity_search_by_vector(query, K, **how)] for query in queries]


def measured(store: PGVector, queries: np.ndarray, options: SearchOptions) -> Recall:
    """By recall.py: exact statements, and the index's own."""
    inner, collection = store.store, store.store.get("docs")
    found, wanted = [], []
    for query in queries:
        truth = Truth.of(inner.fetch(dense.nearest(collection, query, k=K, exact=True)), K)
        got = inner.fetch(dense.nearest(collection, query, k=K), options.settings(K, collection))
        found.append(truth.found(got))
        wanted.append(truth.wanted)
    its = recall_of(found, wanted)
    assert its is not None
    return its


def slow(store: PGVector) -> None:
    """Save a beam that takes several times as long as any that is needed."""
    collection = store.store.get("docs")
    tuning.save(store.store, collection, Tuned(settings={"ef_search": 1_000}, k=K, index=collection.index))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time with as few queries as may be: what is asserted of times holds by factors."""
    monkeypatch.setattr(tuning_measure, "SECONDS", 0.1)


def silent(_: str) -> None:
    pass


def report_of(store: PGVector, queries: np.ndarray, **goal: object) -> object:
    collection = store.store.get("docs")
    return tune(store.store, collection, queries, Goal(**goal), origin="the test's", say=silent)


# -- recall


def test_a_bad_graph_is_seen_and_numpy_agrees(store: PGVector) -> None:
    rows, queries = clustered(ROWS, 1), clustered(60, 2)
    fill(store, rows)
    maintain(store, index="hnsw")
    good = measured(store, queries, SearchOptions())
    assert good.mean == pytest.approx(by_numpy(rows, queries, answers(store, queries)))
    assert good.mean > 0.98
    report = maintain(store, index="hnsw", m=2, ef_construction=4)
    assert any("a search finds" in warning for warning in report.warnings)
    bad = measured(store, queries, SearchOptions(ef_search=10))
    assert bad.mean == pytest.approx(by_numpy(rows, queries, answers(store, queries, ef_search=10)))
    assert bad.high < 0.8 < good.low


def test_stale_lists_and_one_probe_are_seen_and_more_probes_mend_them(store: PGVector) -> None:
    rng = np.random.default_rng(3)
    before, after = clustered(1_300, 1), rng.standard_normal((1_200, SIZE)).astype(np.float32)
    queries = rng.standard_normal((60, SIZE)).astype(np.float32)
    fill(store, before)
    maintain(store, index="ivfflat", lists=40)
    fill(store, after, start=len(before))  # of another shape than what the lists were found among
    rows = np.concatenate([before, after])
    one = measured(store, queries, SearchOptions(probes=1))
    assert one.mean == pytest.approx(by_numpy(rows, queries, answers(store, queries, probes=1)))
    assert one.high < 0.9
    report = report_of(store, queries, target=0.95)
    assert report.outcome == "proposed"
    assert report.points[0].options == SearchOptions(probes=1)
    assert report.points[0].recall.mean == pytest.approx(one.mean)
    probes = report.after.options.probes
    assert probes > 1
    assert by_numpy(rows, queries, answers(store, queries, probes=probes)) >= 0.95


def test_exact_search_reads_no_index_on_a_connection_that_has_used_it(store: PGVector) -> None:
    rows, queries = clustered(ROWS, 1), clustered(20, 2)
    fill(store, rows)
    maintain(store, index="hnsw", m=2, ef_construction=4)
    answers(store, queries, ef_search=10)
    assert by_numpy(rows, queries, answers(store, queries, exact=True)) == 1
    collection = store.store.get("docs")
    with store.database.connection() as conn:
        for exact, expected in ((False, True), (True, False)):
            query = dense.nearest(collection, queries[0], k=K, exact=exact)
            plan = conn.execute("EXPLAIN " + query.sql.as_string(conn), query.params).fetchall()
            assert any("_embedding_hnsw" in row[0] for row in plan) is expected


def test_the_collections_own_rows_tell_a_bad_index(store: PGVector) -> None:
    fill(store, clustered(ROWS, 1))
    maintain(store, index="hnsw")
    good = index_recall(store.store, store.store.get("docs"), rows=ROWS)
    maintain(store, index="hnsw", m=2, ef_construction=4)
    bad = index_recall(store.store, store.store.get("docs"), rows=ROWS)
    assert good is not None
    assert bad is not None
    assert bad < 0.95 < good


def test_equal_rows_at_the_kth_distance_are_all_right(store: PGVector) -> None:
    rows = np.repeat(clustered(100, 1), 30, axis=0)  # each vector thirty times: any ten of them are the nearest
    fill(store, rows)
    maintain(store, index="hnsw")
    queries = clustered(100, 1)
    assert measured(store, queries, SearchOptions()).mean == 1


# -- tuning


def test_the_cheapest_that_meets_the_target_is_saved_and_every_search_goes_by_it(
    store: PGVector, howdah: Howdah, tmp_path: Path
) -> None:
    rows, queries, others = clustered(ROWS, 1), clustered(150, 2), clustered(100, 9)
    fill(store, rows)
    maintain(store, index="hnsw", m=6, ef_construction=24)
    slow(store)
    np.save(tmp_path / "queries.npy", queries)
    given = ["tune", "--target-recall", "0.95", "--queries", tmp_path / "queries.npy", "--sample", "0"]
    code, dry = howdah(*given, "--dry-run")
    assert (code, dry["outcome"], dry["saved"]) == (0, "proposed", False)
    store.store.forget("docs")
    assert store.store.get("docs").tuned.settings == {"ef_search": 1_000}
    code, found = howdah(*given)
    assert (code, found["outcome"], found["saved"]) == (0, "applied", True)
    assert found["before"]["options"] == {"ef_search": 1_000}
    beam = found["chosen"]["ef_search"]
    recalls = {
        point["options"]["ef_search"]: point["recall@10"] for point in found["points"] if len(point["options"]) == 1
    }
    assert all(recalls[other]["low"] < 0.95 for other in recalls if other < beam)
    assert recalls[beam]["low"] >= 0.95
    assert recalls[beam]["mean"] == pytest.approx(by_numpy(rows, queries, answers(store, queries, ef_search=beam)))
    assert found["after"]["latency_ms"]["p50"] > 0
    assert found["after"]["workloads"][0]["name"] == "all rows"

    store.store.forget("docs")
    collection = store.store.get("docs")
    assert SearchOptions().settings(K, collection)["hnsw.ef_search"] == str(beam)
    assert SearchOptions(ef_search=77).settings(K, collection)["hnsw.ef_search"] == "77"
    assert answers(store, others) == answers(store, others, ef_search=beam)
    assert by_numpy(rows, others, answers(store, others)) >= 0.94

    again = howdah(*given)[1]
    assert (again["outcome"], again["saved"]) == ("unchanged", False)
    assert howdah("tune", "--target-recall", "0.95", "--reset")[1] == {
        "collection": "docs", "reset": True, "forgotten": ["target-recall"],
    }  # fmt: skip
    store.store.forget("docs")
    assert store.store.get("docs").tuned is None
    assert howdah("tune", "--reset")[1]["forgotten"] == []


async def test_both_stores_search_as_was_saved(store: PGVector) -> None:
    rows, queries = clustered(ROWS, 1), clustered(150, 2)
    fill(store, rows)
    maintain(store, index="hnsw", m=4, ef_construction=16)
    report = report_of(store, queries, target=0.9)
    tuning.apply(store.store, store.store.get("docs"), replace(report, outcome="proposed"))
    store.astore.forget("docs")
    mine = answers(store, queries[:20])
    theirs = [
        [int(str(doc.id)) for doc in await store.asimilarity_search_by_vector(query, K)] for query in queries[:20]
    ]
    assert mine == theirs == answers(store, queries[:20], ef_search=report.after.options.ef_search)
    await store.aclose()


def test_saved_settings_are_idle_with_another_index(store: PGVector) -> None:
    fill(store, clustered(ROWS, 1))
    maintain(store, index="hnsw", m=6, ef_construction=24)
    collection = store.store.get("docs")
    report = report_of(store, clustered(150, 2), target=0.9)
    assert tuning.apply(store.store, collection, replace(report, outcome="proposed")).outcome == "applied"
    beam = str(report.after.options.ef_search)
    assert SearchOptions().settings(K, store.store.get("docs"))["hnsw.ef_search"] == beam
    maintain(store, index="hnsw", m=8)
    assert "hnsw.ef_search" not in SearchOptions().settings(K, store.store.get("docs"))
    maintain(store, index="hnsw", m=6, ef_construction=24)
    assert SearchOptions().settings(K, store.store.get("docs"))["hnsw.ef_search"] == beam


def test_filters_are_found_or_given_and_each_meets_the_target(store: PGVector, howdah: Howdah, tmp_path: Path) -> None:
    rows, queries = clustered(ROWS, 1), clustered(80, 2)
    fill(store, rows, tagged=True)
    maintain(store, index="hnsw")
    slow(store)
    np.save(tmp_path / "q.npy", queries)
    given = ["tune", "--target-recall", "0.95", "--queries", tmp_path / "q.npy", "--sample", "0", "--dry-run"]
    found = howdah(*given)[1]
    workloads = {one["name"]: one for one in found["after"]["workloads"]}
    assert [name[:10] for name in workloads] == ["all rows", '{"parity":', '{"tenth": ']
    assert [one["share"] for one in workloads.values()] == [1, 0.5, 0.1]
    assert all(one["recall@10"]["low"] >= 0.95 for one in workloads.values())
    walks = {
        (point["options"].get("iterative_scan"), point["settings"]["hnsw.iterative_scan"]) for point in found["points"]
    }
    assert walks == {(None, "relaxed_order"), ("off", "off"), ("strict_order", "strict_order")}
    assert {point["settings"]["hnsw.max_scan_tuples"] for point in found["points"]} >= {"4000", "20000"}
    named = howdah(*given, "--filter", '{"n": {"$lt": 1250}}')[1]
    assert [one["name"] for one in named["after"]["workloads"]] == ["all rows", '{"n": {"$lt": 1250}}']
    where = np.arange(ROWS) < 1250
    beam = named["chosen"]["ef_search"]
    got = answers(store, queries, ef_search=beam, filter={"n": {"$lt": 1250}})
    its = next(one for one in named["points"] if one["options"] == {"ef_search": beam})
    assert its["workloads"][1]["recall@10"]["mean"] == pytest.approx(by_numpy(rows, queries, got, where))
    assert howdah(*given, "--filter", '{"n": -1}')[1]["error"]["kind"] == "InvalidInput"
    assert howdah(*given, "--filter", '{"n": ')[1]["error"]["kind"] == "InvalidFilter"


def test_what_no_setting_reaches_changes_nothing_and_says_what_would(
    store: PGVector, howdah: Howdah, tmp_path: Path
) -> None:
    fill(store, clustered(ROWS, 1))
    maintain(store, index="hnsw", m=2, ef_construction=4)
    np.save(tmp_path / "q.npy", clustered(60, 2))
    code, found = howdah("tune", "--target-recall", "0.999", "--queries", tmp_path / "q.npy", "--sample", "1000")
    assert (code, found["outcome"], found["after"], found["saved"]) == (4, "unmet", None, False)
    said = "\n".join(found["advice"])
    assert "--m 16 --ef-construction 128" in said
    assert "--index none" in said
    kinds = [(build["kind"], build["m"], build["ef_construction"]) for build in found["sample"]["builds"]]
    assert kinds == [("halfvec", 2, 4), ("halfvec", 2, 8), ("halfvec", 16, 128), ("vector", 2, 4), ("bit", 2, 4)]
    sizes = {build["kind"]: build["bytes"] for build in found["sample"]["builds"] if build["m"] == 2}
    assert sizes["bit"] < sizes["halfvec"] < sizes["vector"]
    assert found["sample"]["rows"] == 1_000


def test_bits_are_tuned_by_their_candidates(url: str) -> None:
    size = 256
    rng = np.random.default_rng(1)
    rows, queries = (rng.standard_normal((count, size)).astype(np.float32) for count in (1_000, 80))
    with PGVector(DeterministicFakeEmbedding(size=size), connection=forced(url), lexical=False) as store:
        store.add_embeddings([str(n) for n in range(1_000)], rows, ids=[str(n) for n in range(1_000)])
        maintain(store, index="bits")
        collection = store.store.get(store.collection_name)
        report = tune(store.store, collection, queries, Goal(target=0.9), origin="", say=silent)
        options = report.after.options
        assert options.oversample * K == options.ef_search
        its = [point.recall.mean for point in report.points]
        assert its == sorted(its)
        tuning.apply(store.store, collection, replace(report, outcome="proposed"))
        found = [[int(str(doc.id)) for doc in store.similarity_search_by_vector(query, K)] for query in queries]
        assert by_numpy(rows, queries, found) == pytest.approx(report.after.recall.mean)
        store.database.close()


def test_without_an_index_there_is_nothing_to_tune(store: PGVector, howdah: Howdah) -> None:
    fill(store, clustered(100, 1))
    code, found = howdah("tune", "--target-recall", "0.99")
    assert (code, found["outcome"], found["index"], found["saved"], found["points"]) == (0, "exact", None, False, [])
    assert found["queries"]["origin"] == "rows of the collection, moved a little"
    store.store.forget("docs")
    assert store.store.get("docs").tuned is None


def test_who_may_only_read_measures_and_is_told_that_nothing_is_saved(
    store: PGVector, howdah: Howdah, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, clustered(ROWS, 1))
    maintain(store, index="hnsw")
    slow(store)
    np.save(tmp_path / "q.npy", clustered(120, 2))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE ROLE tuning_reader LOGIN; GRANT USAGE ON SCHEMA howdah TO tuning_reader")
        admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA howdah TO tuning_reader")
    try:
        monkeypatch.setenv("HOWDAH_DATABASE_URL", make_conninfo(forced(url), user="tuning_reader"))
        code, found = howdah("tune", "--target-recall", "0.9", "--queries", tmp_path / "q.npy", "--sample", "500")
        assert (code, found["outcome"], found["saved"]) == (1, "proposed", False)
        assert found["after"]["recall@10"]["low"] >= 0.9
        assert "permission denied" in found["notes"][-1]
        dry = howdah("tune", "--target-recall", "0.9", "--queries", tmp_path / "q.npy", "--sample", "0", "--dry-run")
        assert (dry[0], dry[1]["notes"]) == (0, [])
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("DROP OWNED BY tuning_reader; DROP ROLE tuning_reader")


# -- the queries


def test_questions_come_from_traces_where_there_are_enough(store: PGVector) -> None:
    from howdah.retrieval.tuning_queries import collected, embedded

    fill(store, clustered(100, 1))
    collection, traces = store.store.get("docs"), Traces(store)
    for n in range(29):
        assert traces.keep(Trace(id=f"t{n}", outcome="answered", question=f"question {n}", collection="docs")) is None
    few = collected(store.store, collection, most=50)
    assert few.texts == ()
    assert "29 questions" in few.origin
    assert few.vectors.shape == (50, SIZE)
    traces.keep(Trace(id="x", outcome="answered", question="and then?", rewritten="question of x", collection="docs"))
    traces.keep(Trace(id="y", outcome="answered", question="question 3", collection="docs"))
    traces.keep(Trace(id="z", outcome="answered", question="elsewhere", collection=None))
    asked = collected(store.store, collection, most=50)
    assert asked.origin == "questions that were asked (traces)"
    assert set(asked.texts) == {*(f"question {n}" for n in range(29)), "question of x"}
    vectors = embedded(asked, lambda: store, collection)
    assert vectors.shape == (30, SIZE)
    assert len(collected(store.store, collection, most=7).texts) == 0  # fewer than are needed


def test_moved_rows_are_near_their_rows_and_the_same_each_time(store: PGVector) -> None:
    from howdah.retrieval.tuning_queries import MOVED, moved_rows

    fill(store, clustered(300, 1))
    collection = store.store.get("docs")
    moved = moved_rows(store.store, collection, 100)
    assert np.array_equal(moved, moved_rows(store.store, collection, 100))
    stored = clustered(300, 1).astype(np.float16).astype(np.float64)
    unit = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    cosines = (moved / np.linalg.norm(moved, axis=1, keepdims=True)) @ unit.T
    # The cosine of x and x + e, |e| = MOVED |x| and e at a random angle, is about 1 / sqrt(1 + MOVED²).
    assert cosines.max(axis=1).mean() == pytest.approx(1 / np.sqrt(1 + MOVED**2), abs=0.01)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.txt", "", "has no query in it"),
        ("q.jsonl", '{"text": "a"}\n{"other": 1}', "line 2 has no query"),
        ("q.jsonl", "{", "line 1 is not JSON"),
        ("q.jsonl", '{"embedding": [1, 2]}\n{"text": "a"}', "beside texts"),
        ("q.jsonl", '{"embedding": [1, 2, 3]}', "32"),
        ("q.npy", "no array", "is not a NumPy array"),
        ("gone.txt", None, "cannot be read"),
    ],
)
def test_a_file_of_queries_that_cannot_be_used(
    store: PGVector, howdah: Howdah, tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    fill(store, clustered(100, 1))
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    code, found = howdah("tune", "--target-recall", "0.99", "--queries", tmp_path / name)
    assert code == 2
    assert said in found["error"]["message"]


def test_options_of_another_job_and_impossible_targets_are_errors(store: PGVector, howdah: Howdah) -> None:
    fill(store, clustered(100, 1))
    for given, said in [
        (("tune",), "there is nothing to tune"),
        (("tune", "--target-recall", "0.9", "--refusal"), "are two jobs"),
        (("tune", "--target-recall", "0.9", "--force"), "--force has no effect with --target-recall"),
        (("tune", "--refusal", "-k", "5"), "-k has no effect with --refusal"),
        (("tune", "--reset", "--sample", "5"), "--sample has no effect with --reset"),
        (("tune", "--target-recall", "1"), "target_recall"),
        (("tune", "--target-recall", "0"), "target_recall"),
        (("tune", "--target-recall", "0.9", "-k", "0"), "k is 0"),
    ]:
        code, found = howdah(*given)
        assert (code, said in found["error"]["message"]) == (2, True), (given, found)


def test_what_a_person_reads(
    store: PGVector, howdah: Howdah, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(store, clustered(ROWS, 1), tagged=True)
    maintain(store, index="hnsw")
    slow(store)
    np.save(tmp_path / "q.npy", clustered(80, 2))
    assert _run(["tune", "--target-recall", "0.9", "--queries", str(tmp_path / "q.npy"), "--sample", "0"]) == 0
    said = capsys.readouterr()
    assert "recall@10" in said.out
    assert "The cheapest that meets 0.9 is ef_search=" in said.out
    assert "Saved with the collection" in said.out
    assert "Writing to" in said.err
    assert '{"parity": ' in said.out
