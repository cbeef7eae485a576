"""How fast one model's API is called: what all requests of this process to it share. Nothing here waits.

Additive increase, multiplicative decrease (Chiu and Jain, 1989), as TCP has it: after a refusal half as many requests
at once, then one more for each round of answers.
"""

import math
import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.providers import pause

IN_FLIGHT = 4
"""Requests that one call has under way at once."""
MOST = 64
"""Requests of all calls of this process together."""
TEXTS, SIZE = 256, 900_000
"""Texts and UTF-8 bytes of one request. OpenAI takes 300,000 tokens; three bytes a token is more than most texts need."""
SMALLEST = 24_000
"""Bytes below which no refusal brings a request: some 8,000 tokens, what most models read of one text."""


class Split(NamedTuple):
    """What is known of a request that was too large when both its halves were not."""

    texts: int
    size: int
    counted: bool
    """Whether the API spoke of the number of texts, not of their length."""


class Pace:
    """When the next request to one model may begin, and how large it may be. For any thread and event loop."""

    def __init__(self, in_flight: int = IN_FLIGHT) -> None:
        self.in_flight, self.texts, self.size = in_flight, TEXTS, SIZE
        self.answered_at = -math.inf
        self._lock = threading.Lock()
        self._width, self._under_way = float(MOST), 0
        self._not_before = self._lowered_at = -math.inf
        self._refusals = 0
        self._bells: list[Callable[[], None]] = []

    @property
    def texts_at_once(self) -> int:
        """Texts that one call needs to have all its requests in flight."""
        return self.in_flight * self.texts

    def now(self) -> float:
        return monotonic()

    def enter(self, bell: Callable[[], None], *, urgent: bool = False) -> float:
        """0 where a request may begin, which then must `leave`; else seconds after which to ask again.

        Infinity: when `bell` is called, once, from any thread. An `urgent` request, a query that somebody waits for,
        waits for no other to end, but for the time that the API has asked for.
        """
        with self._lock:
            held = self._not_before - self.now()
            if held > 0:
                return held
            if not urgent and self._under_way >= int(self._width):
                self._bells.append(bell)
                return math.inf
            self._under_way += 1
            return 0.0

    def leave(self) -> None:
        with self._lock:
            self._under_way -= 1
            bells, self._bells = self._bells, []
        for bell in bells:
            bell()

    def answered(self, *, began: float) -> None:
        """A request that began then has its vectors."""
        with self._lock:
            self.answered_at = self.now()
            if began >= self._lowered_at:  # not one that was under way when another was refused
                self._refusals = 0
                self._width = min(MOST, self._width + 1 / self._width)

    def busy(self, error: BaseException, *, began: float) -> None:
        """A request that began then was refused for now: all wait as the API asks, or ever longer."""
        with self._lock:
            now = self.now()
            if began >= self._lowered_at:  # of requests that were refused together, one halves
                self._refusals += 1
                self._width = max(1.0, min(self._width, self._under_way) / 2)
                self._lowered_at = now
            self._not_before = max(self._not_before, now + pause(error, tried=self._refusals))

    def fits(self, split: Split) -> None:
        """Make requests no larger than what was taken, so that the next ones are not refused first."""
        with self._lock:
            if split.counted:
                self.texts = min(self.texts, split.texts)
            else:
                self.size = max(SMALLEST, min(self.size, split.size))


_paces: dict[str, Pace] = {}


def pace_of(model: str, *, in_flight: int) -> Pace:
    """The one pace of that model in this process; made with `in_flight` where there is none."""
    return _paces.setdefault(model, Pace(in_flight))


def checked_in_flight(count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise InvalidInput(f"requests in flight is {count!r}, wanted a whole number from 1 to {MOST}")
    return count


# In a forked child another of the parent's threads may have held a lock.
os.register_at_fork(after_in_child=_paces.clear)
