"""Stops one embedded server when nobody has used it for a while.

This file is also a program of its own, run by path in isolated mode: it imports the standard library alone, so that
the process which sleeps beside an idle server costs some ten megabytes and not the whole of Howdah.

Four lock files lie beside the data. The kernel drops a lock with its last holder, however that one ended:
    start.lock     exclusive while somebody starts, stops or destroys the server
    clients.lock   shared by every client; exclusive while the watcher stops an idle server
    server.lock    held by the server's processes themselves, through an inherited descriptor
    watch.lock     held by the watcher
"""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

START, CLIENTS, SERVER, WATCH = "start.lock", "clients.lock", "server.lock", "watch.lock"
STOP_SECONDS = 300.0
DEFAULT_IDLE = 600.0


def open_lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:  # root may have been the first in a folder of a user's, who must be able to open it too
        os.fchown(fd, path.parent.stat().st_uid, -1)
    return fd


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Whether the lock was granted; never waits."""
    import fcntl  # POSIX alone has it, and the refusal on other platforms is a sentence of its own

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(fd: int) -> None:
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_UN)


def is_same_file(fd: int, path: Path) -> bool:
    """False once the file was removed: a lock on what nobody else can open protects nothing."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Whether anybody holds the lock exclusively."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(fd, shared=True)
    finally:
        os.close(fd)


def server_name(base: Path) -> str:
    """A short name for the server of this folder, the same in every process; it is in each server process's title.

    Device and inode, not the path: two containers may each have a /var/lib/howdah, and a path may be moved.
    """
    stat = base.stat()
    return f"howdah-{hashlib.sha256(f'{stat.st_dev}:{stat.st_ino}'.encode()).hexdigest()[:12]}"


def commands() -> dict[int, str]:
    """The command line of every process that can be seen, by pid; a zombie has none."""
    if Path("/proc/self/cmdline").exists():
        return {int(entry.name): command(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    rows = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=False)
    return {int(pid): line for pid, _, line in (row.strip().partition(" ") for row in rows.stdout.splitlines())}


def command(pid: int) -> str:
    """The command line of one process, or "" when it is gone or a zombie."""
    if Path("/proc/self/cmdline").exists():
        # Readable for root in a container too, where /proc/PID/cwd and exe of another user's process are not.
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        return ""
    row = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return row.stdout.strip()


def server_processes(base: Path) -> list[int]:
    """Pids of the server's processes, also of those that outlived their postmaster."""
    name = server_name(base)
    return [pid for pid, line in commands().items() if line.startswith(f"postgres: {name}: ") or _runs(line, name)]


def postmaster(base: Path) -> int | None:
    """The pid of the living postmaster of this folder; None when there is none, whatever postmaster.pid claims."""
    try:
        pid = int((base / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    line = command(pid)
    return pid if _runs(line, server_name(base)) or _runs(line, str(base / "data")) else None


def _runs(line: str, what: str) -> bool:
    """Whether this is a postmaster's command line, and not that of a client which names the same server."""
    return what in line and re.match(r"(/.*/)?postgres -D ", line) is not None


def is_alive(base: Path) -> bool:
    """Whether any process of the server lives. A server that was started by hand has no server.lock."""
    return is_held(base / SERVER) or postmaster(base) is not None


def idle_setting(fd: int) -> float:
    """What the last client to connect asked for; it writes that into clients.lock."""
    try:
        return float(os.pread(fd, 32, 0))
    except ValueError:
        return DEFAULT_IDLE


def stop_server(base: Path) -> None:
    """A fast shutdown, unless somebody is starting or stopping the server at this moment."""
    start = open_lock(base / START)
    try:
        pid = postmaster(base) if try_lock(start) else None
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while is_alive(base) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        os.close(start)


def may_leave(base: Path, watch_fd: int) -> bool:
    """Let go of watch.lock if the server is gone, in a moment in which nobody can be starting it.

    Without start.lock a client might see this watcher, start the server, and be left without one.
    """
    start = open_lock(base / START)
    try:
        if not try_lock(start) or is_alive(base):
            return False
        os.close(watch_fd)
        return True
    finally:
        os.close(start)


def watch(base: Path, watch_fd: int) -> None:
    """Return when the server is gone or the folder is another's; stop the server when it has been idle."""
    clients = open_lock(base / CLIENTS)
    used, idle_since = 0, time.monotonic()
    while is_same_file(clients, base / CLIENTS) and is_same_file(watch_fd, base / WATCH):
        allowed = idle_setting(clients)
        if not is_alive(base):
            if may_leave(base, watch_fd):
                return
        elif not try_lock(clients):
            idle_since = time.monotonic()
        else:
            # Clients that came and went between two looks have left a newer time on the file.
            touched = os.fstat(clients).st_mtime_ns
            if touched != used:
                used, idle_since = touched, time.monotonic()
            elif time.monotonic() - idle_since >= allowed:
                # The exclusive lock is kept meanwhile: a client that arrives now waits, then starts the server again.
                stop_server(base)
            unlock(clients)
        time.sleep(min(1.0, max(0.1, allowed / 4)))


def main() -> None:
    # A second fork, so that whoever started this need not stay to reap it.
    if os.fork():
        os._exit(0)
    with contextlib.suppress(FileNotFoundError):
        watch(Path(sys.argv[1]), int(sys.argv[2]))


if __name__ == "__main__":
    main()
