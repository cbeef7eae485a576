"""Recall by hand: ties at the k-th distance, rows left out, fewer rows than k, and the interval."""

import numpy as np
import pytest

from howdah.retrieval.recall import Truth, recall_of


def rows(**distances: float) -> list[dict]:
    return [{"id": id_, "distance": distance} for id_, distance in distances.items()]


def test_of_rows_at_the_kth_distance_any_will_do() -> None:
    truth = Truth.of(rows(a=0.1, b=0.2, c=0.2, d=0.2), 2)
    assert (truth.wanted, truth.last) == (2, 0.2)
    assert truth.found(rows(a=0.1, d=0.2)) == 2
    assert truth.found(rows(d=0.2, c=0.2)) == 2  # both no farther than the second
    assert truth.found(rows(a=0.1, e=0.3)) == 1
    assert truth.found(rows(b=0.2, c=0.2, a=0.1)) == 2  # never more than were looked for


def test_a_row_twice_counts_once() -> None:
    truth = Truth.of(rows(a=0.1, b=0.2), 2)
    assert truth.found([*rows(a=0.1), *rows(a=0.1)]) == 1


def test_the_row_that_asks_does_not_count() -> None:
    truth = Truth.of(rows(me=0.0, a=0.1, b=0.2), 2, without="me")
    assert (truth.wanted, truth.last) == (2, 0.2)
    assert truth.found(rows(me=0.0, a=0.1, c=0.4)) == 1


def test_with_fewer_rows_than_k_all_are_looked_for() -> None:
    truth = Truth.of(rows(a=0.1, b=0.2), 10)
    assert truth.wanted == 2
    assert truth.found(rows(b=0.2)) == 1
    assert Truth.of([], 10).found([]) == 0


def test_the_mean_is_over_queries_and_empty_ones_do_not_count() -> None:
    found = recall_of([10, 5, 0, 1], [10, 10, 0, 2])
    assert found is not None
    assert found.mean == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert (found.queries, found.neighbours) == (3, 22)
    assert recall_of([0], [0]) is None


def test_the_interval_is_as_wide_as_the_normal_approximation_says() -> None:
    found = np.random.default_rng(3).binomial(10, 0.9, size=400)
    its = recall_of(found.tolist(), [10] * 400)
    assert its is not None
    standard_error = (found / 10).std(ddof=1) / np.sqrt(400)
    assert its.mean - its.low == pytest.approx(1.96 * standard_error, rel=0.15)
    assert its.high - its.mean == pytest.approx(1.96 * standard_error, rel=0.15)


def test_where_nothing_was_missed_the_low_end_is_the_rule_of_three() -> None:
    its = recall_of([10] * 50, [10] * 50)
    assert its is not None
    assert (its.mean, its.low, its.high) == (1.0, pytest.approx(1 - 3 / 500), 1.0)
