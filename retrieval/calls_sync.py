"""Requests to an embedding API, sent from threads; `calls_async` holds the twins."""

import contextvars
import math
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread

from howdah.retrieval.calls import Plan, Request, Stopped
from howdah.retrieval.pace import Pace
from howdah.retrieval.types import Array

GRACE = 3.0
"""Seconds that an interrupted call waits for requests that are under way: they are paid for."""

Call = Callable[[list[str]], Sequence[Sequence[float]]]
Keep = Callable[[Sequence[int], Array], None]
Results = SimpleQueue[tuple[list[int], Array] | BaseException | None]
"""What came back, in that order; None from each thread that ends."""


class Waiting:
    """The waits of one call's requests, which `stop` ends."""

    def __init__(self) -> None:
        self.stopped = Event()
        self._bells: list[Event] = []

    def stop(self) -> None:
        self.stopped.set()
        for bell in list(self._bells):
            bell.set()

    def turn(self, request: Request, pace: Pace) -> None:
        """Wait until the request may begin. Raises Stopped."""
        bell = Event()
        self._bells.append(bell)
        try:
            while not self.stopped.is_set():
                seconds = pace.enter(bell.set, urgent=request.urgent)
                if seconds == 0:
                    request.began = pace.now()
                    return
                if seconds == math.inf:
                    bell.wait()
                    bell.clear()
                else:
                    self.nap(seconds)
        finally:
            self._bells.remove(bell)
        raise Stopped

    def nap(self, seconds: float) -> None:
        self.stopped.wait(seconds)


def send(call: Call, request: Request, pace: Pace, waiting: Waiting) -> Array | None:
    """The request's vectors, sent as often as it takes; None where its halves are to be sent instead.

    Raises Stopped, and what `Request.after` raises.
    """
    while True:
        waiting.turn(request, pace)
        try:
            vectors = call(request.texts)
        except Exception as error:  # noqa: BLE001 - `after` raises what cannot be sent again
            seconds = request.after(error, pace)
        else:
            return request.answered(vectors, pace)
        finally:
            pace.leave()
        if seconds is None:
            return None
        if seconds:
            waiting.nap(seconds)


def run(call: Call, plan: Plan, keep: Keep) -> None:
    """Send all of the plan, and `keep` each request's vectors, in the caller's thread, as they come back.

    After a failure nothing more is sent, what is under way is waited for and kept, and then the failure is raised.
    """
    waiting, workers = Waiting(), plan.workers()
    if workers <= 1:  # no thread: a model may be bound to the caller's
        _work(call, plan, keep, waiting)
        return
    results: Results = SimpleQueue()
    threads = [_started(call, plan, results, waiting) for _ in range(workers)]
    try:
        _gather(results, len(threads), plan, keep, waiting)
    except KeyboardInterrupt:
        _end(plan, waiting, threads)
        _keep_late(results, keep)
        raise
    finally:
        _end(plan, waiting, threads)


def _work(call: Call, plan: Plan, keep: Keep, waiting: Waiting) -> None:
    while (request := plan.take()) is not None:
        waits = [request]
        while waits:
            now = waits.pop()
            vectors = send(call, now, plan.pace, waiting)
            if vectors is None:
                waits += reversed(now.halves())
            else:
                keep(now.places, vectors)


def _started(call: Call, plan: Plan, results: Results, waiting: Waiting) -> Thread:
    def work() -> None:
        try:
            _work(call, plan, lambda places, vectors: results.put((list(places), vectors)), waiting)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            results.put(error)
        finally:
            results.put(None)

    # A daemon: a request that hangs must not keep an interrupted program from ending.
    thread = Thread(target=contextvars.copy_context().run, args=(work,), name="howdah-embedding", daemon=True)
    thread.start()
    return thread


def _gather(results: Results, workers: int, plan: Plan, keep: Keep, waiting: Waiting) -> None:
    failed: BaseException | None = None
    while workers:
        result = results.get()
        if result is None:
            workers -= 1
        elif isinstance(result, BaseException):
            failed = failed or result
            plan.close()
            waiting.stop()
        else:
            keep(*result)
    if failed is not None:
        raise failed


def _end(plan: Plan, waiting: Waiting, threads: list[Thread]) -> None:
    plan.close()
    waiting.stop()
    until = time.monotonic() + GRACE
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _keep_late(results: Results, keep: Keep) -> None:
    while True:
        try:
            result = results.get_nowait()
        except Empty:
            return
        if isinstance(result, tuple):
            keep(*result)
