"""All outcomes in a few numbers: means with intervals, latency, and risk over coverage. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from howdah.chains.calibrate import Point, curve
from howdah.chains.evaluation.outcome import MEASURES, Outcome
from howdah.retrieval.evaluation.intervals import Interval, interval

PERCENTS = (50, 95, 99)


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """Risk over coverage at each threshold; `coverage` and `risk` are those that the chain's own threshold gives.

    Coverage is the share of all questions that are answered, risk the share of these whose answer is not right.
    """

    threshold: float | None
    coverage: float
    risk: float
    points: Sequence[Point] = ()


@dataclass(frozen=True, kw_only=True)
class Summary:
    """`counts` says how many questions each mean is of."""

    queries: int
    metrics: Mapping[str, Interval]
    counts: Mapping[str, int]
    latency_ms: Mapping[str, float]
    refusals: Refusals
    kinds: Mapping[str, int] = field(default_factory=dict)


def summarise(outcomes: Sequence[Outcome], *, threshold: float | None) -> Summary:
    """Of at least one outcome. A measure that no question has a value of is left out."""
    values = {name: [each.values[name] for each in outcomes if name in each.values] for name in MEASURES}
    times = [each.ms for each in outcomes]
    unanswerable = sum(each.unanswerable for each in outcomes)
    return Summary(
        queries=len(outcomes),
        metrics={name: interval(its) for name, its in values.items() if its},
        counts={name: len(its) for name, its in values.items() if its},
        latency_ms={f"p{percent}": percentile(times, percent) for percent in PERCENTS},
        refusals=refusals(outcomes, threshold=threshold),
        kinds={"answerable": len(outcomes) - unanswerable, "unanswerable": unanswerable},
    )


def refusals(outcomes: Sequence[Outcome], *, threshold: float | None) -> Refusals:
    """A question to which there is no answer at any threshold, for the model gave none, counts as not covered."""
    possible = [each for each in outcomes if each.would_be_right is not None and each.chance is not None]
    points = curve([each.chance or 0.0 for each in possible], [bool(each.would_be_right) for each in possible])
    whole = len(possible) / len(outcomes)
    answered = [each for each in outcomes if not each.refused]
    wrong = sum(each.values["right"] == 0 for each in answered)
    return Refusals(
        threshold=threshold,
        coverage=len(answered) / len(outcomes),
        risk=wrong / len(answered) if answered else 0.0,
        points=[Point(each.threshold, each.coverage * whole, each.risk) for each in points],
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that `percent` of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(math.ceil(percent / 100 * len(ranked)) - 1, 0)]


def to_json(found: Summary) -> dict[str, Any]:
    """In the shape of `howdah eval retrieval`, with `refusals` beside it."""
    its = found.refusals
    return {
        "metrics": {
            name: {"mean": each.mean, "low": each.low, "high": each.high, "n": found.counts[name]}
            for name, each in found.metrics.items()
        },
        "queries": found.queries,
        **found.kinds,
        "latency_ms": {name: round(ms, 1) for name, ms in found.latency_ms.items()},
        "refusals": {
            "threshold": its.threshold,
            "coverage": its.coverage,
            "risk": its.risk,
            "curve": [each._asdict() for each in its.points],
        },
    }
