"""From values to pixels, and the round numbers that an axis shows. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from howdah.scripts.reports import numbers

Steps = Literal["even", "factors", "nines"]
"""Even: equal steps are equal differences. Factors: a logarithm. Nines: from 0.9 to 0.99 as far as from 0.99 to 0.999."""
_NINES = ((1, 2, 5), (1, 5), (1,))
_ALIKE, _ALIKE_SHARE = 1e-9, 1e-6  # values no further apart, and no share of themselves, are drawn as one


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What an axis measures. `low` and `high` fix an end, else the data do."""

    label: str
    show: Callable[[float], str] = numbers.short
    low: float | None = None
    high: float | None = None
    steps: Steps = "even"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values from `low` to `high` at pixels from `start` to `end`, which may run backwards."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    bent: Callable[[float], float] = float

    def __call__(self, value: float) -> float:
        low, high = self.bent(self.low), self.bent(self.high)
        return self.start + (self.bent(value) - low) / (high - low) * (self.end - self.start)


def scale(axis: Axis, values: Sequence[float], start: float, end: float, *, most: int = 6) -> Scale:
    """A scale that holds every value, from tick to tick, with about `most` ticks at most."""
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
    if axis.steps == "factors" and low > 0:
        ticks = _factors(low, high, most)
        return Scale(low=ticks[0], high=ticks[-1], start=start, end=end, ticks=ticks, bent=math.log)
    if axis.steps == "nines" and 0 <= low <= high <= 1:
        return _nines(values, low, start, end, most)
    if high - low <= max(_ALIKE, _ALIKE_SHARE * max(abs(low), abs(high))):
        low, high = (low - 0.5, low + 0.5) if axis.low is None else (low, low + 1)
    ticks = rounded(low, high, most)
    bottom = low if axis.low is not None else ticks[0]
    top = high if axis.high is not None else ticks[-1]
    return Scale(low=bottom, high=top, start=start, end=end, ticks=_between(ticks, bottom, top))


def rounded(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`."""
    step = _step((high - low) / max(most - 1, 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _between(ticks: Sequence[float], low: float, high: float) -> list[float]:
    return [tick for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]


def _factors(low: float, high: float, most: int) -> list[float]:
    """1, 2, 5, 10, 20 … around the values; powers of ten alone where those are too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = _around([round(factor * 10.0**power, 12) for power in powers for factor in factors], low, high)
        if len(ticks) <= most + 1:
            break
    return ticks


def _nines(values: Sequence[float], low: float, start: float, end: float, most: int) -> Scale:
    """Shares near 1 by how much is lacking, the factor of it; 1 itself lies one step above the last tick."""
    least = min((1 - value for value in values if value < 1), default=0.01)
    ticks: list[float] = []
    for parts in _NINES:
        lacking = sorted(
            {1.0, *(round(part * 10.0**-power, 9) for power in range(1, 6) for part in parts)}, reverse=True
        )
        ticks = _around([1 - lack for lack in lacking], min(low, 1 - least), 1 - least)
        if len(ticks) <= most:
            break
    beyond = (1 - ticks[-1]) / 2.5
    reached = max(values, default=0) > ticks[-1]
    return Scale(
        low=ticks[0], high=1.0 if reached else ticks[-1], start=start, end=end,
        ticks=[*ticks, 1.0] if reached else ticks, bent=lambda value: -math.log10(max(1 - value, beyond)),
    )  # fmt: skip


def _around(ticks: Sequence[float], low: float, high: float) -> list[float]:
    """From the last tick at or below `low` to the first at or above `high`; two at least."""
    first = max((at for at, tick in enumerate(ticks) if tick <= low + abs(low) * 1e-9), default=0)
    last = min((at for at, tick in enumerate(ticks) if tick >= high - abs(high) * 1e-9), default=len(ticks) - 1)
    if last == first:
        first, last = max(first - 1, 0), max(last, min(first + 1, len(ticks) - 1))
    return [round(tick, 12) for tick in ticks[first : last + 1]]
