"""The threads that hold a worker each and hand it one file after the other."""

import contextlib
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from howdah.retrieval.errors import HowdahError, LoadError
from howdah.retrieval.loaders.archive import Member
from howdah.retrieval.loaders.child import Child, Death, Limits
from howdah.retrieval.loaders.job import Job
from howdah.retrieval.loaders.verdict import verdict
from howdah.retrieval.types import Extract


@dataclass(eq=False, slots=True)
class Task:
    """One job on its way. `done` is called before the result is set; `size` is what the result holds until it is taken."""

    job: Job
    done: "Callable[[Task], None]"
    future: "Future[Extract | LoadError]" = field(default_factory=Future)
    size: int = 0


class Crew:
    """Threads with a worker each, as many as there is work for. They know nothing of the Apart, so that it can go."""

    def __init__(self, limits: Limits, processes: int) -> None:
        self.limits, self.processes = limits, processes
        self._pid, self._lock, self._closed = os.getpid(), threading.RLock(), False
        self._quiet = False
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._children: set[Child] = set()
        self._idle = 0

    def put(self, task: Task) -> None:
        with self._lock:
            if self._closed:
                task.future.cancel()
                return
            self._tasks.put(task)
            if self._idle < self._tasks.qsize() and len(self._threads) < self.processes:
                thread = threading.Thread(target=self._serve, name="howdah-parse", daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self, *, quietly: bool = False) -> None:
        """End every worker; what is asked of them meanwhile or later is cancelled, or ends with an error.

        `quietly`: it is not answered at all.
        """
        if self._pid != os.getpid():
            return  # a fork: the workers are the parent's
        with self._lock:
            self._closed, self._quiet = True, quietly
            children, threads = list(self._children), self._threads
        for child in children:
            child.kill()
        while not quietly and not self._tasks.empty():
            with contextlib.suppress(Empty):
                if (task := self._tasks.get_nowait()) is not None:
                    task.future.cancel()
        for _ in threads:
            self._tasks.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=10)

    def _serve(self) -> None:
        child: Child | None = None
        while (task := self._next()) is not None:
            if not task.future.set_running_or_notify_cancel():
                task.done(task)
                continue
            try:
                child = self._able(child)
                found, task.size = self._found(child, task.job)
            except BaseException as exc:  # noqa: BLE001 (raised in the caller's thread)
                if self._quiet:
                    break
                task.done(task)
                task.future.set_exception(exc)
            else:
                task.done(task)
                task.future.set_result(found)
            del task
        self._part_with(child)

    def _next(self) -> Task | None:
        with self._lock:
            self._idle += 1
        task = self._tasks.get()
        with self._lock:
            self._idle -= 1
        return task

    def _able(self, child: Child | None) -> Child:
        """A worker that can be asked: the one that is there, or a new one."""
        if child is not None and child.able():
            return child
        self._part_with(child)
        child = Child(self.limits)
        with self._lock:
            self._children.add(child)
            closed = self._closed
        if closed:
            child.kill()
        return child

    def _part_with(self, child: Child | None) -> None:
        if child is not None:
            child.end()
            with self._lock:
                self._children.discard(child)

    def _found(self, child: Child, job: Job) -> tuple[Extract | LoadError, int]:
        if isinstance(job.content, Path):
            job = replace(job, content=job.content.absolute())  # the worker is in another folder
        elif isinstance(job.content, Member):
            job = replace(job, content=replace(job.content, archive=job.content.archive.absolute()))
        answer = child.ask(pickle.dumps(job))
        if self._closed:
            raise closed()
        size = 0 if isinstance(answer, Death) else len(answer)
        return verdict(job, answer, self.limits), size


def closed() -> HowdahError:
    return HowdahError("the workers that parse files were closed meanwhile", hint="close them after the last result")
