"""Work that is done ahead of whoever wants it, in a thread, and no further than there is room."""

import contextvars
import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK = 0.1
"""Seconds between two looks whether anybody still wants the work."""


class _End(Generic[T]):
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(items: Iterable[T], *, room: int) -> Generator[T, None, None]:
    """The items in order; up to `room` of them are made while the caller is busy with earlier ones.

    `items` is read, and closed, by a thread of its own; what it raises is raised here, in its place. Closing the
    iterator ends the thread, after the item that it is at.
    """
    made: queue.Queue[T | _End[T]] = queue.Queue(room)
    unwanted = threading.Event()
    context = contextvars.copy_context()
    thread = threading.Thread(target=context.run, args=(_make, items, made, unwanted), name="howdah-ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        thread.join()


def _make(items: Iterable[T], made: "queue.Queue[T | _End[T]]", unwanted: threading.Event) -> None:
    end: _End[T] = _End()
    try:
        for item in items:
            if not _put(made, item, unwanted):
                break
    except BaseException as exc:  # noqa: BLE001 (raised in the caller's thread)
        end = _End(exc)
    finally:
        if isinstance(items, Generator):
            items.close()
    _put(made, end, unwanted)


def _put(made: "queue.Queue[T | _End[T]]", item: "T | _End[T]", unwanted: threading.Event) -> bool:
    """Whether it was put: False where nobody wants it any more."""
    while not unwanted.is_set():
        with suppress(queue.Full):
            made.put(item, timeout=LOOK)
            return True
    return False
