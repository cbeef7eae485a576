"""Makes, starts and stops one PostgreSQL cluster. All of `Cluster` runs under start.lock."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

import psycopg
from psycopg.pq import PGconn, Ping

from howdah.retrieval import embedded_watch
from howdah.retrieval.embedded_files import Account, Folders, check_room, make_private, user_of, write_shared
from howdah.retrieval.embedded_locks import FileLock, Progress, Waiting
from howdah.retrieval.embedded_programs import ENVIRONMENT, Runner, check_fit, failure, installed_version
from howdah.retrieval.embedded_settings import howdah_conf, pg_hba_conf, pg_ident_conf, quieter, this_machine
from howdah.retrieval.embedded_watch import SERVER, STOP_SECONDS, WATCH, is_alive, postmaster, server_processes
from howdah.retrieval.errors import EmbeddedError

OLD_LOG_SIZE, OLD_LOG_SECONDS = 20 * 1024 * 1024, 8 * 86400
# Seconds after which what is left of a killed server is told to quit, is killed, and is given up on.
QUIT_AFTER, KILL_AFTER, GIVE_UP_AFTER = 2, 10, 30
# The text-search parser asks lc_ctype what a letter is; with plain C it takes curly quotes and dashes for letters.
CTYPES = ("C.UTF-8", "en_US.UTF-8", "C")


def url(folders: Folders, database: str = "howdah") -> str:
    """A libpq URL. It names everything, so that no PGHOST, PGPORT or PGUSER is asked."""
    return f"postgresql://howdah@/{database}?host={quote(str(folders.socket), safe='')}&port=5432"


def is_ready(folders: Folders) -> bool:
    """Whether the server of these very files accepts connections."""
    if postmaster(folders.base) is None:
        return False
    return Ping(PGconn.ping(f"{url(folders)}&connect_timeout=3".encode())) is Ping.OK


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One cluster: its folders, the account that runs it, and whom to tell what takes time."""

    folders: Folders
    account: Account
    progress: Progress

    def start(self) -> None:
        """Make the cluster if there is none, start it, and wait until the database can be used."""
        check_fit(self.folders, self.account)
        read, launched = self._log_sizes(), False
        while not launched:
            if server := self._take_over():
                launched = True
                with server:
                    self._launch(server)
            self.watch()
            # A postmaster that was there already may have been shutting down: then it is our turn.
            if self._becomes_ready():
                return self._ensure_database()
        raise failure(self.folders.base, "PostgreSQL did not start", self._news(read))

    def stop(self) -> bool:
        """A fast shutdown, waited for; False when nothing ran."""
        base = self.folders.base
        pid = postmaster(base)
        if pid is None:
            return False
        _signal(pid, signal.SIGINT)
        waiting = Waiting(f"waiting for PostgreSQL (pid {pid}) to shut down", self.progress)
        while is_alive(base):
            if waiting.seconds > STOP_SECONDS:
                raise EmbeddedError(
                    f"PostgreSQL (pid {pid}) has not shut down in {STOP_SECONDS:.0f} s", hint=f"see {self.folders.log}"
                )
            waiting.a_moment()
        return True

    def watch(self) -> None:
        """Start the process that stops the server when it is idle, unless there is one."""
        base = self.folders.base
        lock = FileLock.attempt(base / WATCH)
        if lock is None:
            return
        program = [sys.executable, "-I", "-S", embedded_watch.__file__, str(base), str(lock.fd)]
        # The lock itself goes to the new process, so that at no moment another could take it.
        with lock, (base / "watcher.log").open("ab") as log:
            done = subprocess.run(
                program,
                check=False,
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[lock.fd],
                start_new_session=True,
            )
        if done.returncode:
            self.progress(f"PostgreSQL will not stop by itself when it is idle: see {base / 'watcher.log'}")

    def _take_over(self) -> FileLock | None:
        """server.lock, once all processes of an earlier server have ended; None if a postmaster is there already.

        Backends can outlive a killed postmaster. Recovery must not begin before they end, and nothing that they still
        do can be committed: those that do not leave by themselves are ended.
        """
        base = self.folders.base
        waiting = Waiting("waiting for the processes of an earlier server to end", self.progress)
        while postmaster(base) is None:
            left = server_processes(base)
            lock = None if left else FileLock.attempt(base / SERVER)
            if lock:
                return lock
            if waiting.seconds > GIVE_UP_AFTER:
                raise EmbeddedError(
                    f"{self.folders.data} is in use by a server that cannot be reached from here (pids {left})",
                    hint="stop it there: another container or user may have started it",
                )
            if waiting.seconds > QUIT_AFTER:
                for pid in left:
                    _signal(pid, signal.SIGQUIT if waiting.seconds < KILL_AFTER else signal.SIGKILL)
            waiting.a_moment()
        return None

    def _launch(self, server: FileLock) -> None:
        folders = self.folders
        if not folders.is_initialised:
            self._initialise()
        make_private(folders.socket, self.account)
        # All are of a server that is certainly gone. PostgreSQL itself would take a zombie, or whoever has its pid now,
        # for that server, and refuse to start.
        for stale in (folders.data / "postmaster.pid", *folders.socket.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        make_private(folders.log, self.account)
        self._write_settings()
        self._drop_old_logs()
        self.progress(f"starting PostgreSQL {installed_version()}")
        self._runner.run("pg_ctl", "start", "-W", "-s", *self._start_options(), pass_fds=[server.fd])

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there when it is whole and on disk."""
        folders, new = self.folders, self.folders.base / "data.new"
        check_room(folders.base)
        self.progress(f"creating a PostgreSQL {installed_version()} database in {folders.data}")
        for previous in (folders.ready_mark, folders.base / "howdah.conf"):
            previous.unlink(missing_ok=True)
        self._initdb()
        self._runner.append("data.new/postgresql.conf", "\ninclude = '../howdah.conf'\n")
        self._runner.run("initdb", "--sync-only", "-D", "data.new")
        new.rename(folders.data)

    def _initdb(self) -> None:
        for ctype in CTYPES:
            with suppress(FileNotFoundError):
                shutil.rmtree(self.folders.base / "data.new")
            make_private(self.folders.base / "data.new", self.account)
            try:
                self._runner.run("initdb", *_INITDB, f"--lc-ctype={ctype}", "-D", "data.new")
            except EmbeddedError as exc:
                if "locale" in exc.message and ctype != CTYPES[-1]:
                    continue
                raise
            return

    def _write_settings(self) -> None:
        conf = self.folders.base / "howdah.conf"
        before = conf.read_text(encoding="utf-8") if conf.exists() else None
        wanted = howdah_conf(this_machine()) if before is None else quieter(before)
        if wanted != before:
            write_shared(conf, wanted, self.account)
        users = {self.account.name, getattr(user_of(0), "pw_name", "root")}
        write_shared(self.folders.base / "pg_hba.conf", pg_hba_conf(), self.account)
        write_shared(self.folders.base / "pg_ident.conf", pg_ident_conf(users), self.account)

    def _start_options(self) -> list[str]:
        # On the command line, where ALTER SYSTEM does not reach. Relative paths, since pg_ctl asks a shell.
        options = {
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": str(self.folders.socket),
            "unix_socket_permissions": "0700",
            "cluster_name": self.folders.socket.name,
            "dynamic_shared_memory_type": this_machine().dynamic_shared_memory_type,
            "hba_file": "pg_hba.conf",
            "ident_file": "pg_ident.conf",
        }
        return ["-D", "data", "-l", "log/startup.log", "-o", " ".join(f"-c {name}={v}" for name, v in options.items())]

    def _becomes_ready(self) -> bool:
        """Wait for start-up, or for recovery however long it takes; False once the server has gone."""
        folders = self.folders
        waiting = Waiting("waiting for PostgreSQL to start; after a crash it recovers first", self.progress)
        while not is_ready(folders):
            if not is_alive(folders.base):
                return False
            if self._claims_ready() and not (folders.socket / ".s.PGSQL.5432").exists():
                raise EmbeddedError(
                    f"PostgreSQL (pid {postmaster(folders.base)}) runs, but its socket in {folders.socket} is gone",
                    hint="run: howdah db stop, and try again",
                )
            waiting.a_moment()
        return True

    def _claims_ready(self) -> bool:
        with suppress(OSError):
            return (self.folders.data / "postmaster.pid").read_text().rstrip().endswith("ready")
        return False

    def _ensure_database(self) -> None:
        if self.folders.ready_mark.exists():
            return
        try:
            with psycopg.connect(url(self.folders, "postgres"), autocommit=True) as conn:
                if not conn.execute("SELECT 1 FROM pg_database WHERE datname = 'howdah'").fetchone():
                    conn.execute("CREATE DATABASE howdah")
            with psycopg.connect(url(self.folders), autocommit=True) as conn:
                conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except psycopg.Error as exc:
            raise failure(self.folders.base, "the database 'howdah' was not made", str(exc)) from exc
        write_shared(self.folders.ready_mark, "", self.account)

    def _drop_old_logs(self) -> None:
        (self.folders.log / "startup.log").unlink(missing_ok=True)
        for path in self.folders.log.glob("*.log"):
            info = path.lstat()
            if info.st_size > OLD_LOG_SIZE or time.time() - info.st_mtime > OLD_LOG_SECONDS:
                path.unlink()

    def _log_sizes(self) -> dict[str, int]:
        logs = self.folders.log.glob("server-*.log")
        return {path.name: path.stat().st_size for path in logs}

    def _news(self, read: dict[str, int]) -> str:
        """What the server has logged since `read`; what it says before its own log is open comes last."""
        logs = [*sorted(self.folders.log.glob("server-*.log")), self.folders.log / "startup.log"]
        return "\n".join(
            path.read_bytes()[read.get(path.name, 0) :].decode(errors="replace") for path in logs if path.exists()
        )

    @property
    def _runner(self) -> Runner:
        return Runner(base=self.folders.base, account=self.account)


_INITDB = (
    "--username=howdah",
    "--auth=peer",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-sync",
    "--no-instructions",
)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as exc:
        raise EmbeddedError(f"the server (pid {pid}) is another user's", hint="run this as that user") from exc
