"""Learning when to refuse: the arithmetic, against formulas and against an optimiser that is not the code's."""

import math
import random
from xml.etree import ElementTree

import numpy as np
import pytest

from howdah.chains.calibrate import Learned, Point, cross_validated, curve, fit, learn, share, threshold
from howdah.chains.picture import risk_coverage
from howdah.chains.refusal import chance
from howdah.chains.signs import Signs

NAMES = ("passage", "shared")


def drawn(count: int, seed: int = 1) -> tuple[list[Signs], list[bool]]:
    """Answerable questions have more of both; the kinds overlap."""
    draw, kinds = random.Random(seed), [number % 3 > 0 for number in range(count)]
    return [Signs(passage=draw.gauss(2 * kind, 1.5), shared=draw.random() / 2 + kind / 3) for kind in kinds], kinds


def test_a_share_has_wilsons_interval() -> None:
    # The textbook's example: 8 of 10, 95 %.
    found = share([True] * 8 + [False] * 2)
    assert (found.share, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=5e-5)
    assert share([False] * 20).low == 0
    nothing = share([])
    assert math.isnan(nothing.share)
    assert (nothing.low, nothing.high) == (0, 1)


def test_the_threshold_refuses_no_more_than_its_share() -> None:
    chances = [number / 100 for number in range(100)]
    for rate in (0.0, 0.01, 0.05, 0.5):
        found = threshold(chances, rate)
        assert sum(each < found for each in chances) == round(rate * 100)
    assert sum(each < threshold([0.3] * 10, 0.05) for each in [0.3] * 10) == 0


def test_the_fitted_weights_are_the_minimum_of_the_penalised_loss() -> None:
    found, kinds = drawn(150)
    plain = np.array([[each.passage, each.shared] for each in found])
    rows = (plain - plain.mean(axis=0)) / plain.std(axis=0)
    wanted = np.array(kinds, dtype=float)
    weight = np.where(wanted == 1, 0.5 / wanted.sum(), 0.5 / (1 - wanted).sum()) * len(wanted)

    def loss(solved: np.ndarray) -> float:
        odds = rows @ solved[:2] + solved[2]
        return float((weight * (np.logaddexp(0, odds) - wanted * odds)).sum() + (solved[:2] ** 2).sum() / 2)

    model = fit(found, kinds, names=NAMES)
    scaled = np.array([model.weights[name] for name in NAMES]) * plain.std(axis=0)
    ours = np.append(scaled, model.bias + plain.mean(axis=0) @ [model.weights[name] for name in NAMES])
    least = loss(ours)
    for place in range(3):
        for step in (-0.02, 0.02):
            moved = ours.copy()
            moved[place] += step
            assert loss(moved) > least


def test_a_sign_that_never_changes_gets_no_weight() -> None:
    found, kinds = drawn(60)
    assert fit(found, kinds).weights["margin"] == pytest.approx(0)


def test_questions_of_one_kind_teach_nothing() -> None:
    found, _ = drawn(10)
    with pytest.raises(ValueError, match="both kinds"):
        fit(found, [True] * 10)


def test_the_chance_is_the_logistic_function() -> None:
    found = Signs(passage=2.0, shared=0.5)
    assert chance(found, {"passage": 0.7, "shared": -1.0}, 0.1) == pytest.approx(1 / (1 + math.exp(-(1.4 - 0.5 + 0.1))))
    assert chance(Signs(passage=-1e4), {"passage": 1.0}, 0.0) == 0
    assert chance(Signs(passage=1e4), {"passage": 1.0}, 0.0) == 1


def test_no_question_is_tried_by_a_model_that_saw_its_group() -> None:
    # What speaks for an answer in one group speaks against it in the other: a model of the other group alone is always
    # wrong, one that has seen some of the question's own group is not.
    found, kinds, groups = [], [], []
    for number in range(200):
        group, kind = number % 2, number % 4 < 2
        found.append(Signs(passage=3.0 * (1 if kind else -1) * (1 if group else -1)))
        kinds.append(kind)
        groups.append(str(group))
    trials = cross_validated(found, kinds, groups, rate=0.05, weights=None)
    assert all(trial.refused is kind for trial, kind in zip(trials, kinds, strict=True))


def test_cross_validation_keeps_the_rate_and_refuses_what_differs() -> None:
    found, kinds = drawn(600)
    for weights in (None, Learned(weights={"passage": 1.0, "shared": 4.0}, bias=0.0)):
        trials = cross_validated(found, kinds, [str(n) for n in range(600)], rate=0.1, weights=weights)
        false = [trial.refused for trial, kind in zip(trials, kinds, strict=True) if kind]
        right = [trial.refused for trial, kind in zip(trials, kinds, strict=True) if not kind]
        assert 0.05 < sum(false) / len(false) < 0.15
        assert sum(right) / len(right) > 0.6


def test_given_weights_stay_and_only_the_threshold_is_learned() -> None:
    found, kinds = drawn(100)
    weights = Learned(weights={"passage": 1.0}, bias=0.5)
    learned = learn(found, kinds, rate=0.0, weights=weights)
    assert (learned.weights, learned.bias) == (weights.weights, weights.bias)
    assert learned.threshold == min(weights.chances([each for each, kind in zip(found, kinds, strict=True) if kind]))


def test_the_curve_is_counted_from_the_strictest_threshold_on() -> None:
    points = curve([0.9, 0.8, 0.8, 0.3], [True, True, False, False])
    assert points == [Point(0.9, 1 / 4, 0 / 1), Point(0.8, 3 / 4, 1 / 3), Point(0.3, 4 / 4, 2 / 4)]


def test_the_picture_is_a_drawing_with_the_chosen_point_in_words() -> None:
    points = curve([0.9, 0.8, 0.8, 0.3], [True, True, False, False])
    drawing = ElementTree.fromstring(risk_coverage(points, points[1], title="Refusals in a <b> & c"))
    space = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in drawing.iter(f"{space}text")]
    assert "Refusals in a <b> & c" in texts
    assert "answers 75%, of these 33.3% wrongly" in texts
    line = next(each.get("d") for each in drawing.iter(f"{space}path") if each.get("stroke-width"))
    assert len(line.replace("M", " ").replace("L", " ").split()) == 2 * len(points)
    (dot,) = drawing.iter(f"{space}circle")
    assert 0 < float(dot.get("cx")) < 640
    assert 0 < float(dot.get("cy")) < 400
