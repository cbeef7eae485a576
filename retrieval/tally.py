"""What this process has done with a database: searches, their times, and embeddings that were kept. Counted, not sent.

A Database has one Tally, so all stores of a URL count together; `metrics.registry` shows it to Prometheus. A forked child
begins at nought.
"""

import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: a search by index takes one to ten milliseconds, one that goes wrong a thousand times that."""
MOST = 1_000
"""Pairs of collection and mode that are told apart; what comes after counts as collection OTHER."""
OTHER = "(other)"

Outcome = Literal["done", "failed"]
Key = tuple[str, str]


@dataclass
class Histogram:
    """Seconds in BUCKETS, the last place for what took longer; `total` is their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += times
        self.total += seconds * times

    def copy(self) -> "Histogram":
        return Histogram(list(self.counts), self.total)

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: how many took at most so long, by the bound as text, the last of them +Inf."""
        found, so_far = [], 0
        for bound, count in zip([*BUCKETS, float("inf")], self.counts, strict=True):
            so_far += count
            found.append(("+Inf" if bound == float("inf") else repr(bound), float(so_far)))
        return found


@dataclass
class Timing:
    """One search while it runs; `database` are the seconds that its statements took."""

    database: float | None = None
    slow: bool = False


@dataclass
class Counts:
    """A copy of a Tally at one moment, by (collection, mode); of the cache by (kind, result)."""

    searches: dict[tuple[str, str, Outcome], int]
    slow: dict[Key, int]
    whole: dict[Key, Histogram]
    database: dict[Key, Histogram]
    cache: dict[tuple[str, str], int]


class Tally:
    """Counts of one Database. Safe across threads; counting a search costs about four microseconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._searches: Counter[tuple[str, str, Outcome]] = Counter()
        self._slow: Counter[Key] = Counter()
        self._whole: dict[Key, Histogram] = {}
        self._database: dict[Key, Histogram] = {}
        self._cache: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def search(self, collection: str, mode: str, *, times: int = 1) -> Iterator[Timing]:
        """Count what happens inside as `times` searches, each with its share of the time; one that raises has failed."""
        timing, began = Timing(), time.perf_counter()
        try:
            yield timing
        except BaseException:
            self._ended(collection, mode, "failed", times, None, timing)
            raise
        self._ended(collection, mode, "done", times, time.perf_counter() - began, timing)

    def _ended(
        self, collection: str, mode: str, outcome: Outcome, times: int, seconds: float | None, timing: Timing
    ) -> None:
        with self._lock:
            key = self._key(collection, mode)
            self._searches[(*key, outcome)] += times
            self._slow[key] += timing.slow
            if seconds is not None:
                self._whole.setdefault(key, Histogram()).add(seconds / times, times)
            if timing.database is not None:
                self._database.setdefault(key, Histogram()).add(timing.database / times, times)

    def cached(self, kind: str, *, found: int, missed: int) -> None:
        """Count embeddings that were looked for in the cache."""
        with self._lock:
            self._cache[kind, "hit"] += found
            self._cache[kind, "miss"] += missed

    def counts(self) -> Counts:
        with self._lock:
            return Counts(
                searches=dict(self._searches),
                slow=dict(self._slow),
                whole={key: item.copy() for key, item in self._whole.items()},
                database={key: item.copy() for key, item in self._database.items()},
                cache=dict(self._cache),
            )

    def _key(self, collection: str, mode: str) -> Key:
        key = (collection, mode)
        return key if key in self._slow or len(self._slow) < MOST else (OTHER, mode)
