"""Requests to an embedding API, sent from tasks; one for one as `calls_sync` sends them from threads."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from howdah.retrieval.calls import Plan, Request, Stopped
from howdah.retrieval.pace import Pace
from howdah.retrieval.types import Array

Call = Callable[[list[str]], Awaitable[Sequence[Sequence[float]]]]
Keep = Callable[[Sequence[int], Array], Awaitable[None]]


class Waiting:
    """The waits of one call's requests, which `stop` ends."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self._bells: list[asyncio.Event] = []

    def stop(self) -> None:
        self.stopped.set()
        for bell in self._bells:
            bell.set()

    async def turn(self, request: Request, pace: Pace) -> None:
        """Wait until the request may begin. Raises Stopped."""
        bell, loop = asyncio.Event(), asyncio.get_running_loop()

        def ring() -> None:
            with suppress(RuntimeError):  # a closed loop: of a call that was cancelled, and whose bell stayed behind
                loop.call_soon_threadsafe(bell.set)

        self._bells.append(bell)
        try:
            while not self.stopped.is_set():
                seconds = pace.enter(ring, urgent=request.urgent)
                if seconds == 0:
                    request.began = pace.now()
                    return
                if seconds == math.inf:
                    await bell.wait()
                    bell.clear()
                else:
                    await self.nap(seconds)
        finally:
            self._bells.remove(bell)
        raise Stopped

    async def nap(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopped.wait()


async def send(call: Call, request: Request, pace: Pace, waiting: Waiting) -> Array | None:
    """The request's vectors, sent as often as it takes; None where its halves are to be sent instead.

    Raises Stopped, and what `Request.after` raises.
    """
    while True:
        await waiting.turn(request, pace)
        try:
            vectors = await call(request.texts)
        except Exception as error:  # noqa: BLE001 - `after` raises what cannot be sent again
            seconds = request.after(error, pace)
        else:
            return request.answered(vectors, pace)
        finally:
            pace.leave()
        if seconds is None:
            return None
        if seconds:
            await waiting.nap(seconds)


async def run(call: Call, plan: Plan, keep: Keep) -> None:
    """Send all of the plan, and `keep` each request's vectors, one at a time, as they come back.

    After a failure nothing more is sent, what is under way is waited for and kept, and then the failure is raised.
    A call that is cancelled breaks off its requests.
    """
    waiting, workers, turn = Waiting(), plan.workers(), asyncio.Lock()
    failed: list[Exception] = []

    async def kept(places: Sequence[int], vectors: Array) -> None:
        async with turn:
            await keep(places, vectors)

    async def worker() -> None:
        try:
            await _work(call, plan, kept, waiting)
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - raised again when the others are back
            failed.append(error)
            plan.close()
            waiting.stop()

    if workers <= 1:
        await _work(call, plan, keep, waiting)
        return
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
    if failed:
        raise failed[0]


async def _work(call: Call, plan: Plan, keep: Keep, waiting: Waiting) -> None:
    while (request := plan.take()) is not None:
        waits = [request]
        while waits:
            now = waits.pop()
            vectors = await send(call, now, plan.pace, waiting)
            if vectors is None:
                waits += reversed(now.halves())
            else:
                await keep(now.places, vectors)
