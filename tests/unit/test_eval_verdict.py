"""The gate: what passes, what is a regression, what stays open, and what fails."""

import numpy as np
import pytest

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.verdict import Gate, judge

N = 200
BASE = np.random.default_rng(3).random(N) / 2 + 0.25
NOISE = np.random.default_rng(4).normal(0, 0.05, N)
NOISE -= NOISE.mean()


def verdict(shift: float, noise: float = 1.0, **gate: object):
    return judge(BASE + noise * NOISE + shift, BASE, Gate(metric="ndcg@10", **gate))


def test_a_drop_beyond_chance_is_a_regression() -> None:
    found = verdict(-0.02)
    assert (found.result, found.failed, found.n, found.metric) == ("regressed", True, N, "ndcg@10")
    assert found.delta == pytest.approx(-0.02)
    assert found.high < 0
    assert found.p < 0.01


def test_a_gain_beyond_chance_passes() -> None:
    found = verdict(+0.02)
    assert (found.result, found.failed) == ("pass", False)


def test_the_same_values_pass() -> None:
    found = judge(BASE, BASE, Gate(metric="map", strict=True))
    assert (found.result, found.failed, found.delta, found.p) == ("pass", False, 0, 1)


def test_chance_is_inconclusive_and_fails_only_when_strict() -> None:
    assert (verdict(-0.002).result, verdict(-0.002).failed) == ("inconclusive", False)
    assert verdict(-0.002, strict=True).failed


def test_max_drop_fails_on_the_lower_end_of_the_interval() -> None:
    # The interval's half width is 1.96 * 0.05 / sqrt(200) = 0.0069.
    assert (verdict(-0.002, max_drop=0.005).result, verdict(-0.002, max_drop=0.005).failed) == ("inconclusive", True)
    assert (verdict(-0.002, max_drop=0.02).result, verdict(-0.002, max_drop=0.02).failed) == ("pass", False)


def test_a_shown_drop_fails_however_small_max_drop_lets_it_be() -> None:
    found = verdict(-0.01, max_drop=0.05)
    assert (found.result, found.failed) == ("regressed", True)


def test_alpha_is_the_tests_own() -> None:
    p = verdict(-0.007).p
    assert verdict(-0.007, alpha=p * 1.01).result == "regressed"
    assert verdict(-0.007, alpha=p * 0.99).result == "inconclusive"


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"alpha": 1.0}, {"max_drop": -0.1}, {"max_drop": 2.0}])
def test_a_gate_that_means_nothing_is_refused(wrong: dict) -> None:
    with pytest.raises(InvalidInput):
        Gate(metric="map", **wrong)
