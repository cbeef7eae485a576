"""A PostgreSQL of our own, started on first need and stopped when idle.

`EmbeddedServer(home).connect()` gives a `Lease`: while it is held the server stays. Several processes may hold leases;
the kernel takes back those of a process that ends, however it ends. See docs/embedded-postgresql.md.
"""

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from howdah.retrieval.embedded_cluster import Cluster, is_ready, url
from howdah.retrieval.embedded_files import Folders, make_base, server_account, size_of, unwritable
from howdah.retrieval.embedded_locks import FileLock, Progress, Waiting, wait_for_lock
from howdah.retrieval.embedded_programs import OWN_SERVER, installed_version
from howdah.retrieval.embedded_watch import CLIENTS, SERVER, START, WATCH, is_alive, is_held, postmaster
from howdah.retrieval.errors import EmbeddedError, InvalidInput

OURS = ("howdah.conf", "pg_hba.conf", "pg_ident.conf", "ready", "watcher.log", CLIENTS, SERVER, WATCH, START)


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """What is known without starting anything.

    state: "running"; "recovering" (starting, recovering after a crash, or shutting down); "stopped"; "absent" (never
    started here). size_bytes: the data on disk. clients: processes that hold a lease, None where the system does not
    tell. idle_seconds: the setting.
    """

    state: str
    pid: int | None
    version: str | None
    data: Path
    size_bytes: int
    clients: int | None
    url: str | None
    idle_seconds: float


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to use the server until `close`. An unclosed lease ends with its last reference or its process."""

    url: str
    lock: FileLock

    def close(self) -> None:
        if self.lock.fd >= 0:
            with suppress(OSError):
                os.utime(self.lock.fd)  # the idle time begins now, also when the watcher never saw this client
        self.lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class EmbeddedServer:
    """The server of one home folder, which other processes may be using too.

    `idle_seconds` after the last client has gone the server is stopped; the setting of the last client to come counts.
    `progress` is told, in a few words, what takes time.
    """

    def __init__(self, home: Path, *, idle_seconds: float = 600.0, progress: Progress | None = None) -> None:
        if not idle_seconds >= 0:
            raise InvalidInput(f"idle_seconds is {idle_seconds!r}, wanted 0 or more", hint="600 is ten minutes")
        self.idle_seconds = idle_seconds
        self._folders = Folders(home)
        self._progress: Progress = progress or (lambda _: None)

    def connect(self) -> Lease:
        """A lease on the running server; starts it when needed, about a second, and waits for crash recovery.

        Raises:
            EmbeddedError: it cannot be installed, started or reached; the hint says what to do.
        """
        _check_platform()
        self._make_base()
        lock = self._enter()
        try:
            self._ensure_running()
        except OSError as exc:
            lock.close()
            raise unwritable(self._folders.base, exc) from exc
        except BaseException:
            lock.close()
            raise
        return Lease(url=url(self._folders), lock=lock)

    def start(self) -> ServerStatus:
        """Start the server and leave it to the idle time."""
        with self.connect():
            pass
        return self.status()

    def stop(self) -> bool:
        """Stop the server now, also under clients that use it; False when it was not running."""
        _check_platform()
        if not self._exists():
            return False
        with self._start_lock():
            return self._cluster().stop()

    def wait(self, *, timeout: float = 60) -> ServerStatus:
        """The status once the server accepts connections; starts nothing.

        Raises:
            EmbeddedError: it does not within `timeout` seconds.
        """
        _check_platform()
        waiting = Waiting("waiting for PostgreSQL to accept connections", self._progress)
        while not self._is_ready():
            if waiting.seconds >= timeout:
                state = self.status().state
                raise EmbeddedError(
                    f"the embedded server is {state} after {timeout:g} s, wanted running", hint="run: howdah db start"
                )
            waiting.a_moment()
        return self.status()

    def destroy(self) -> bool:
        """Stop the server and delete its data, and nothing else; False when there is none.

        Raises:
            EmbeddedError: clients hold leases.
        """
        _check_platform()
        if not self._exists():
            return False
        with self._no_clients(), self._start_lock():
            existed = self._folders.data.exists()
            self._cluster().stop()
            self._delete()
        return existed

    def url(self) -> str:
        """The libpq URL of the database, whether or not the server is running."""
        _check_platform()
        self._make_base()
        return url(self._folders)

    def status(self) -> ServerStatus:
        _check_platform()
        folders = self._folders
        state = self._state()
        up = state in {"running", "recovering"}
        return ServerStatus(
            state=state,
            pid=postmaster(folders.base) if up else None,
            version=_version(),
            data=folders.data,
            size_bytes=size_of(folders.data),
            clients=_holders(folders.base / CLIENTS),
            url=url(folders) if up else None,
            idle_seconds=self.idle_seconds,
        )

    def _state(self) -> str:
        base = self._folders.base
        if not self._exists() or not self._folders.is_initialised:
            return "absent"
        if not is_alive(base):
            return "stopped"
        return "running" if self._is_ready() else "recovering"

    def _is_ready(self) -> bool:
        folders = self._folders
        return self._exists() and folders.ready_mark.exists() and is_ready(folders)

    def _exists(self) -> bool:
        """Whether there is a folder of ours; raises EmbeddedError where it is closed to this user."""
        base = self._folders.base
        if os.path.lexists(base) and not os.access(base, os.R_OK | os.W_OK | os.X_OK):
            raise EmbeddedError(f"{base} belongs to another user", hint="run this as that user, or set HOWDAH_HOME")
        return base.is_dir()

    def _make_base(self) -> None:
        make_base(self._folders, server_account(self._folders))

    def _enter(self) -> FileLock:
        """The shared lock of a client, with our idle time written for the watcher (that also marks the time)."""
        lock = wait_for_lock(
            self._folders.base / CLIENTS,
            shared=True,
            why="waiting for the idle server to stop before it starts again",
            progress=self._progress,
        )
        os.pwrite(lock.fd, f"{self.idle_seconds:<31}\n".encode(), 0)
        return lock

    def _ensure_running(self) -> None:
        if self._is_ready() and is_held(self._folders.base / WATCH):
            return
        with self._start_lock():
            if self._is_ready():
                self._cluster().watch()
            else:
                self._cluster().start()

    def _start_lock(self) -> FileLock:
        why = "waiting for another process that is starting or stopping PostgreSQL"
        return wait_for_lock(self._folders.base / START, why=why, progress=self._progress)

    def _cluster(self) -> Cluster:
        account = server_account(self._folders)
        return Cluster(folders=self._folders, account=account, progress=self._progress)

    def _no_clients(self) -> FileLock:
        path = self._folders.base / CLIENTS
        waiting = Waiting("waiting for clients to go", self._progress)
        while (lock := FileLock.attempt(path)) is None:
            if waiting.seconds > 2:
                count = _holders(path)
                raise EmbeddedError(
                    f"the database is in use by {count or 'other'} process(es)", hint="end the programs that use it"
                )
            waiting.a_moment()
        return lock

    def _delete(self) -> None:
        base = self._folders.base
        if self._folders.data.exists():
            self._folders.data.rename(
                base / "data.new"
            )  # whatever interrupts this, a half-deleted cluster never starts
        for folder in (self._folders.socket, base / "data.new", self._folders.log):
            if folder.exists():
                shutil.rmtree(folder)
        for name in OURS:
            (base / name).unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it: not ours to delete
            base.rmdir()


def _check_platform() -> None:
    if sys.platform not in {"linux", "darwin"}:
        raise EmbeddedError(f"the embedded server does not run on {sys.platform!r}", hint=f"use WSL, or {OWN_SERVER}")


def _version() -> str | None:
    try:
        return installed_version()
    except EmbeddedError:
        return None


def _holders(path: Path) -> int | None:
    """How many processes hold the lock, as far as Linux shows them; None elsewhere."""
    try:
        inode, rows = path.stat().st_ino, Path("/proc/locks").read_text().splitlines()
    except FileNotFoundError:
        return 0 if sys.platform == "linux" else None
    fields = [row.split() for row in rows]
    return len({f[4] for f in fields if f[1] == "FLOCK" and f[3] == "READ" and f[5].endswith(f":{inode}")})
