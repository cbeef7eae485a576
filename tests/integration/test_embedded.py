"""The embedded server as its users meet it: several processes, kills, idle stops, a broken start."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from howdah.retrieval import embedded_cluster, embedded_locks
from howdah.retrieval.embedded import EmbeddedServer
from howdah.retrieval.embedded_files import Folders
from howdah.retrieval.embedded_programs import binaries
from howdah.retrieval.embedded_watch import WATCH, commands, is_alive, is_held, postmaster, server_processes
from howdah.retrieval.errors import EmbeddedError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
CLIENT = """
import sys
from pathlib import Path
from howdah.retrieval.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), idle_seconds=float(sys.argv[2]))
lease = server.connect()
print(server.status().pid, flush=True)
sys.stdin.read()
"""


class Home:
    """A home folder, and what goes on in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.folders = path, Folders(path)
        self.clients: list[subprocess.Popen[str]] = []

    def server(self, *, idle: float = 60, progress: Callable[[str], None] | None = None) -> EmbeddedServer:
        return EmbeddedServer(self.path, idle_seconds=idle, progress=progress)

    def client(self, *, idle: float = 60) -> subprocess.Popen[str]:
        """A process that takes a lease and keeps it until its standard input ends."""
        command = [sys.executable, "-c", CLIENT, str(self.path), str(idle)]
        pipe = subprocess.PIPE
        # A session of its own, as a terminal's programs have.
        client = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
        self.clients.append(client)
        return client

    @property
    def pid(self) -> int | None:
        return postmaster(self.folders.base)

    def rest(self) -> None:
        """Stop the server and let its watcher go, so that the next client starts both."""
        self.server().stop()
        eventually(lambda: not is_held(self.folders.base / WATCH))

    def end_clients(self) -> None:
        for client in self.clients:
            client.kill()
            client.communicate()
        self.clients.clear()

    def clear(self) -> None:
        self.end_clients()
        if self.folders.base.exists():
            socket = self.folders.socket
            self.rest()
            shutil.rmtree(socket, ignore_errors=True)
        shutil.rmtree(self.path)


