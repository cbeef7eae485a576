"""What one run of the agent has found: passages numbered in the order in which they came, whatever search they came by."""

import threading

from howdah.chains.numbered import passage
from howdah.chains.turn import Turn
from howdah.retrieval.types import Hit

NOTHING = "No passage fits. Search in other words, or for something else."
NO_MORE = "There are no more searches. Answer now, from the passages that you have."
FAILED = "The search failed. Try it once more, or answer from the passages that you have."


class Run:
    """The state of one question; searches at the same time may write to it.

    `begun` counts the searches that the model asked for, `done` those that went through; `error` is of the last one that
    failed; `sufficient` says that one found something to answer from.
    """

    def __init__(self, turn: Turn, searches: int) -> None:
        self.turn, self.searches = turn, searches
        self.begun = self.done = 0
        self.sufficient = False
        self.error: Exception | None = None
        self.hits: list[Hit] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def begin(self) -> bool:
        """Whether one more search is allowed; it counts."""
        with self._lock:
            self.begun += 1
            return self.begun <= self.searches

    def failed(self, error: Exception) -> str:
        self.error = error
        return FAILED

    def found(self, turn: Turn, limit: int) -> str:
        """Take the passages that a search showed, and say them to the model: new ones in full, others by number."""
        with self._lock:
            self.done += 1
            if turn.refused:
                self._keep(turn.hits)
                return NOTHING
            self.sufficient = True
            known = len(self.hits)
            numbers = self._keep(turn.hits[: turn.shown])
        return _said(turn, numbers, known, limit)

    def _keep(self, hits: tuple[Hit, ...]) -> list[int]:
        numbers = []
        for hit in hits:
            key = hit.id or f"{hit.source}\n{hit.content}"
            if key not in self._numbers:
                self.hits.append(hit)
                self._numbers[key] = len(self.hits)
            numbers.append(self._numbers[key])
        return numbers


def _said(turn: Turn, numbers: list[int], known: int, limit: int) -> str:
    parts: list[str] = []
    for hit, n in zip(turn.hits, numbers, strict=False):
        if n > known:
            text = passage(hit, n, question=turn.query, limit=limit)
            limit -= len(text)
            parts.append(text)
    if again := [f"[{n}]" for n in numbers if n <= known]:
        parts.append(f"Found again: {', '.join(again)}")
    return "\n".join(filter(None, parts))
