"""What is tried, chosen and remembered by `howdah tune`, by hand; and how a weight's gain is told from noise."""

import math
from pathlib import Path

import numpy as np
import pytest

from howdah.retrieval import catalog
from howdah.retrieval.collection import Collection, Spec, Storage
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.hybrid import Hybrid
from howdah.retrieval.kinds import Form, Index, Method
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.reach import Reach
from howdah.retrieval.recall import Recall
from howdah.retrieval.tuned import Tuned
from howdah.retrieval.tuning import usual
from howdah.retrieval.tuning_choice import cheapest
from howdah.retrieval.tuning_filters import ALL, suggested
from howdah.retrieval.tuning_grid import effort, efforts, walks
from howdah.retrieval.tuning_labels import read
from howdah.retrieval.tuning_types import Measured, Point, Workload
from howdah.retrieval.tuning_weights import WEIGHTS, choose, ndcg, ranked
from howdah.retrieval.types import Hit

HNSW = Index(method=Method.HNSW, form=Form.HALFVEC, options={"m": 16, "ef_construction": 128})
LISTS = Index(method=Method.IVFFLAT, form=Form.HALFVEC, options={"lists": 30})
BITS = Index(method=Method.HNSW, form=Form.BIT, options={"m": 16, "ef_construction": 128})
SPEC = Spec(model="m", dimensions=384)


def collection(index: Index | None = HNSW, tuned: Tuned | None = None, **more: object) -> Collection:
    return Collection(
        id=1, tenant="", name="docs", spec=SPEC, vector_schema="public", schema_version=7, index=index, tuned=tuned, **more
    )  # fmt: skip


# -- what is remembered


def test_what_was_saved_holds_where_nothing_is_said() -> None:
    found = collection(tuned=Tuned(settings={"ef_search": 40, "iterative_scan": "strict_order"}, k=10, index=HNSW))
    assert SearchOptions().settings(10, found) == {
        "hnsw.ef_search": "40", "hnsw.iterative_scan": "strict_order", "ivfflat.iterative_scan": "relaxed_order",
    }  # fmt: skip
    assert SearchOptions(ef_search=300).settings(10, found)["hnsw.ef_search"] == "300"
    assert SearchOptions().settings(30, found)["hnsw.ef_search"] == "100"  # beyond what was measured: the usual effort
    assert SearchOptions().settings(300, found)["hnsw.ef_search"] == "300"
    assert SearchOptions(exact=True).settings(10, found) == {}


def test_more_effort_than_is_usual_holds_for_every_search() -> None:
    found = collection(tuned=Tuned(settings={"ef_search": 250}, k=10, index=HNSW))
    assert SearchOptions().settings(50, found) == {"hnsw.ef_search": "250"}


@pytest.mark.parametrize(
    "other",
    [
        collection(None),
        collection(LISTS),
        collection(Index(method=Method.HNSW, form=Form.HALFVEC, options={"m": 8, "ef_construction": 128})),
        collection(generation=1),
    ],
)
def test_with_another_index_or_model_it_is_idle(other: Collection) -> None:
    tuned = Tuned(settings={"ef_search": 40}, k=10, index=HNSW)
    assert tuned.fits(collection())
    assert not tuned.fits(other)


def test_probes_and_oversample() -> None:
    probes = collection(LISTS, Tuned(settings={"probes": 4}, k=10, index=LISTS))
    assert SearchOptions().settings(10, probes) == {"ivfflat.probes": "4"}
    assert SearchOptions().settings(11, probes) == {"ivfflat.probes": "11"}  # ceil(2 * sqrt(30))
    bits = collection(BITS, Tuned(settings={"oversample": 30, "ef_search": 300}, k=10, index=BITS))
    assert (Reach.of(bits, 10).oversample, Reach.of(bits, 100).oversample, Reach.of(bits, 10, 5).oversample) == (
        30,
        10,
        5,
    )
    assert SearchOptions().settings(10, bits)["hnsw.ef_search"] == "300"


def test_max_scan_tuples_grows_with_k_as_it_does_untuned() -> None:
    found = collection(tuned=Tuned(settings={"ef_search": 40, "max_scan_tuples": 5_000}, k=10, index=HNSW))
    assert SearchOptions().settings(10, found, filtered=True)["hnsw.max_scan_tuples"] == "5000"
    assert SearchOptions().settings(1_000, found, filtered=True)["hnsw.max_scan_tuples"] == "30000"


def test_saved_and_read_again_it_is_the_same() -> None:
    tuned = Tuned(settings={"ef_search": 40}, k=10, index=HNSW, generation=2, learned={"rows": 7})
    assert Tuned.of(tuned.to_json()) == tuned
    assert Tuned.of(None) is None
    assert Tuned.of({**tuned.to_json(), "version": 99}) is None
    assert Tuned.of({**tuned.to_json(), "settings": {"work_mem": "1GB"}}) is None
    assert catalog.set_tuned(collection(), {}).params["value"] == "{}"


