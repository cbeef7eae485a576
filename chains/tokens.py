"""A model's tokens, each waited for only so long."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


def timed(tokens: Generator[T], limit: float | None) -> Generator[T]:
    """`tokens`, none of which may take more than `limit` seconds: else TimeoutError. Left early, the model is stopped.

    Each is made in a thread of its own, since nothing interrupts a read. A model that is still at one when the time is up
    is stopped as soon as it has it.
    """
    if limit is None:
        with closing(tokens):
            yield from tokens
        return
    worker = _Worker(tokens)
    try:
        while True:
            try:
                token = worker.next(limit)
            except StopIteration:
                return
            yield token
    finally:
        worker.stop()


async def atimed(tokens: AsyncGenerator[T], limit: float | None) -> AsyncGenerator[T]:
    """As `timed`; a model that is too slow is stopped at once."""
    async with aclosing(tokens):
        while True:
            try:
                async with asyncio.timeout(limit):
                    token = await anext(tokens)
            except StopAsyncIteration:
                return
            yield token


class _Worker(Generic[T]):
    """Runs a generator one step at a time, when it is asked to, in the context that it was made in."""

    def __init__(self, tokens: Generator[T]) -> None:
        self._tokens, self._busy = tokens, False
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._found: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()
        self._thread = Thread(target=copy_context().run, args=(self._work,), name="howdah-model", daemon=True)
        self._thread.start()

    def next(self, limit: float) -> T:
        self._busy = True
        self._wanted.put(True)
        try:
            found, error = self._found.get(timeout=limit)
        except Empty:
            raise TimeoutError(f"the model said nothing for {limit:g} s") from None
        self._busy = False
        if error is not None:
            raise error
        return found[0]

    def stop(self) -> None:
        """Close the generator: at once where it rests, else when its step is done, which is not waited for."""
        self._wanted.put(False)
        if not self._busy:
            self._thread.join()

    def _work(self) -> None:
        with closing(self._tokens):
            while self._wanted.get():
                try:
                    self._found.put(([next(self._tokens)], None))
                except BaseException as error:  # noqa: BLE001 - raised again where the token is wanted
                    self._found.put(([], error))
