"""Learning from questions when to refuse: a logistic model of the signs, a threshold for a rate, and what they do. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from howdah.chains.refusal import chance
from howdah.chains.signs import NAMES, Signs

_RIDGE = 1.0  # a prior on standardised weights: with few questions none runs away
_STEPS = 50
_Z = 1.96  # of a 95 % interval


class Interval(NamedTuple):
    """A share and its 95 % interval (Wilson, 1927)."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A logistic model of the signs (see refusal.chance), and the threshold below which its chances are refused."""

    weights: Mapping[str, float]
    bias: float
    threshold: float = 0.0

    def chances(self, found: Sequence[Signs]) -> list[float]:
        return [chance(each, self.weights, self.bias) for each in found]


def learn(found: Sequence[Signs], answerable: Sequence[bool], *, rate: float, weights: Learned | None) -> Learned:
    """The threshold that refuses at most `rate` of the answerable ones; by `weights`, else by weights that are fitted."""
    model = weights or fit(found, answerable)
    good = [its for its, kind in zip(model.chances(found), answerable, strict=True) if kind]
    return replace(model, threshold=threshold(good, rate))


class Trial(NamedTuple):
    """One question by a model that was learned without it: its chance, and whether it would be refused."""

    chance: float
    refused: bool


def cross_validated(
    found: Sequence[Signs], answerable: Sequence[bool], groups: Sequence[str],
    *, rate: float, weights: Learned | None, folds: int = 5,
) -> list[Trial]:  # fmt: skip
    """Each question by a model that saw neither it nor any of its group, in `folds` parts.

    A question and the same one without its document are of one group: seen together they would give each other away.
    """
    places = {group: number % folds for number, group in enumerate(dict.fromkeys(groups))}
    fold = [places[group] for group in groups]
    trials = [Trial(0.0, True)] * len(found)
    for number in set(fold):
        rest = [place for place, its in enumerate(fold) if its != number]
        model = learn(
            [found[place] for place in rest], [answerable[place] for place in rest], rate=rate, weights=weights
        )
        for place in (place for place, its in enumerate(fold) if its == number):
            its = chance(found[place], model.weights, model.bias)
            trials[place] = Trial(its, its < model.threshold)
    return trials


def fit(found: Sequence[Signs], answerable: Sequence[bool], *, names: Sequence[str] = NAMES) -> Learned:
    """The weights that tell the two kinds of questions apart, by Newton's method; both kinds count alike.

    Raises ValueError where one of them is missing.
    """
    wanted = np.asarray(answerable, dtype=np.float64)
    if not 0 < wanted.sum() < len(wanted):
        raise ValueError("questions of both kinds are needed")
    plain = np.array([[getattr(each, name) for name in names] for each in found], dtype=np.float64)
    middle, spread = plain.mean(axis=0), plain.std(axis=0)
    spread[spread == 0] = 1.0
    rows = np.column_stack([(plain - middle) / spread, np.ones(len(plain))])
    balance = np.where(wanted == 1, 0.5 / wanted.sum(), 0.5 / (1 - wanted).sum()) * len(wanted)
    solved = _newton(rows, wanted, balance)
    weights = solved[:-1] / spread
    return Learned(
        weights={name: float(weight) for name, weight in zip(names, weights, strict=True)},
        bias=float(solved[-1] - weights @ middle),
    )


def _newton(
    rows: "npt.NDArray[np.float64]", wanted: "npt.NDArray[np.float64]", balance: "npt.NDArray[np.float64]"
) -> "npt.NDArray[np.float64]":
    prior = np.append(np.full(rows.shape[1] - 1, _RIDGE), 1e-6)
    solved = np.zeros(rows.shape[1])
    for _ in range(_STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(rows @ solved, -30, 30)))
        slope = rows.T @ (balance * (predicted - wanted)) + prior * solved
        curve = (rows * (balance * predicted * (1 - predicted))[:, None]).T @ rows + np.diag(prior)
        step = np.linalg.solve(curve, slope)
        solved = solved - step
        if np.abs(step).max() < 1e-8:
            break
    return solved


def threshold(chances: Sequence[float], rate: float) -> float:
    """The highest threshold below which at most `rate` of these, the answerable questions' chances, lie."""
    ranked = sorted(chances)
    refused = int(rate * len(ranked) + 1e-9)
    return ranked[refused] if refused < len(ranked) else 1.0


def share(flags: Sequence[bool]) -> Interval:
    """How many of the flags are set, as a share; of none nothing is known."""
    count, total = sum(flags), len(flags)
    if not total:
        return Interval(math.nan, 0.0, 1.0)
    p, square = count / total, _Z * _Z
    middle = (p + square / (2 * total)) / (1 + square / total)
    half = _Z * math.sqrt(p * (1 - p) / total + square / (4 * total * total)) / (1 + square / total)
    return Interval(p, max(middle - half, 0.0), min(middle + half, 1.0))


class Point(NamedTuple):
    """One threshold: which share of all questions is answered, and which of those answered should not have been."""

    threshold: float
    coverage: float
    risk: float


def curve(chances: Sequence[float], answerable: Sequence[bool]) -> list[Point]:
    """Risk and coverage at every threshold (El-Yaniv and Wiener, 2010), from the strictest to the mildest."""
    ranked = sorted(zip(chances, answerable, strict=True), reverse=True)
    points, wrong = [], 0
    for count, (its, good) in enumerate(ranked, start=1):
        wrong += not good
        if count == len(ranked) or ranked[count][0] < its:
            points.append(Point(its, count / len(ranked), wrong / count))
    return points