def test_a_learned_weight_is_one_of_the_scaled_fusion() -> None:
    found = collection(weight=0.7)
    assert Hybrid().weight_on(found) == 0.7
    assert Hybrid(weight=0.2).weight_on(found) == 0.2
    assert Hybrid(weight=0.0).weight_on(found) == 0
    assert Hybrid(fusion="rrf").weight_on(found) == 0.5
    assert Hybrid().weight_on(collection()) == 0.5


# -- what is tried


def test_efforts_grow_and_reach_as_far_as_the_index_goes() -> None:
    beams = [options.ef_search for options in efforts(HNSW, SPEC, 10)]
    assert beams == sorted(set(beams))
    assert (beams[0], beams[-1]) == (10, 1_000)
    assert [options.ef_search for options in efforts(HNSW, SPEC, 2_000)] == [1_000]
    halves = Index(method=Method.HNSW, form=Form.HALFVEC, options={"m": 16, "ef_construction": 128})
    stored = Spec(model="m", dimensions=3_000, storage=Storage.VECTOR)
    assert efforts(halves, stored, 10)[0].ef_search == 20  # 2·k candidates are ranked anew
    probes = [options.probes for options in efforts(LISTS, SPEC, 10)]
    assert (probes[0], probes[-1]) == (1, 30)
    assert max(probes[:-1]) < 30
    bits = efforts(BITS, SPEC, 10)
    assert [options.oversample * 10 for options in bits] == [options.ef_search for options in bits]
    assert [options.oversample for options in efforts(BITS, SPEC, 400)] == [3]
    assert {effort(options) for options in walks(SearchOptions(ef_search=60), HNSW)} == {60}
    assert [options.iterative_scan for options in walks(SearchOptions(probes=3), LISTS)] == ["off"]


def test_what_is_usual_is_a_place_on_the_dial() -> None:
    assert usual(collection(), 10) == SearchOptions(ef_search=100)
    assert usual(collection(), 300) == SearchOptions(ef_search=300)
    assert usual(collection(LISTS), 10) == SearchOptions(probes=11)
    assert usual(collection(BITS), 10) == SearchOptions(oversample=20, ef_search=200)
    saved = Tuned(settings={"ef_search": 15}, k=10, index=HNSW)
    assert usual(collection(tuned=saved), 10) == SearchOptions(ef_search=15)


def test_filters_are_suggested_by_their_share() -> None:
    metadata = [{"half": n % 2, "tenth": f"t{n % 10}", "own": n, "list": [1], "all": "x"} for n in range(1_000)]
    found = suggested(metadata)
    assert [next(iter(each)) for each in found] == ["half", "tenth"]
    assert suggested([{} for _ in range(10)]) == suggested([]) == []


# -- what is chosen

FILTERED = Workload(name="f", filter={"a": 1}, share=0.5)


def point(low: float, p50: float = 1.0, *, filtered: float | None = None, **options: object) -> Point:
    def measured(workload: Workload, bound: float) -> Measured:
        its = Recall(mean=min(bound + 0.005, 1), low=bound, high=1, queries=100, neighbours=1_000)
        return Measured(workload=workload, recall=its, p50=p50, p95=2 * p50, times=(p50,) * 30)

    parts = [measured(ALL, low), *([] if filtered is None else [measured(FILTERED, filtered)])]
    return Point(options=SearchOptions(**options), k=10, settings={}, measured=tuple(parts))


def test_the_least_effort_whose_low_end_meets_the_target() -> None:
    before = point(0.999, 9.0, ef_search=100)
    points = [point(0.98, ef_search=20), point(0.991, 3.0, ef_search=40), point(0.995, 2.0, ef_search=60), before]
    assert cheapest(points, 0.99, before=before) is points[1]  # and not the one that a noisy clock took for quicker
    assert cheapest(points, 0.9999, before=before) is None


def test_every_workload_has_to_meet_it() -> None:
    before = point(0.9, 9.0, filtered=0.9, ef_search=100)
    points = [point(0.999, filtered=0.97, ef_search=20), point(0.999, filtered=0.992, ef_search=80)]
    assert cheapest(points, 0.99, before=before) is points[1]


def test_what_is_set_stays_unless_the_cheapest_is_quicker() -> None:
    before = point(0.999, 1.0, ef_search=100)
    assert cheapest([point(0.995, 1.0, ef_search=40), before], 0.99, before=before) is before
    quicker = point(0.995, 0.9, ef_search=40)
    assert cheapest([quicker, before], 0.99, before=before) is quicker
    short = point(0.98, 0.5, ef_search=10)  # what is set does not meet the target: whatever does is taken
    assert cheapest([short, point(0.995, 0.9, ef_search=40)], 0.99, before=short).options.ef_search == 40


