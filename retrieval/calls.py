"""Texts cut into requests to an embedding API, what a request's errors mean, and its vectors checked. No I/O.

`calls_sync` and `calls_async` send them.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from howdah.retrieval.errors import HowdahError, ModelUnavailable
from howdah.retrieval.pace import Pace, Split
from howdah.retrieval.providers import (
    failure,
    is_bug,
    is_busy,
    is_transient,
    pause,
    retry_after,
    sentence,
    speaks_of_count,
    status,
    too_large,
)
from howdah.retrieval.types import Array

PATIENCE = 600.0
"""Seconds without any answer from a busy API until a call gives up."""


class Stopped(Exception):
    """Another request of the call failed for good, or the call was interrupted: this one is not sent."""


@dataclass(kw_only=True)
class Halves:
    """Both halves of a request that was too large, until both are answered."""

    split: Split
    answered: int = 0


@dataclass(kw_only=True)
class Request:
    """Texts of one call to an API, their places among all texts, and how it went so far."""

    model: str
    texts: list[str]
    places: list[int]
    attempts: int = 4
    urgent: bool = False
    """A query: somebody waits for it, so that an API that is busy costs it an attempt."""
    halves_of: Halves | None = None
    began: float = 0.0
    tried: int = 0
    busy_since: float | None = None

    @property
    def what(self) -> str:
        number = len(self.texts)
        return f"embedding {number} text{'s' if number > 1 else ''} with {self.model!r}"

    def after(self, error: Exception, pace: Pace) -> float | None:
        """Seconds to wait before it is sent again, besides the pace's; None where its halves are to be sent instead.

        Raises what the caller shall see where neither helps.
        """
        if isinstance(error, HowdahError) or is_bug(error):
            raise error
        if too_large(error):
            self._halve(error)
            return None
        if is_transient(error) and is_busy(error):
            pace.busy(error, began=self.began)
            self._still_patient(error, pace)
            return 0.0
        self._count(error)
        return pause(error, tried=self.tried)

    def _halve(self, error: Exception) -> None:
        if len(self.texts) == 1:
            raise failure(error, what=self.what, tried=self.tried + 1, first=self.texts[0][:60]) from error
        self.halves_of = Halves(split=self._split(error))

    def _count(self, error: Exception) -> None:
        self.tried += 1
        if self.tried < self.attempts and is_transient(error):
            return
        first = self.texts[0][:60] if len(self.texts) == 1 else None
        raise failure(error, what=self.what, tried=self.tried, first=first) from error

    def _still_patient(self, error: Exception, pace: Pace) -> None:
        """Rate limits are ordinary, and cost no attempt as long as anything is answered.

        A 503 that asks for no time, of a model that has never answered, may be an address with nothing behind it.
        """
        dead = status(error) == 503 and retry_after(error) is None and pace.answered_at == -np.inf
        if self.urgent or dead:
            self._count(error)
            return
        now = pace.now()
        self.busy_since = now if self.busy_since is None else self.busy_since
        if now - max(self.busy_since, pace.answered_at) > PATIENCE:
            message = f"{self.what} failed: the API was busy for {PATIENCE / 60:.0f} minutes: {sentence(error)}"
            hint = "try again later, with fewer requests at once, or have the account's rate limit raised"
            raise ModelUnavailable(message, hint=hint) from error

    def _split(self, error: Exception) -> Split:
        middle = (len(self.texts) + 1) // 2
        size = max(_size(self.texts[:middle]), _size(self.texts[middle:]))
        return Split(texts=middle, size=size, counted=speaks_of_count(error))

    def halves(self) -> "list[Request]":
        """Two requests for its texts, in order."""
        middle = (len(self.texts) + 1) // 2
        return [
            Request(
                model=self.model,
                texts=self.texts[part],
                places=self.places[part],
                attempts=self.attempts,
                halves_of=self.halves_of,
            )
            for part in (slice(middle), slice(middle, None))
        ]

    def answered(self, vectors: Sequence[Sequence[float]], pace: Pace) -> Array:
        """The vectors, checked; tells the pace."""
        found = matrix(vectors, self.texts)
        pace.answered(began=self.began)
        if self.halves_of is not None:
            self.halves_of.answered += 1
            if self.halves_of.answered == 2:
                pace.fits(self.halves_of.split)
        return found


def _size(texts: Sequence[str]) -> int:
    """UTF-8 bytes: closer to tokens than characters are, for scripts whose letters are a token or more."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


@dataclass(kw_only=True)
class Plan:
    """The texts of one call that are not sent yet, for several threads or tasks to take from."""

    model: str
    texts: list[str]
    pace: Pace
    attempts: int = 4
    _next: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def workers(self) -> int:
        """How many requests are worth having in flight at once."""
        by_count, by_size = len(self.texts) / self.pace.texts, _size(self.texts) / self.pace.size
        return min(self.pace.in_flight, int(np.ceil(max(by_count, by_size))))

    def take(self) -> Request | None:
        """The next request, no larger than the API is known to take; None where nothing is left."""
        with self._lock:
            begin = end = self._next
            size = 0
            while end < len(self.texts) and end - begin < self.pace.texts:
                size += _size(self.texts[end : end + 1])
                if size > self.pace.size and end > begin:
                    break
                end += 1
            self._next = end
            if begin == end:
                return None
            places = list(range(begin, end))
            return Request(model=self.model, texts=self.texts[begin:end], places=places, attempts=self.attempts)

    def close(self) -> None:
        """Let no further request begin."""
        with self._lock:
            self._next = len(self.texts)


class Vectors:
    """The vectors of all texts of a call, put in place as their requests are answered."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.array: Array = np.empty((0, 0), dtype=np.float32)

    def keep(self, places: Sequence[int], vectors: Array) -> None:
        width = vectors.shape[1]
        if not self.array.size:
            self.array = np.empty((self._number, width), dtype=np.float32)
        elif self.array.shape[1] != width:
            raise ModelUnavailable("the embedding model changed the length of its vectors between two calls")
        self.array[list(places)] = vectors

    async def akeep(self, places: Sequence[int], vectors: Array) -> None:
        self.keep(places, vectors)


def matrix(vectors: Sequence[Sequence[float]], texts: list[str]) -> Array:
    """What a model returned, shape (n, d), float32. Raises ModelUnavailable for what are not n finite vectors."""
    if len(vectors) != len(texts):
        raise ModelUnavailable(f"the embedding model returned {len(vectors)} vectors for {len(texts)} texts")
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1 or 0 in lengths:
        raise ModelUnavailable(f"the embedding model returned vectors of {sorted(lengths)} numbers, wanted one length")
    found = np.asarray(vectors, dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if wrong.size:
        message = f"the embedding model returned NaN or infinite numbers for {wrong.size} of {len(texts)} texts"
        raise ModelUnavailable(message, hint=f"the first is {texts[wrong[0]][:60]!r}")
    return found
