"""What an answer is measured with: shares with their limits here, the rest as `howdah eval answers` counts it.

None of it is code of the chain that is measured.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

from howdah.chains.evaluation.squad import contains, normalised, token_f1, unmarked
from howdah.chains.evaluation.support import supported, verbatim

__all__ = [
    "Share",
    "contains",
    "digest",
    "normalised",
    "percentile",
    "share",
    "supported",
    "token_f1",
    "unmarked",
    "verbatim",
    "words",
]

Z = 1.96  # of a two-sided 95 % interval


class Share(NamedTuple):
    """`count` of `total`, with its 95 % limits (Wilson, 1927)."""

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else math.nan

    def __str__(self) -> str:
        return f"{self.value:6.1%} [{self.low:.1%}, {self.high:.1%}] of {self.total}"


def share(flags: Sequence[bool]) -> Share:
    count, total = sum(flags), len(flags)
    if not total:
        return Share(0, 0, 0.0, 1.0)
    p, square = count / total, Z * Z
    middle = (p + square / (2 * total)) / (1 + square / total)
    half = Z * math.sqrt(p * (1 - p) / total + square / (4 * total * total)) / (1 + square / total)
    return Share(count, total, max(middle - half, 0.0), min(middle + half, 1.0))


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that `percent` of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(math.ceil(percent / 100 * len(ranked)) - 1, 0)] if ranked else math.nan


def words(text: str) -> int:
    return len(unmarked(text).split())


def digest(sentence: str) -> str:
    """A sentence's name in the labelled sample: 16 hexadecimal digits of the SHA-256 of its words."""
    return hashlib.sha256(" ".join(sentence.split()).encode()).hexdigest()[:16]
