"""Killing an ingest at a moment that is known: where the server, or a mark of the victim, says that it is."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from tests.integration.victim import MARKS
from tests.project.tree import ROOT

# What the server is to be doing for its client when that is killed.
COPY_CHUNKS, COPY_PASSAGES = "COPY pg_temp.howdah_chunks%", "COPY pg_temp.howdah_passages%"
# (pg_stat_activity shows the first 1,024 bytes of a statement.)
COMMIT, INDEX, POSTINGS, DELETE = "COMMIT", "CREATE INDEX%", "%given AS MATERIALIZED%", "%DELETE FROM %chunks_1%"
RENAME, RENAME_CHUNKS = "%SET (source, root)%", "%AS c SET id = s.new%"
MOVE, PRUNE, FAILURES = "%SET ordinal = s.ordinal%", "%DELETE FROM howdah.documents%", "%INSERT INTO howdah.failures%"
# What tells of these is the transaction's state, or a mark.
BETWEEN, PARSING, EMBEDDING = "idle in transaction", "parsing", "embedding"

VICTIM = "from tests.integration.victim import main; main()"
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('application_name') = 'victim' THEN PERFORM pg_sleep(0.3); END IF; RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON howdah.documents
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
CREATE TRIGGER slow_rename BEFORE UPDATE OF source ON howdah.documents FOR EACH STATEMENT EXECUTE FUNCTION slow();
CREATE TRIGGER slow_prune BEFORE DELETE ON howdah.documents FOR EACH STATEMENT EXECUTE FUNCTION slow();
CREATE TRIGGER slow BEFORE INSERT ON howdah.failures FOR EACH STATEMENT EXECUTE FUNCTION slow();
CREATE TRIGGER slow BEFORE INSERT ON howdah.postings_1 FOR EACH STATEMENT EXECUTE FUNCTION slow();
CREATE TRIGGER slow BEFORE DELETE OR UPDATE OF id ON howdah.chunks_1 FOR EACH STATEMENT EXECUTE FUNCTION slow();
CREATE TRIGGER slow BEFORE UPDATE OF ordinal ON howdah.passages_1 FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""
MINE = "FROM pg_stat_activity WHERE application_name = 'victim' AND pid <> pg_backend_pid()"
ACTIVE = f"SELECT query {MINE} AND state = 'active'"


@contextmanager
def open_writer(url: str) -> Iterator[None]:
    """A transaction that writes and does not end: an index build has to wait for it."""
    with psycopg.connect(url, autocommit=True) as conn, conn.transaction():
        conn.execute("LOCK TABLE howdah.chunks_1 IN ROW EXCLUSIVE MODE")
        conn.execute("SELECT pg_current_xact_id()")
        yield


def notices_dead_clients(conn: Connection, moment: str, *, yes: bool) -> None:
    """A server process finds out that its client is gone when it next reads from it, or when told to look."""
    interval = "50ms" if yes and moment == INDEX else "0"
    conn.execute(f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET client_connection_check_interval = %L',"
                 f" current_database(), '{interval}'); END $$")  # fmt: skip


def kill_at(url: str, folder: Path, moment: str, delay: float, *, noticed: bool) -> str:
    """Kill the ingest when it is at this moment; returns what the server says it is doing then."""
    marks = folder.parent / MARKS
    marks.mkdir(exist_ok=True)
    for mark in marks.iterdir():
        mark.unlink()
    with psycopg.connect(url, autocommit=True) as conn, ExitStack() as stack:
        notices_dead_clients(conn, moment, yes=noticed)
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, make_conninfo(url, application_name="victim"), str(folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        workers: set[int] = set()
        try:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "begun\n", victim.communicate()[1]
            if moment == INDEX:
                stack.enter_context(open_writer_later(url, conn))
            doing = await_moment(conn, victim, moment, delay, marks)
            workers = children(victim.pid)
        finally:
            victim.kill()
            victim.communicate()
        stack.close()
        until_gone(conn, workers)
    assert workers or moment != PARSING, "a file is parsed, and by no worker"
    return doing


@contextmanager
def open_writer_later(url: str, conn: Connection) -> Iterator[None]:
    """Once the documents are written, for the index's sake; dropping an index waits for it, too."""
    while not conn.execute(f"{ACTIVE} AND (query LIKE 'VACUUM%' OR query LIKE 'CREATE INDEX%')").fetchone():
        time.sleep(0.001)
    with open_writer(url):
        yield


def await_moment(conn: Connection, victim: subprocess.Popen[str], moment: str, delay: float, marks: Path) -> str:
    while victim.poll() is None:
        if is_at(conn, moment, marks):
            time.sleep(delay)
            rows = conn.execute(ACTIVE).fetchall()
            doing = " ".join(rows[0][0].split()) if rows else "(between two statements)"
            return f"({moment}) {doing}" if (marks / moment).exists() else doing
        time.sleep(0.002)
    raise AssertionError(f"it ended before it was at {moment}: {victim.communicate()[1]}")


def is_at(conn: Connection, moment: str, marks: Path) -> bool:
    if moment in (PARSING, EMBEDDING):
        return (marks / moment).exists()
    if moment == BETWEEN:
        return conn.execute(f"SELECT {MINE} AND state = %s", [moment]).fetchone() is not None
    return conn.execute(f"{ACTIVE} AND query LIKE %s", [moment]).fetchone() is not None


def children(parent: int) -> set[int]:
    """The processes that it has started and that run, where there is /proc."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(ppid) == parent and state != "Z":
            found.add(int(path.parent.name))
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_gone(conn: Connection, workers: set[int]) -> None:
    """A statement that is under way may run to its end; a worker has a few seconds."""
    deadline = time.monotonic() + 30
    while conn.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'victim'").fetchone():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    deadline = time.monotonic() + 5
    while left := [pid for pid in workers if runs(pid)]:
        assert time.monotonic() < deadline, f"workers of the killed run are left: {left}"
        time.sleep(0.05)
