"""Whether a run is worse than its baseline: a gate for CI."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.intervals import Difference, difference

Result = Literal["pass", "regressed", "inconclusive"]
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is compared and what fails.

    A drop that the randomisation test shows at `alpha` fails. With `max_drop` so does one that large which cannot be ruled
    out: the interval of the difference reaches below -max_drop. `strict`: whatever is inconclusive fails too.
    """

    metric: str
    alpha: float = ALPHA
    max_drop: float | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise InvalidInput(f"alpha is {self.alpha} and must lie between 0 and 1", hint="0.05 is usual")
        if self.max_drop is not None and not 0 <= self.max_drop <= 1:
            raise InvalidInput(f"max_drop is {self.max_drop} and must be 0 to 1", hint="0.02 is two points")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`delta` is ours less the baseline's, [low, high] its 95 % interval, p two-sided, n the number of queries.

    `failed` is what the gate makes of it, `why` the reason in one sentence. `baseline` names the configuration.
    """

    result: Result
    metric: str
    delta: float
    low: float
    high: float
    p: float
    n: int
    failed: bool
    why: str
    baseline: str = ""


def judge(ours: Sequence[float], theirs: Sequence[float], gate: Gate, *, baseline: str = "") -> Verdict:
    """Values of the gate's metric, query by query in the same order."""
    found = difference(ours, theirs)
    result, why = _result(found, gate)
    risky = gate.max_drop is not None and found.low < -gate.max_drop
    failed = result == "regressed" or risky or (gate.strict and result == "inconclusive")
    return Verdict(
        result=result, metric=gate.metric, **found._asdict(), failed=failed, why=why, baseline=baseline
    )  # fmt: skip


def _result(found: Difference, gate: Gate) -> tuple[Result, str]:
    shown = found.p < gate.alpha
    if shown and found.delta < 0:
        return "regressed", f"the drop is more than chance (p = {found.p:.4f}, below {gate.alpha:g})"
    if shown:
        return "pass", f"the gain is more than chance (p = {found.p:.4f}, below {gate.alpha:g})"
    if found.low >= 0:
        same = found.low == found.high == 0
        return "pass", "no query has another value" if same else "the interval of the difference reaches no drop"
    if gate.max_drop is None:
        return "inconclusive", f"neither a drop nor a gain is shown (p = {found.p:.4f}, not below {gate.alpha:g})"
    if found.low >= -gate.max_drop:
        return "pass", f"a drop of more than {gate.max_drop:g} is ruled out"
    return "inconclusive", f"a drop of more than {gate.max_drop:g} is not ruled out"
