"""Streams that end when their reader leaves, also behind another step of a pipeline."""

import linecache
import sys
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Generic, TypeVar

T = TypeVar("T")

_DRAINS = ("_transform_stream_with_config", "input_for_tracing")


class Left(Generic[T]):
    """`chunks`, closed where nobody but a trace reads on.

    When `(chain | f).stream(…)` is closed, LangChain's synchronous pipe does not close the steps before `f`: it reads what
    they give to the end, for its trace (langchain_core, Runnable._transform_stream_with_config), and a model would be
    paid for words that nobody sees. Nothing tells a step of it, so the line that asks is looked at. Where that cannot be
    seen, the stream is read to its end as before.
    """

    def __init__(self, chunks: Iterator[T]) -> None:
        self._chunks, self._begun = chunks, False

    def __iter__(self) -> "Left[T]":
        return self

    def __next__(self) -> T:
        if self._begun and _drained():
            self.close()
            raise StopIteration
        self._begun = True  # the first one is always asked for by the trace
        return next(self._chunks)

    def close(self) -> None:
        if isinstance(self._chunks, Generator):
            self._chunks.close()


def _drained() -> bool:
    function, name = _DRAINS
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_name == function and name in linecache.getline(code.co_filename, frame.f_lineno):
            return True
        frame = frame.f_back
    return False
