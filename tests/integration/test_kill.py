"""kill -9 of an ingesting process: each document is as before or after, and the next run goes on from there.

The server's process is met in the middle of a statement because a trigger, a slow client or an open transaction holds it
there; pg_stat_activity says which statement that is at the moment of the kill.
"""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from howdah import PGVector, sync
from howdah.retrieval import upkeep
from howdah.retrieval.maintenance import MaintenanceReport, maintain
from tests.integration.checks import check_whole, contents
from tests.integration.victim import Quick, splitter
from tests.project.tree import ROOT

DOCUMENTS, PARTS, COMMON = 2, 300, 60

# What the server is to be doing for its client when that is killed.
COPY_CHUNKS, COPY_PASSAGES = "COPY pg_temp.howdah_chunks%", "COPY pg_temp.howdah_passages%"
# (pg_stat_activity shows the first 1,024 bytes of a statement.)
COMMIT, INDEX, POSTINGS, DELETE = "COMMIT", "CREATE INDEX%", "%given AS MATERIALIZED%", "%DELETE FROM %chunks_1%"
SHORT = [COPY_CHUNKS, COMMIT, INDEX, POSTINGS, COPY_PASSAGES]
FULL = [COPY_CHUNKS, COMMIT, INDEX, COPY_PASSAGES, POSTINGS, COMMIT, INDEX, COPY_CHUNKS, DELETE, COMMIT] * 2
INSIDE = ("COPY", "COMMIT", "CREATE INDEX")

VICTIM = "from tests.integration.victim import main; main()"
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF current_setting('application_name') = 'victim' THEN PERFORM pg_sleep(0.3); END IF; RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON howdah.documents
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow();
CREATE TRIGGER slow BEFORE INSERT ON howdah.postings_1 FOR EACH STATEMENT EXECUTE FUNCTION slow();
CREATE TRIGGER slow BEFORE DELETE ON howdah.chunks_1 FOR EACH STATEMENT EXECUTE FUNCTION slow();
"""
ACTIVE = "SELECT query FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'active' AND pid <> pg_backend_pid()"


def write_version(folder: Path, version: int) -> Path:
    """Documents of more chunks than one statement takes, so that COPY is used; some are the same in every version."""
    folder.mkdir(exist_ok=True)
    for number in range(DOCUMENTS):
        own = [f"document {number} version {version} part {part} of a journey" for part in range(PARTS)]
        common = [f"document {number} part {part} which every version has" for part in range(COMMON)]
        (folder / f"{number}.txt").write_text("\n\n".join(own + common))
    return folder


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
    """Kill the ingest when the server is at this statement; returns what the server says it is doing then."""
    with psycopg.connect(url, autocommit=True) as conn, ExitStack() as stack:
        notices_dead_clients(conn, moment, yes=noticed)
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, make_conninfo(url, application_name="victim"), str(folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "begun\n", victim.communicate()[1]
            if moment == INDEX:
                stack.enter_context(open_writer_later(url, conn))
            doing = await_moment(conn, victim, moment, delay)
        finally:
            victim.kill()
            victim.communicate()
        stack.close()
        until_gone(conn)
    return doing


@contextmanager
def open_writer_later(url: str, conn: Connection) -> Iterator[None]:
    """Once the documents are written, for the index's sake; dropping an index waits for it, too."""
    while not conn.execute(f"{ACTIVE} AND (query LIKE 'VACUUM%' OR query LIKE 'CREATE INDEX%')").fetchone():
        time.sleep(0.001)
    with open_writer(url):
        yield


def await_moment(conn: Connection, victim: subprocess.Popen[str], moment: str, delay: float) -> str:
    while victim.poll() is None:
        if conn.execute(f"{ACTIVE} AND query LIKE %s", [moment]).fetchone():
            time.sleep(delay)
            rows = conn.execute(ACTIVE).fetchall()
            return " ".join(rows[0][0].split()) if rows else "(between two statements)"
        time.sleep(0.002)
    raise AssertionError(f"it ended before it was at {moment}: {victim.communicate()[1]}")


def until_gone(conn: Connection) -> None:
    """A statement that is under way may run to its end."""
    deadline = time.monotonic() + 30
    while conn.execute("SELECT 1 FROM pg_stat_activity WHERE application_name = 'victim'").fetchone():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    with PGVector(Quick(size=32), connection=url, collection_name="docs") as store:
        yield store
        store.database.close()


@pytest.mark.drill
def test_a_kill_leaves_every_document_as_before_or_after(
    store: PGVector, url: str, tmp_path: Path, full_drill: bool
) -> None:
    folder, chance, caught, mended = tmp_path / "corpus", random.Random(5), Counter[str](), Counter[str]()
    sync(store, [write_version(folder, 0)], splitter=splitter())
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SLOW)
    for version, moment in enumerate(FULL if full_drill else SHORT, start=1):
        write_version(folder, version)
        before = contents(store.store, "docs")
        if moment == INDEX:
            maintain(store, index="none")
        doing = kill_at(url, folder, moment, chance.uniform(0, 0.15), noticed=version % 4 == 3)
        between = contents(store.store, "docs")
        check_whole(store.store, "docs")
        report = go_on(store, folder)
        after = contents(store.store, "docs")
        assert {source for source, found in between.items() if found not in (before[source], after[source])} == set()
        assert between.keys() == before.keys() == after.keys()
        assert all(before[source] != after[source] for source in after)
        caught[doing[:28]] += 1
        mended[report.index] += 1
        replaced = sum(between[source] == after[source] for source in after)
        print(f"killed in: {doing[:60]!r:64} documents replaced: {replaced}, index: {report.index}")
    assert sum(count for doing, count in caught.items() if doing.startswith(INSIDE)) >= (10 if full_drill else 3), (
        caught
    )
    assert mended["rebuilt"] >= 1, mended


def go_on(store: PGVector, folder: Path) -> MaintenanceReport:
    """What the next run does: it completes, waits for a dead holder's lease to end, and mends the index."""
    report = sync(store, [folder], splitter=splitter())
    assert report.files.failed == 0
    deadline = time.monotonic() + 30
    while (upkept := maintain(store, index="hnsw")).held_by is not None:
        assert time.monotonic() < deadline, "a dead holder lets go when its lease ends"
        time.sleep(0.1)
    assert [row["valid"] for row in store.store.rows(upkeep.indexes(store.store.get("docs")))] == [True]
    check_whole(store.store, "docs")
    return upkept
