"""Measures against their formulas and against pytrec_eval, which is trec_eval's own code; scores without ties."""

import math

import numpy as np
import pytest

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.measures import Cutoffs, Scored, means, per_query, ranked
from howdah.retrieval.evaluation.saved import trec_qrels, trec_run

pytrec_eval = pytest.importorskip("pytrec_eval", reason="the extra 'eval' is not installed")
pytest.importorskip("ir_measures", reason="the extra 'eval' is not installed")

QRELS = {"q1": {"a": 2, "b": 1, "c": 1}, "q2": {"d": 1}, "q3": {"e": 1}}
RANKINGS = {"q1": ranked([("b", 0.9), ("x", 0.9), ("a", 0.9)]), "q2": ranked([("y", 0.5), ("d", 0.4)])}
THREE = Cutoffs(k=3, depth=5)


def test_each_measure_is_its_formula() -> None:
    values = per_query(RANKINGS, QRELS, THREE)["q1"]
    gained = 1 / math.log2(2) + 2 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert values == pytest.approx(
        {
            "ndcg@3": gained / ideal,
            "recall@5": 2 / 3,
            "recall@3": 2 / 3,
            "map": (1 / 1 + 2 / 3) / 3,
            "mrr@3": 1.0,
            "precision@3": 2 / 3,
            "success@1": 1.0,
            "success@3": 1.0,
        }
    )


def test_a_query_that_found_nothing_counts_as_0() -> None:
    values = per_query(RANKINGS, QRELS, THREE)
    assert set(values["q3"].values()) == {0.0}
    assert means(values)["mrr@3"].mean == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_nothing_found_at_all_is_0() -> None:
    assert {value for row in per_query({}, QRELS, THREE).values() for value in row.values()} == {0.0}


def test_rankings_of_queries_that_nothing_judges_are_left_out() -> None:
    assert per_query({**RANKINGS, "q9": ranked([("a", 1.0)])}, QRELS, THREE) == per_query(RANKINGS, QRELS, THREE)


def test_equal_scores_keep_their_order_where_trec_eval_would_turn_it() -> None:
    qrels = {"q": {"a": 1}}
    equal = [Scored("a", 0.5), Scored("b", 0.5)]
    turned = per_query({"q": equal}, qrels, THREE)["q"]["ndcg@3"]
    assert turned == pytest.approx(1 / math.log2(3))  # "b" first: by id, descending
    assert per_query({"q": ranked(equal)}, qrels, THREE)["q"]["ndcg@3"] == 1.0


@pytest.mark.parametrize(
    "scores", [[0.5] * 200, [0.0] * 200, [1.0, 1.0, 0.3, 0.9, 0.9], [1e-12, 0.0, 0.0, -3.0, -3.0], [30.0] * 50]
)
def test_scores_fall_strictly_in_single_precision(scores: list[float]) -> None:
    found = np.array([score for _, score in ranked([(str(place), score) for place, score in enumerate(scores)])])
    single = found.astype(np.float32)
    assert (np.diff(single) < 0).all()
    assert (np.array([f"{score:.9g}" for score in found]).astype(np.float32) == single).all()


def test_distinct_scores_stay_as_they_are() -> None:
    assert [score for _, score in ranked([("a", 0.75), ("b", 0.5), ("c", 0.125)])] == [0.75, 0.5, 0.125]


def read(lines: list[str], value: int, kind: type) -> dict:
    found: dict = {}
    for line in lines:
        cells = line.split()
        found.setdefault(cells[0], {})[cells[2]] = kind(cells[value])
    return found


def test_a_saved_run_has_our_figures_by_trec_eval() -> None:
    random = np.random.default_rng(4)
    ids = [f"d{number}" for number in range(300)]

    def some(count: int) -> list[str]:
        return [str(id_) for id_ in random.choice(ids, count, replace=False)]

    qrels = {f"q{q}": dict(zip(some(8), random.integers(1, 3, 8).tolist(), strict=True)) for q in range(40)}
    # Scores of one decimal: full of ties. The last four queries find nothing.
    scores = [round(1 - place / 100, 1) for place in range(100)]
    rankings = {query: ranked(list(zip(some(100), scores, strict=True))) for query in list(qrels)[:36]}
    ours = per_query(rankings, qrels, Cutoffs())
    run = read(trec_run(rankings, tag="t"), 4, float)
    theirs = pytrec_eval.RelevanceEvaluator(
        read(trec_qrels(qrels), 3, int), {"ndcg_cut_10", "recall_100", "map", "P_10", "success_1,10"}
    ).evaluate(run)
    names = {
        "ndcg@10": "ndcg_cut_10",
        "recall@100": "recall_100",
        "map": "map",
        "precision@10": "P_10",
        "success@1": "success_1",
    }
    for query in rankings:
        for our, their in names.items():
            assert ours[query][our] == pytest.approx(theirs[query][their], abs=1e-9), (query, our)


def test_a_depth_below_k_is_refused() -> None:
    with pytest.raises(InvalidInput, match="depth is 5 and k is 10"):
        Cutoffs(k=10, depth=5)


def test_cutoffs_that_fall_together_are_measured_once() -> None:
    assert Cutoffs(k=1, depth=1).names == ("ndcg@1", "recall@1", "map", "mrr@1", "precision@1", "success@1")