def test_another_walk_is_taken_where_it_is_clearly_quicker_behind_filters() -> None:
    before = point(0.999, 9.0, filtered=0.999, ef_search=100)
    same = point(0.995, 1.0, filtered=0.995, ef_search=40)
    strict = point(0.995, 0.8, filtered=0.995, ef_search=40, iterative_scan="strict_order")
    slight = point(0.995, 0.95, filtered=0.995, ef_search=40, iterative_scan="strict_order")
    assert cheapest([same, strict], 0.99, before=before) is strict
    assert cheapest([same, slight], 0.99, before=before) is same
    alone = point(
        0.995, 0.8, ef_search=40, iterative_scan="off"
    )  # without filters it has not been tried where it matters
    assert cheapest([point(0.995, 1.0, ef_search=40), alone], 0.99, before=before) is not alone


# -- a weight


def test_ndcg_by_its_formula() -> None:
    judged = {"a": 2, "b": 1, "c": 0}
    assert ndcg(["x", "b", "a"], judged, 10) == pytest.approx(
        (1 / math.log2(3) + 2 / math.log2(4)) / (2 + 1 / math.log2(3))
    )
    assert ndcg(["x", "b", "a"], judged, 1) == 0


def test_candidates_are_ranked_as_hybrid_search_ranks_them() -> None:
    def hit(id_: str, dense: float, lexical: float) -> Hit:
        return Hit(id=id_, content="", metadata={}, score=0, scores={"dense": dense, "lexical": lexical})

    hits = [hit("near", 0.9, 0.1), hit("worded", 0.6, 0.8), hit("below", 0.2, 0.0), hit("lower", 0.1, 0.0)]
    assert [each.id for each in ranked(hits, 1.0, 0.5)] == [
        "near",
        "worded",
        "below",
        "lower",
    ]  # cut to 0: by the cosine
    assert [each.id for each in ranked(hits, 0.0, 0.5)][:2] == ["worded", "near"]
    # 0.5·(0.9-0.5)/0.5 + 0.5·0.1 = 0.45 and 0.5·(0.6-0.5)/0.5 + 0.5·0.8 = 0.5
    assert [each.id for each in ranked(hits, 0.5, 0.5)][:2] == ["worded", "near"]
    assert [each.id for each in ranked(hits, 0.6, 0.5)][:2] == ["near", "worded"]  # 0.52 and 0.44


def test_a_real_gain_is_told_from_noise() -> None:
    rng = np.random.default_rng(1)
    noise = rng.uniform(0, 1, size=(200, 1)) + 0.1 * rng.standard_normal((200, len(WEIGHTS)))
    found = choose(noise, 0.5)
    assert found["outcome"] == "noise"
    assert found["gain"].low < 0
    better = noise + 0.2 * (1 - np.abs(np.array(WEIGHTS) - 0.8))
    found = choose(better, 0.5)
    assert found["outcome"] == "gain"
    assert abs(found["weight"] - 0.8) <= 0.15
    assert found["gain"].low > 0
    flat = np.ones((50, len(WEIGHTS)))
    assert (choose(flat, 0.5)["outcome"], choose(flat, 0.5)["weight"]) == ("unchanged", 0.5)


def test_the_gain_is_that_of_queries_which_were_not_learned_from() -> None:
    """Each query is best by a weight of its own: what is learned from others gains nothing, and by itself much."""
    rng = np.random.default_rng(2)
    values = np.zeros((100, len(WEIGHTS)))
    values[np.arange(100), rng.integers(len(WEIGHTS), size=100)] = 1
    found = choose(values, 0.5)
    assert values.max(axis=1).mean() == 1
    assert found["gain"].delta < 0.1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "holds no label"),
        ("{", "is not JSON"),
        ('{"relevant": ["a"]}', "has no question"),
        ('{"question": "x"}', "names nothing relevant"),
        ('{"question": "x", "relevant": []}', "names nothing relevant"),
        ('{"question": "x", "relevant": {"a": 0}}', "names nothing relevant"),
        ('{"question": "x", "relevant": {"a": 1, "b": 0.5}}', "are not ids with whole numbers"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "l.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(InvalidInput, match=said):
        read(tmp_path / "l.jsonl")


def test_labels_of_lines_and_of_folders(tmp_path: Path) -> None:
    lines = [
        '{"question": "a", "source": "s"}',
        '{"text": "b", "relevant": ["x", "y#1-2"]}',
        '{"query": "c", "relevant": {"z": 2}}',
    ]
    (tmp_path / "l.jsonl").write_text("\n\n".join(lines), encoding="utf-8")
    found = read(tmp_path / "l.jsonl")
    assert list(found.queries.values()) == ["a", "b", "c"]
    assert list(found.qrels.values()) == [{"s": 1}, {"x": 1, "y#1-2": 1}, {"z": 2}]
    with pytest.raises(InvalidInput, match=r"no qrels/train\.tsv"):
        read(tmp_path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "gone.jsonl")
