"""How sure a mean is, and whether two systems differ on the same questions. Seeded: the same values give the same figures."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from howdah.retrieval.errors import InvalidInput

Floats = npt.NDArray[np.float64]

ROUNDS, SEED, LEVEL = 10_000, 7, 0.95
EXACT = 13
"""Pairs up to which every assignment of signs is tried, 2**13 of them: fewer than the rounds."""
EQUAL = 1e-12
"""What sums of the same numbers in another order may differ by."""
AT_ONCE = 4_000_000
"""Random numbers held at a time."""


class Interval(NamedTuple):
    """A mean and its percentile bootstrap interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Difference(NamedTuple):
    """The mean of n paired differences, its bootstrap interval, and the two-sided p of the randomisation test."""

    delta: float
    low: float
    high: float
    p: float
    n: int


def intervals(columns: Any, *, rounds: int = ROUNDS, seed: int = SEED, level: float = LEVEL) -> list[Interval]:
    """The mean of each column of (n, m) values, with the interval that `level` of the resampled means lie in.

    Efron's percentile bootstrap over the n rows (1979); the same rows are drawn for every column.
    """
    values = _finite(columns, ndim=2)
    means = np.concatenate([drawn @ values for drawn in _draws(len(values), rounds, seed)])
    low, high = np.quantile(means, _tails(level), axis=0)
    middle = values.mean(axis=0)
    # Rounding must not put the mean of equal values outside of its own interval.
    return [Interval(float(m), float(min(a, m)), float(max(b, m))) for m, a, b in zip(middle, low, high, strict=True)]


def interval(values: Sequence[float] | Floats, **how: Any) -> Interval:
    """As `intervals`, of one list of values."""
    return intervals(np.asarray(values, dtype=float).reshape(-1, 1), **how)[0]


def difference(
    ours: Sequence[float] | Floats, theirs: Sequence[float] | Floats,
    *, rounds: int = ROUNDS, seed: int = SEED, level: float = LEVEL,
) -> Difference:  # fmt: skip
    """Ours less theirs, question by question, in the same order.

    The test swaps the two systems' values at random (Fisher's randomisation test; Smucker, Allan and Carterette, 2007): all
    2**n ways for up to 13 questions, else `rounds` of them with p = (extreme + 1) / (rounds + 1) (Phipson and Smyth, 2010).
    """
    first, second = _finite(ours, ndim=1), _finite(theirs, ndim=1)
    if len(first) != len(second):
        raise InvalidInput(f"{len(first)} values cannot be paired with {len(second)}")
    pairs = first - second
    found = interval(pairs, rounds=rounds, seed=seed, level=level)
    return Difference(*found, p=randomisation(pairs, rounds=rounds, seed=seed), n=len(pairs))


def randomisation(pairs: Floats, *, rounds: int = ROUNDS, seed: int = SEED) -> float:
    """The share of sign assignments whose mean is at least as far from 0 as that of the differences `pairs` (n,)."""
    observed = abs(pairs.sum()) - EQUAL * len(pairs)
    moved = pairs[pairs != 0]  # a pair without a difference is the same with either sign
    if len(moved) == 0:
        return 1.0
    if len(moved) <= EXACT:
        ways = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float((np.abs((1 - 2 * ways) @ moved) >= observed).mean())
    random, extreme = np.random.default_rng(seed), 0
    for size in _sizes(rounds, len(moved)):
        signs = random.integers(2, size=(size, len(moved)), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ moved) >= observed).sum())
    return (extreme + 1) / (rounds + 1)


def _draws(n: int, rounds: int, seed: int) -> Iterator[Floats]:
    """Blocks (r, n) of weights, rows that add up to 1: how often each of the n was drawn, over n."""
    random = np.random.default_rng(seed)
    for size in _sizes(rounds, n):
        drawn = random.integers(n, size=(size, n)) + np.arange(size)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n) / n


def _sizes(rounds: int, n: int) -> Iterator[int]:
    block = max(AT_ONCE // n, 1)
    yield from (min(block, rounds - done) for done in range(0, rounds, block))


def _tails(level: float) -> tuple[float, float]:
    return (1 - level) / 2, (1 + level) / 2


def _finite(values: Any, *, ndim: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or len(array) == 0 or not np.isfinite(array).all():
        raise InvalidInput(
            f"cannot take the mean of values of shape {array.shape}", hint="give finite numbers, at least one"
        )
    return array
