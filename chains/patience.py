"""Whether a model that failed is asked again: later, with less, or not at all. No I/O."""

from dataclasses import replace

from howdah.chains.turn import Turn
from howdah.retrieval.providers import is_transient, pause, too_large

RETRIES = 2
NARROWINGS = 3  # each halves the passages' characters
LONGEST_WAIT = 20.0  # seconds of pauses for one answer; someone is waiting
_TOO_LONG = frozenset({"context_length_exceeded", "string_above_max_length", "request_too_large"})


class Patience:
    """For one answer. Nothing is asked again once a token has come: the reader may have seen it."""

    def __init__(self, timeout: float | None) -> None:
        self._left = min(LONGEST_WAIT, timeout or LONGEST_WAIT)
        self._tried = 0

    def again(self, error: Exception, turn: Turn, *, began: bool) -> tuple[Turn, float] | None:
        """The turn to ask about next, and the seconds before that; None where `error` is final."""
        if began or _slow(error):
            return None
        if too_long(error):
            narrower = replace(turn, narrowed=turn.narrowed + 1)
            return (narrower, 0.0) if turn.narrowed < NARROWINGS else None
        self._tried += 1
        if self._tried > RETRIES or not is_transient(error):
            return None
        seconds = pause(error, tried=self._tried)
        self._left -= seconds
        return (turn, seconds) if self._left >= 0 else None


def too_long(error: Exception) -> bool:
    """Whether the prompt was too long for the model."""
    named = any("ContextOverflow" in base.__name__ for base in type(error).__mro__)
    return named or too_large(error) or getattr(error, "code", None) in _TOO_LONG


def _slow(error: Exception) -> bool:
    """A time-out, ours or the provider's: its package has tried again by itself."""
    return any("Timeout" in base.__name__ for base in type(error).__mro__)
