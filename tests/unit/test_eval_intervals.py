"""Intervals and the paired test against SciPy and against every way to swap, written out."""

from itertools import product

import numpy as np
import pytest

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.intervals import difference, interval, intervals, randomisation

stats = pytest.importorskip("scipy.stats", reason="the extra 'eval' is not installed")
VALUES = np.random.default_rng(1).beta(2, 1, size=80)
OTHERS = np.clip(VALUES + np.random.default_rng(2).normal(-0.02, 0.1, size=80), 0, 1)


def test_a_mean_has_the_interval_of_scipys_percentile_bootstrap() -> None:
    theirs = stats.bootstrap((VALUES,), np.mean, method="percentile", n_resamples=50_000, rng=3).confidence_interval
    ours = interval(VALUES)
    assert ours.mean == pytest.approx(VALUES.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_another_level_is_narrower() -> None:
    theirs = stats.bootstrap((VALUES,), np.mean, confidence_level=0.5, method="percentile", n_resamples=50_000, rng=3)
    ours = interval(VALUES, level=0.5)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.003)


def test_intervals_are_the_same_again_and_for_each_column_alone() -> None:
    both = intervals(np.column_stack([VALUES, OTHERS]))
    assert both == intervals(np.column_stack([VALUES, OTHERS]))
    assert both[0] == pytest.approx(interval(VALUES))
    assert both[1] == pytest.approx(interval(OTHERS))


def test_many_values_are_drawn_in_blocks_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = interval(VALUES)
    monkeypatch.setattr("howdah.retrieval.evaluation.intervals.AT_ONCE", 1_000)
    assert interval(VALUES) == pytest.approx(whole)


def test_equal_values_have_no_width() -> None:
    assert interval([0.1] * 7) == pytest.approx((0.1, 0.1, 0.1))
    found = interval([0.1] * 7)
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize("pairs", [[0.3, -0.1, 0.2, 0.25, 0.4], [1.0, 0.0, 0.0, 1.0], [0.5], [0.1] * 13])
def test_few_pairs_are_swapped_in_every_way(pairs: list[float]) -> None:
    ways = [
        abs(sum(sign * pair for sign, pair in zip(signs, pairs, strict=True)))
        for signs in product([1, -1], repeat=len(pairs))
    ]
    expected = sum(way >= abs(sum(pairs)) - 1e-9 for way in ways) / len(ways)
    assert randomisation(np.array(pairs)) == pytest.approx(expected)


def test_many_pairs_have_scipys_p() -> None:
    theirs = stats.permutation_test(
        (VALUES, OTHERS), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=50_000, rng=5,
    )  # fmt: skip
    ours = difference(VALUES, OTHERS)
    assert ours.p == pytest.approx(theirs.pvalue, abs=0.01)
    assert ours.delta == pytest.approx((VALUES - OTHERS).mean())
    assert ours.n == 80


def test_a_difference_has_the_bootstrap_interval_of_its_pairs() -> None:
    found = difference(VALUES, OTHERS)
    assert (found.delta, found.low, found.high) == interval(VALUES - OTHERS)


def test_the_p_of_a_certain_difference_is_never_0() -> None:
    assert difference([1.0] * 100, [0.0] * 100).p == pytest.approx(1 / 10_001)


def test_no_difference_has_p_1() -> None:
    assert difference(VALUES, VALUES) == (0, 0, 0, 1, 80)


def test_p_is_uniform_where_there_is_nothing_to_find() -> None:
    random = np.random.default_rng(11)
    found = [randomisation(random.normal(size=20), rounds=400) for _ in range(300)]
    assert stats.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("values", [[], [float("nan"), 1.0]])
def test_what_has_no_mean_is_refused(values: list[float]) -> None:
    with pytest.raises(InvalidInput, match="finite numbers"):
        interval(values)


def test_unequal_lengths_cannot_be_paired() -> None:
    with pytest.raises(InvalidInput, match="2 values cannot be paired with 1"):
        difference([1.0, 0.0], [1.0])
