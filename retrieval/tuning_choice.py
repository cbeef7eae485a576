"""Which of the measured settings a collection is to have. Pure."""

from collections.abc import Sequence
from statistics import mean, median

from howdah.retrieval.tuning_grid import effort, usual_walk
from howdah.retrieval.tuning_types import Point

WALK, MOST = 0.9, 2 / 3
"""Of the usual walk's median what another may take at most, and the share of searches that have to be quicker with it."""


def cheapest(points: Sequence[Point], target: float, *, before: Point) -> Point | None:
    """The setting of the least effort whose recall meets the target in each workload; None where there is none.

    Of one effort it is the usual walk, unless another is clearly quicker. Where `before` meets the target and the cheapest is
    not quicker, it is `before`: less recall for no gain is no bargain.
    """
    meeting = [point for point in points if point.meets(target)]
    if not meeting:
        return None
    least = min(effort(point.options) for point in meeting)
    found = _of_one_effort([point for point in meeting if effort(point.options) == least])
    return before if before.meets(target) and _typical(found) >= _typical(before) else found


def _typical(point: Point) -> float:
    """The mean of the workloads' medians, of each query's least time."""
    return mean(median(each.times) for each in point.measured if each.times)


def _of_one_effort(points: Sequence[Point]) -> Point:
    usual = next((point for point in points if usual_walk(point.options)), None)
    if usual is None:
        return min(points, key=lambda point: point.p50 or 0.0)
    quicker = [point for point in points if len(point.measured) > 1 and _clearly_quicker(point, usual)]
    return min(quicker, key=lambda point: point.p50 or 0.0, default=usual)


def _clearly_quicker(one: Point, other: Point) -> bool:
    """By its median, no slower in its slow searches, and in most single searches: a noisy clock makes it half of them."""
    if one.p50 is None or other.p50 is None or one.p95 is None or other.p95 is None:
        return False
    pairs = [
        mine < theirs
        for ours, its in zip(one.measured, other.measured, strict=True)
        for mine, theirs in zip(ours.times, its.times, strict=True)
    ]
    return one.p50 < WALK * other.p50 and one.p95 <= other.p95 and sum(pairs) >= MOST * len(pairs)
