"""Memory that was freed goes back to the system.

glibc keeps what several threads freed for the next time, a heap a thread, and a heap with one living object at its end keeps
all of it: a process that reads many files then grows with their number, although it holds no more at once.
"""

import ctypes
import functools
import sys
from collections.abc import Callable


def give_back() -> None:
    """Return freed memory, some milliseconds' work; where the C library has no such call nothing happens."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


class Freed:
    """Gives back each time that so many chunks have been written and let go."""

    def __init__(self, *, every: int) -> None:
        self.every, self._chunks = every, 0

    def after(self, chunks: int) -> None:
        self._chunks += chunks
        if self._chunks >= self.every:
            self._chunks = 0
            give_back()


@functools.cache
def _malloc_trim() -> "Callable[[int], int] | None":
    """glibc's malloc_trim(3)."""
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
