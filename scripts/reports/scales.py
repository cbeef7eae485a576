"""From values to pixels, and the round numbers that an axis shows. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from howdah.scripts.reports import numbers


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What an axis measures. `low` and `high` fix an end, else the data do; `log`: equal steps are equal factors."""

    label: str
    show: Callable[[float], str] = numbers.short
    low: float | None = None
    high: float | None = None
    log: bool = False


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values from `low` to `high` at pixels from `start` to `end`, which may run backwards."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    ticks: Sequence[float] = field(default=())

    def __call__(self, value: float) -> float:
        return self.start + self._part(value) * (self.end - self.start)

    def _part(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def scale(axis: Axis, values: Sequence[float], start: float, end: float, *, most: int = 6) -> Scale:
    """A scale that holds every value, from tick to tick, with at most about `most` ticks."""
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
    if axis.log and low > 0:
        ticks = _factors(low, high, most)
        return Scale(low=ticks[0], high=ticks[-1], start=start, end=end, log=True, ticks=ticks)
    if high <= low:
        low, high = (low - 0.5, low + 0.5) if axis.low is None else (low, low + 1)
    ticks = rounded(low, high, most)
    bottom = low if axis.low is not None else ticks[0]
    top = high if axis.high is not None else ticks[-1]
    shown = [tick for tick in ticks if bottom - 1e-9 <= tick <= top + 1e-9]
    return Scale(low=bottom, high=top, start=start, end=end, ticks=shown)


def rounded(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`."""
    step = _step((high - low) / max(most - 1, 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _factors(low: float, high: float, most: int) -> list[float]:
    """1, 2, 5, 10, 20 … around the values; powers of ten alone where those are too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        all_ticks = [round(factor * 10.0**power, 12) for power in powers for factor in factors]
        first = max((i for i, tick in enumerate(all_ticks) if tick <= low * (1 + 1e-9)), default=0)
        last = min((i for i, tick in enumerate(all_ticks) if tick >= high * (1 - 1e-9)), default=len(all_ticks) - 1)
        ticks = all_ticks[first : max(last, first + 1) + 1]
        if len(ticks) <= most + 1:
            break
    return ticks