def eventually(condition: Callable[[], object], *, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def make_home(name: str = "home") -> Home:
    # Not tmp_path, whose parents are closed to the account that the server runs as when the tests run as root.
    folder = Path(tempfile.mkdtemp(prefix="howdah-test-", dir="/tmp"))
    folder.chmod(0o755)
    return Home(folder / name)


@pytest.fixture
def fresh() -> Iterator[Home]:
    home = make_home()
    yield home
    home.clear() if home.path.exists() else None
    home.path.parent.rmdir()


@pytest.fixture
def used(shared: Home) -> Iterator[Home]:
    """A home with a database, shared by the tests that leave it usable."""
    yield shared
    shared.end_clients()


@pytest.fixture(scope="module")
def shared() -> Iterator[Home]:
    # The name would break a shell that was given it unquoted.
    home = make_home('it\'s a $HOME of "mine" è')
    home.server().start()
    yield home
    home.clear()
    home.path.parent.rmdir()


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as conn:
        cursor = conn.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def test_first_connect_makes_a_database_with_pgvector_and_a_second_process_shares_it(fresh):
    said: list[str] = []
    with fresh.server(progress=said.append).connect() as lease:
        assert run(lease.url, "SELECT '[1,2]'::vector <-> '[1,4]'::vector") == [(2.0,)]
        assert run(lease.url, "SELECT current_user::text, current_database()::text") == [("howdah", "howdah")]
        assert [line.split(" ")[0] for line in said] == ["creating", "starting"]
        assert fresh.client().stdout.readline() == f"{fresh.pid}\n"


def test_processes_that_start_at_once_get_one_server(fresh):
    clients = [fresh.client() for _ in range(4)]
    assert {client.stdout.readline() for client in clients} == {f"{fresh.pid}\n"}


def test_threads_that_start_at_once_get_one_server(used):
    used.server().stop()
    pids: list[int | None] = []

    def connect() -> None:
        with used.server().connect():
            pids.append(used.pid)

    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pids == [used.pid] * 8


def test_words_are_split_at_quotes_and_dashes_and_folded_beyond_ascii(used):
    with used.server().connect() as lease:
        lexemes = run(lease.url, "SELECT tsvector_to_array(to_tsvector('simple', '“hello”—CAFÉ’s'))")
    assert lexemes == [(["café", "hello", "s"],)]


def test_start_stop_status_wait(used):
    server = used.server(idle=42)
    started = server.start()
    assert (started.state, started.pid, started.idle_seconds) == ("running", used.pid, 42)
    assert (started.url, started.data) == (server.url(), used.folders.data)
    assert started.version.startswith("18.")
    assert started.size_bytes > 1_000_000
    assert server.wait(timeout=5).state == "running"
    assert server.stop()
    stopped = server.status()
    assert (stopped.state, stopped.pid, stopped.url) == ("stopped", None, None)
    assert not server.stop()
    with pytest.raises(EmbeddedError, match="stopped after 0 s"):
        server.wait(timeout=0)


@LINUX
def test_status_counts_the_client_processes(used):
    with used.server().connect(), used.server().connect():
        client = used.client()
        client.stdout.readline()
        assert used.server().status().clients == 2
        client.kill()
        client.wait()
        assert used.server().status().clients == 1


def test_a_killed_client_holds_nothing_and_the_idle_server_stops(used):
    used.rest()
    client = used.client(idle=2)
    client.stdout.readline()
    # The whole group dies, as with a closed terminal; the server and its watcher are not of it.
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    assert used.server().status().state == "running"
    eventually(lambda: used.server().status().state == "stopped")
    eventually(lambda: not is_held(used.folders.base / WATCH))
    log = (used.folders.base / "watcher.log").read_text()
    assert log == ""


def test_the_server_stays_while_a_client_lives(used):
    client = used.client(idle=0.4)
    pid = int(client.stdout.readline())
    used.server(idle=0.4).start()
    time.sleep(2)
    assert used.pid == pid


def test_short_visits_keep_the_server(used):
    pids = set()
    for _ in range(8):
        used.server(idle=1.2).start()
        pids.add(used.pid)
        time.sleep(0.4)
    assert len(pids) == 1


def test_clients_that_meet_the_idle_stop_are_served(used):
    """Pauses close to the idle time: a client may come before, during and after the stop."""
    for pause in (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.3, 0.2):
        with used.server(idle=0.1).connect() as lease:
            assert run(lease.url, "SELECT 1") == [(1,)]
        time.sleep(pause)


def test_a_killed_watcher_is_replaced_by_the_next_client(used):
    used.server(idle=60).start()
    watchers = [pid for pid, line in commands().items() if "embedded_watch" in line and str(used.path) in line]
    for pid in watchers:
        os.kill(pid, signal.SIGKILL)
    assert watchers
    eventually(lambda: not is_held(used.folders.base / WATCH))
    used.server(idle=0.2).start()
    eventually(lambda: used.server().status().state == "stopped")


def test_nothing_keeps_the_pipes_of_the_program_that_started_the_server(used):
    used.rest()
    command = [sys.executable, "-c", CLIENT, str(used.path), "60"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == f"{used.pid}\n"
    assert done.stderr == ""


def test_nothing_committed_is_lost_when_the_server_is_killed(used, monkeypatch):
    monkeypatch.setattr(embedded_locks, "REPORT_SECONDS", 0.0)
    said: list[str] = []
    server = used.server(progress=said.append)
    lease = server.connect()
    run(lease.url, "CREATE TABLE kept AS SELECT n FROM generate_series(1, 200000) n")
    with suppress(psycopg.OperationalError), psycopg.connect(lease.url) as conn:
        conn.execute("INSERT INTO kept VALUES (0)")
        os.kill(used.pid, signal.SIGKILL)
        eventually(lambda: not is_alive(used.folders.base))
    assert server.status().state == "stopped"
    with server.connect() as again:
        assert run(again.url, "SELECT count(*), min(n) FROM kept") == [(200000, 1)]
        run(again.url, "DROP TABLE kept")
    assert any("recovers first" in line for line in said)
    lease.close()


def test_a_backend_that_outlives_its_postmaster_is_ended_before_recovery(used, monkeypatch):
    monkeypatch.setattr(embedded_cluster, "QUIT_AFTER", 0.2)
    monkeypatch.setattr(embedded_cluster, "KILL_AFTER", 0.5)
    server = used.server()
    with server.connect() as lease, psycopg.connect(lease.url) as conn:
        backend = conn.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # it cannot see that its postmaster is gone
        os.kill(used.pid, signal.SIGKILL)
        eventually(lambda: used.pid is None)
        assert backend in server_processes(used.folders.base)
        with server.connect() as again:
            assert run(again.url, "SELECT 1") == [(1,)]
        assert backend not in server_processes(used.folders.base)
        with suppress(psycopg.OperationalError):
            conn.execute("SELECT 1")


@pytest.mark.parametrize("dead", [True, False], ids=["dead pid", "foreign pid"])
def test_a_stale_pid_file_does_not_keep_the_server_from_starting(used, dead):
    server = used.server()
    server.start()
    pid_file = used.folders.data / "postmaster.pid"
    lines = pid_file.read_text().split("\n", 1)[1]
    server.stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        if dead:
            stranger.kill()
            stranger.wait()
        pid_file.write_text(f"{stranger.pid}\n{lines}")
        assert server.status().state == "stopped"
        assert server.start().state == "running"
        assert used.pid != stranger.pid
        assert stranger.poll() is None or dead
        stranger.kill()


@LINUX
def test_no_tcp_even_if_the_configuration_asks_for_it(used):
    server = used.server()
    with server.connect() as lease:
        run(lease.url, "ALTER SYSTEM SET listen_addresses = '*'")
        server.stop()
    with server.connect() as lease:
        assert run(lease.url, "SHOW listen_addresses") == [("",)]
        inodes = {str(f.readlink()) for f in Path(f"/proc/{used.pid}/fd").iterdir() if "socket:" in str(f.readlink())}
        tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
        listening = {
            f"socket:[{row.split()[9]}]" for t in tables if t.exists() for row in t.read_text().splitlines()[1:]
        }
        assert inodes
        assert not inodes & listening
        run(lease.url, "ALTER SYSTEM RESET listen_addresses")


def test_socket_and_data_are_closed_to_others(used):
    for folder in (used.folders.socket, used.folders.data, used.folders.log):
        assert stat.S_IMODE(folder.lstat().st_mode) == 0o700, folder
    assert stat.S_IMODE(used.path.stat().st_mode) & 0o007 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two accounts")
def test_another_account_is_refused_even_through_an_open_folder(used):
    """The socket folder keeps others out; were it open, the server would ask the kernel who they are."""
    with used.server().connect() as lease:
        used.folders.socket.chmod(0o755)
        (used.folders.socket / ".s.PGSQL.5432").chmod(0o777)
        try:
            psql = [str(binaries() / "psql"), lease.url, "-c", "SELECT 1"]
            stranger = {"user": "daemon", "group": "daemon", "extra_groups": []}
            done = subprocess.run(psql, capture_output=True, text=True, check=False, cwd="/", **stranger)
        finally:
            used.folders.socket.chmod(0o700)
    assert "Peer authentication failed" in done.stderr


def test_a_server_that_cannot_start_shows_the_line_that_says_why(used):
    server = used.server()
    server.stop()
    conf = used.folders.base / "howdah.conf"
    text = conf.read_text()
    conf.write_text(text + "shared_buffers = 'lots'\n")
    with pytest.raises(EmbeddedError, match=r"did not start: .*(shared_buffers|configuration file)"):
        server.connect()
    conf.write_text(text)
    assert server.start().state == "running"


def test_the_settings_of_an_older_howdah_are_made_quieter_and_kept(used):
    server = used.server()
    server.stop()
    conf = used.folders.base / "howdah.conf"
    text = conf.read_text()
    conf.write_text(
        "".join(line for line in text.splitlines(True) if not line.startswith("log_")) + "work_mem = '5MB'\n"
    )
    with server.connect() as lease:
        shown = "SELECT current_setting('log_error_verbosity'), current_setting('log_parameter_max_length'), "
        assert run(lease.url, shown + "current_setting('work_mem')") == [("terse", "0", "5MB")]
    server.stop()
    conf.write_text(text)
    server.start()


def test_a_client_that_comes_during_a_shutdown_gets_a_new_server(used):
    server = used.server()
    server.start()
    pid = used.pid
    os.kill(pid, signal.SIGINT)  # as a system does that is going down, without our locks
    with server.connect() as lease:
        assert run(lease.url, "SELECT 1") == [(1,)]
        assert used.pid != pid


def test_a_lost_socket_is_named(used):
    server = used.server()
    server.start()
    (used.folders.socket / ".s.PGSQL.5432").unlink()
    with pytest.raises(EmbeddedError, match=r"runs, but its socket .* is gone; run: howdah db stop"):
        server.connect()
    server.stop()
    assert server.start().state == "running"


def test_destroy_waits_for_clients_and_leaves_what_is_not_ours(fresh):
    server = fresh.server()
    with server.connect() as lease:
        run(lease.url, "SELECT 1")
        with pytest.raises(EmbeddedError, match="in use by"):
            server.destroy()
    socket = fresh.folders.socket
    (fresh.path / "mine.txt").touch()
    assert server.destroy()
    assert [path.name for path in fresh.path.iterdir()] == ["mine.txt"]
    assert not socket.exists()
    assert server.status().state == "absent"
    with server.connect() as lease:
        assert run(lease.url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_an_interrupted_first_start_is_taken_up_again(fresh):
    base = fresh.folders.base
    (base / "data.new" / "base").mkdir(parents=True)
    (base / "data.new" / "PG_VERSION").write_text("18\n")
    assert fresh.server().start().state == "running"
