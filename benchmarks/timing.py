"""Timing several ways of doing one thing in turn, pass by pass, so that what else the machine does meets them all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Times(NamedTuple):
    """Milliseconds: the median and the 95th percentile over the queries, each query's being its median repeat."""

    p50: float
    p95: float

    def __str__(self) -> str:
        return f"{self.p50:7.2f} / {self.p95:6.2f}"


def in_turn(ways: Mapping[str, Callable[[T], Any]], items: Sequence[T], *, repeats: int = 3) -> dict[str, list[float]]:
    """Milliseconds of each item by each way, the median of the repeats; way after way in each, after a warm-up.

    A way goes through all items before the next one does: taken in turn for each item, they would push each other's rows
    out of the processor's caches.
    """
    for item in items[:20]:
        for way in ways.values():
            way(item)
    taken: dict[str, list[list[float]]] = {name: [[] for _ in items] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            for place, item in enumerate(items):
                began = time.perf_counter()
                way(item)
                taken[name][place].append((time.perf_counter() - began) * 1_000)
    return {name: [statistics.median(one) for one in each] for name, each in taken.items()}


def times(milliseconds: Sequence[float]) -> Times:
    return Times(statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[-1])


def rows_a_second(load: Callable[[], Any], rows: int) -> float:
    began = time.perf_counter()
    load()
    return rows / (time.perf_counter() - began)
