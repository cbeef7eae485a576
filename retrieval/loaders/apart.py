"""Files parsed in processes of their own: one that hangs, eats memory or crashes is cut off, and the rest goes on."""

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Self

from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.loaders.child import Limits
from howdah.retrieval.loaders.crew import Crew, Task, closed
from howdah.retrieval.loaders.job import Job
from howdah.retrieval.types import Extract

AHEAD = 8
"""Jobs for each process that are taken from the caller's before it has taken the results of earlier ones."""
HELD = 32 << 20
"""Bytes of finished results from which no further file is begun before the caller has taken some."""
PARSE = "howdah.retrieval.loaders.job:parse"


class Apart:
    """Worker processes that parse files. None is started before there is a file to parse.

    Args:
        processes: at most so many at once; default the cores that this process may use.
        seconds: how long one file may take, by the clock.
        megabytes: the address space that one file may take, above what a worker has at its start. Where the system
            takes no such limit (macOS), the other limits hold.
        parse: "module:function" that makes a Job's Extract in the worker; for tests.

    Threads may share one. Close it, or use it with `with`: no worker is left then. Workers end with this process
    too, however that ends, and a fork of it starts its own.

    Raises InvalidInput for limits that are not positive.
    """

    def __init__(
        self, *, processes: int | None = None, seconds: float = 60, megabytes: int = 2_048, parse: str = PARSE
    ) -> None:
        for name, value in (("processes", processes), ("seconds", seconds), ("megabytes", megabytes)):
            if value is not None and not value > 0:
                raise InvalidInput(f"{name} must be positive, got {value!r}")
        self.processes = processes or _usable_cores()
        self.limits = Limits(seconds=seconds, megabytes=megabytes, parse=parse)
        self._crew: Crew | None = None
        self._lock = threading.Lock()
        _ALL.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def extract(self, job: Job) -> Extract:
        """The job's text. Raises LoadError where the file gives none, and where it was cut off."""
        [(_, found)] = self.extracts([job])
        if isinstance(found, LoadError):
            raise found
        return found

    def extracts(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Extract | LoadError]]:
        """Each job with its text, or the reason why there is none, in the order of `jobs`.

        `jobs` is read by the caller's thread, a few ahead.
        """
        line = _Line(self._started(), jobs, ahead=AHEAD * self.processes)
        try:
            yield from line
        finally:
            line.drop()

    def close(self) -> None:
        """End the workers. What still waits for a result gets an error; a later call starts anew."""
        with self._lock:
            crew, self._crew = self._crew, None
        if crew is not None:
            crew.close()

    def _started(self) -> "Crew":
        with self._lock:
            if self._crew is None:
                self._crew = Crew(self.limits, self.processes)
                weakref.finalize(self, self._crew.close).atexit = False
            return self._crew

    def forget(self) -> None:
        """In a fork: the workers are the parent's, and so may be a lock that another thread held."""
        self._crew, self._lock = None, threading.Lock()

    def abandon(self) -> None:
        """When the program ends: end the workers, and leave daemon threads that wait for them to their own end."""
        if self._crew is not None:
            self._crew.close(quietly=True)


_ALL: "weakref.WeakSet[Apart]" = weakref.WeakSet()


def _each(deed: Callable[[Apart], None]) -> None:
    for apart in list(_ALL):
        deed(apart)


os.register_at_fork(after_in_child=lambda: _each(Apart.forget))
atexit.register(_each, Apart.abandon)


class _Line:
    """One caller's jobs: begun in order, and given back in order."""

    def __init__(self, crew: "Crew", jobs: Iterable[Job], *, ahead: int) -> None:
        self._crew, self._jobs, self._ahead = crew, iter(jobs), ahead
        self._lock = threading.RLock()
        self._untaken: deque[Task] = deque()
        self._waiting: deque[Task] = deque()
        self._running = self._held = 0

    def __iter__(self) -> Iterator[tuple[Job, Extract | LoadError]]:
        while True:
            self._fill()
            if not self._untaken:
                return
            task = self._untaken.popleft()
            try:
                found = task.future.result()
            except CancelledError as exc:
                raise closed() from exc
            with self._lock:
                self._held -= task.size
                self._begin()
            yield task.job, found

    def _fill(self) -> None:
        while len(self._untaken) < self._ahead and (job := next(self._jobs, None)) is not None:
            task = Task(job, self._done)
            with self._lock:
                self._untaken.append(task)
                self._waiting.append(task)
                self._begin()

    def _begin(self) -> None:
        """Have workers take what there is room for. In order: the result that the caller waits for is never held up."""
        while self._waiting and self._running < self._crew.processes and self._held < HELD:
            self._running += 1
            self._crew.put(self._waiting.popleft())

    def _done(self, task: Task) -> None:
        with self._lock:
            self._running -= 1
            self._held += task.size
            self._begin()

    def drop(self) -> None:
        """The caller wants no more."""
        with self._lock:
            self._waiting.clear()
            for task in self._untaken:
                task.future.cancel()


def _usable_cores() -> int:
    from howdah.retrieval.local_models import usable_cores

    return usable_cores()
