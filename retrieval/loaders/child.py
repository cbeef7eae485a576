"""One worker process as its parent holds it: start it, ask it one thing within a time, end it."""

import contextlib
import functools
import json
import logging
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from howdah.retrieval.errors import DependencyMissing

WORKER = Path(__file__).with_name("worker.py")
PATIENCE = 60.0  # seconds that a worker may take to start
_LENGTH = 8
_PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one file may cost, and which function ("module:name") parses it."""

    seconds: float
    megabytes: int
    parse: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """How a worker ended: too slow, or with this status (a signal's negative number), its memory at most so much."""

    slow: bool = False
    status: int = 0
    peak: int = 0


class Child:
    """A worker that parses one file after the other. Used by one thread; `kill` may be called from any."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self._lock, self.alive = limits, threading.RLock(), True
        self._own_peak = _peak_of_this_process()
        with tempfile.TemporaryFile() as log:
            self._process = _spawn(log)
            try:
                self.limited = self._begin(log)
            except BaseException:
                self.end()
                raise

    def _begin(self, log: IO[bytes]) -> bool:
        """Say where to import from and what the limits are; whether memory could be limited."""
        order = {
            "parent": os.getpid(),
            "path": [entry or str(Path.cwd()) for entry in sys.path if isinstance(entry, str)],
            "parse": self.limits.parse,
            "seconds": self.limits.seconds,
            "megabytes": self.limits.megabytes,
        }
        answer = self.ask(json.dumps(order).encode(), seconds=PATIENCE)
        if isinstance(answer, Death):
            raise _not_started(answer, log)
        _, limited = pickle.loads(answer)  # noqa: S301 (sent before any file was looked at)
        if not limited:
            _note_unlimited()
        return bool(limited)

    def ask(self, order: bytes, *, seconds: float | None = None) -> bytes | Death:
        """The answer to `order`, or how the worker ended on the way; then it is gone and another must be started."""
        deadline = time.monotonic() + (self.limits.seconds if seconds is None else seconds)
        try:
            self._write(len(order).to_bytes(_LENGTH, "big"), deadline)
            self._write(order, deadline)
            size = int.from_bytes(self._read(_LENGTH, deadline), "big")
            self.alive = self._read(1, deadline) == b"+"
            return self._read(size, deadline)
        except (EOFError, BrokenPipeError):
            return self._buried()
        except TimeoutError:
            self.end()
            return Death(slow=True)

    def able(self) -> bool:
        """Whether it can be asked: it did not say goodbye, and nobody ended it since."""
        self._reap(seconds=0)
        return self.alive and self._process.returncode is None

    def _write(self, data: bytes, deadline: float) -> None:
        rest, fd = memoryview(data), self._pipe("stdin")
        while rest:
            _wait(fd, selectors.EVENT_WRITE, deadline)
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(fd, rest[:_PIECE]) :]

    def _read(self, size: int, deadline: float) -> bytes:
        data, fd = bytearray(), self._pipe("stdout")
        while len(data) < size:
            _wait(fd, selectors.EVENT_READ, deadline)
            piece = os.read(fd, min(size - len(data), _PIECE))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def _pipe(self, name: str) -> int:
        fd: int = getattr(self._process, name).fileno()
        return fd

    def _buried(self) -> Death:
        """The pipe is closed: the process has ended, or is about to."""
        peak = self._reap(seconds=5)
        status = self._process.returncode or 0
        self.end()
        # What a process inherits when it is started counts as its own: only more than the parent's tells anything.
        return Death(status=status, peak=peak if peak > self._own_peak else 0, slow=status == -signal.SIGALRM)

    def _reap(self, *, seconds: float) -> int:
        """Wait for the end, at most so long; the most memory that it had, in bytes."""
        deadline = time.monotonic() + seconds
        while self._process.returncode is None:
            with self._lock:
                try:
                    pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
                except ChildProcessError:  # somebody else waits for every child of this process
                    self._process.returncode = 0
                    return 0
                if pid:
                    self._process.returncode = os.waitstatus_to_exitcode(status)
                    return _bytes(usage.ru_maxrss)
            if time.monotonic() >= deadline:
                break
            time.sleep(0.002)
        return 0

    def kill(self) -> None:
        """End the process and what it started; its thread then finds the pipe closed."""
        with self._lock:
            self.alive = False
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """As `kill`, and leave nothing behind: no zombie, no descriptor."""
        self.kill()
        self._reap(seconds=5)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _spawn(log: IO[bytes]) -> "subprocess.Popen[bytes]":
    if not sys.executable:
        raise DependencyMissing(
            "parsing files apart needs a Python interpreter to start, and this program does not know its own",
            hint="set sys.executable to one that has howdah installed",
        )
    # A session of its own: Ctrl-C in the terminal reaches the parent alone, and the group can be ended as a whole. -P,
    # or the modules beside the worker (html) could pass for the standard library's.
    process = subprocess.Popen(
        [sys.executable, "-P", str(WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd="/",
        bufsize=0,
        start_new_session=True,
    )
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


@functools.cache
def _note_unlimited() -> None:
    logging.getLogger("howdah.retrieval").info("this system limits no address space: only time ends a parser")


def _wait(fd: int, event: int, deadline: float) -> None:
    """Until `fd` can be read or written. Raises TimeoutError at the deadline."""
    with selectors.PollSelector() as selector:
        selector.register(fd, event)
        if not selector.select(timeout=max(0.0, deadline - time.monotonic())):
            raise TimeoutError


def _peak_of_this_process() -> int:
    import resource

    return _bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _bytes(maxrss: int) -> int:
    return maxrss * (1 if sys.platform == "darwin" else 1024)


def _not_started(death: Death, log: IO[bytes]) -> DependencyMissing:
    log.seek(0)
    lines = [line.strip() for line in log.read(1 << 20).decode(errors="replace").split("\n")]
    last = next((line for line in reversed(lines) if line), f"it said nothing (exit status {death.status})")
    what = f"did not start within {PATIENCE:.0f} s" if death.slow else f"did not start: {last[:240]}"
    return DependencyMissing(f"the process that parses files {what}", hint=f"try: {sys.executable} -c 'import howdah'")
