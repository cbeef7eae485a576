"""File locks that end with their process, and waits that say what they wait for."""

import os
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

from howdah.retrieval.embedded_watch import is_same_file, open_lock, try_lock
from howdah.retrieval.errors import EmbeddedError

Progress = Callable[[str], None]
LOCK_SECONDS = 1800.0
REPORT_SECONDS = 5.0


class FileLock:
    """A granted lock on `path`: until `close`, or until this process ends, however it ends.

    Programs started from here do not inherit it; a forked child takes a shared lock again for itself and drops an
    exclusive one.
    """

    _all: ClassVar["weakref.WeakSet[FileLock]"] = weakref.WeakSet()
    _follows_forks: ClassVar[bool] = False

    def __init__(self, fd: int, path: Path, *, shared: bool) -> None:
        self.fd, self.path, self.shared = fd, path, shared
        if not FileLock._follows_forks:
            FileLock._follows_forks = True
            os.register_at_fork(after_in_child=FileLock._after_fork)
        FileLock._all.add(self)

    @classmethod
    def attempt(cls, path: Path, *, shared: bool = False) -> Self | None:
        """The lock if it is free at this moment.

        Raises:
            EmbeddedError: the file cannot be opened, or its file system has no locks.
        """
        fd = -1
        try:
            fd = open_lock(path)
            # A waiter may be granted the lock of a file that its last holder removed: is_same_file tells.
            if try_lock(fd, shared=shared) and is_same_file(fd, path):
                lock, fd = cls(fd, path, shared=shared), -1
                return lock
        except OSError as exc:
            raise EmbeddedError(
                f"{path} cannot be locked ({exc.strerror})", hint="set HOWDAH_HOME to a folder of yours on a local disk"
            ) from exc
        finally:
            if fd >= 0:
                os.close(fd)
        return None

    def close(self) -> None:
        # No LOCK_UN: it would also release the lock of a child that was forked and has not taken its own yet.
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @classmethod
    def _after_fork(cls) -> None:
        for lock in list(cls._all):
            inherited, lock.fd = lock.fd, -1
            if inherited < 0:
                continue
            if lock.shared and is_same_file(inherited, lock.path):
                # Granted at once: what was inherited is still held, so nobody can have the exclusive lock.
                lock.fd = open_lock(lock.path)
                try_lock(lock.fd, shared=True)
            os.close(inherited)


def wait_for_lock(path: Path, *, shared: bool = False, why: str, progress: Progress) -> FileLock:
    """The lock once it is free. Says `why` every few seconds and gives up after half an hour."""
    waiting = Waiting(why, progress)
    while (lock := FileLock.attempt(path, shared=shared)) is None:
        if waiting.seconds > LOCK_SECONDS:
            raise EmbeddedError(
                f"{path} has been locked by another process for {waiting.seconds:.0f} s", hint="run: howdah db status"
            )
        waiting.a_moment()
    return lock


class Waiting:
    """A wait that says every few seconds what it waits for, and how long it has."""

    def __init__(self, why: str, progress: Progress) -> None:
        self._why, self._progress = why, progress
        self._start = self._reported = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def a_moment(self) -> None:
        if time.monotonic() - self._reported > REPORT_SECONDS:
            self._reported = time.monotonic()
            self._progress(f"{self._why}: {self.seconds:.0f} s")
        time.sleep(0.01 if self.seconds < 2 else 0.1)
