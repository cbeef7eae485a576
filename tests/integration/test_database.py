"""Connections as their users meet them: threads, loops, forks, deaths, settings, pools of their own."""

import asyncio
import copy
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg.sql import SQL
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from howdah.retrieval.connect import open_database
from howdah.retrieval.conninfo import Conninfo, parse
from howdah.retrieval.database import POOL_SIZE, Database
from howdah.retrieval.embedded import EmbeddedServer
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput
from howdah.retrieval.pools import origin_of
from howdah.retrieval.query import Query
from howdah.retrieval.store import Store
from howdah.retrieval.store_async import AsyncStore
from howdah.retrieval.vectorstore import PGVector

EF_SEARCH = Query(SQL("SELECT current_setting('hnsw.ef_search') AS ef_search"), {})
LOST = re.compile("the server ended the connection|the connection was lost")
SLOW = Query(SQL("SELECT 1 AS one FROM pg_sleep(%(seconds)s)"), {"seconds": 20})


@pytest.fixture
def named(url: str) -> str:
    """The URL of a database with three rows, by a name of its own in pg_stat_activity."""
    named = make_conninfo(url, application_name="counted")
    make(named).add_texts(["apple", "pear", "plum"], ids=["1", "2", "3"])
    forget(named)
    return named


@pytest.fixture(autouse=True)
def no_pools_left() -> Iterator[None]:
    yield
    from howdah.retrieval import database

    for one in list(database._databases.values()):
        one.close()


def forget(url: str) -> None:
    """Let the next use be the first."""
    from howdah.retrieval import database

    for key in [key for key in database._databases if key[0].text == url]:
        database._databases.pop(key).close()


def make(url: str, **kwargs: object) -> PGVector:
    return PGVector(DeterministicFakeEmbedding(size=16), connection=url, collection_name="docs", **kwargs)


def found(store: PGVector) -> list[str | None]:
    return sorted(doc.id for doc in store.similarity_search("apple", k=3))


async def afound(store: PGVector) -> list[str | None]:
    return sorted(doc.id for doc in await store.asimilarity_search("apple", k=3))


ALL = ["1", "2", "3"]


def backends(admin: psycopg.Connection, name: str = "counted") -> int:
    row = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]).fetchone()
    assert row is not None
    return int(row[0])


def terminate(admin: psycopg.Connection, name: str = "counted") -> int:
    query = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = %s"
    row = admin.execute(query, [name]).fetchone()
    assert row is not None
    return int(row[0])


def eventually(condition: Callable[[], object], *, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@contextmanager
def peak(admin: psycopg.Connection) -> Iterator[list[int]]:
    """The greatest number of connections at any moment; one item once the body has ended."""
    seen, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            seen[0] = max(seen[0], backends(admin))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def run(code: str, *args: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", COMMON + code, *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


COMMON = """
import asyncio, os, sys
from langchain_core.embeddings import DeterministicFakeEmbedding
from howdah import PGVector
store = PGVector(DeterministicFakeEmbedding(size=16), connection=sys.argv[1], collection_name="docs")
def found():
    return sorted(doc.id for doc in store.similarity_search("apple", k=3))
async def afound():
    return sorted(doc.id for doc in await store.asimilarity_search("apple", k=3))
def kill():
    import psycopg
    with psycopg.connect(sys.argv[1], autocommit=True, application_name="killer") as conn:
        conn.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'counted'")
"""


# -- threads and loops


def test_constructors_do_no_io(named, admin):
    stores = [make("postgresql://u:p@192.0.2.1:1/nowhere"), *(make(named) for _ in range(20))]
    assert [repr(store.as_retriever()) for store in stores]
    assert len({id(store.database) for store in stores[1:]}) == 1
    assert backends(admin) == 0


def test_many_stores_and_threads_share_one_pool(named, admin):
    stores = [make(named) for _ in range(20)]
    start = threading.Barrier(160)

    def search(store: PGVector) -> list[list[str | None]]:
        start.wait()
        return [found(store) for _ in range(3)]

    with peak(admin) as seen, ThreadPoolExecutor(160) as threads:
        results = list(threads.map(search, stores * 8))
    assert results == [[ALL] * 3] * 160
    assert 1 < seen[0] <= POOL_SIZE


def test_a_first_search_opens_one_connection(named, admin):
    store = make(named)
    assert found(store) == found(store) == ALL
    assert backends(admin) == 1
    pool = store.database._pool
    assert pool is not None
    assert pool.get_stats()["connections_num"] == 1
    forget(named)
    eventually(lambda: backends(admin) == 0)

    async def search() -> int:
        assert await afound(make(named)) == ALL
        return backends(admin)

    assert asyncio.run(search()) == 1


def test_one_loop_after_another(named, admin):
    store = make(named)
    assert [asyncio.run(afound(store)) for _ in range(3)] == [ALL] * 3
    eventually(lambda: backends(admin) == 0)  # each loop took its pool with it


def test_a_loop_closed_by_hand_leaves_nothing(named, admin):
    store = make(named)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(afound(store)) == ALL
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    eventually(lambda: backends(admin) == 0)


def test_many_tasks_on_one_loop_share_one_pool(named, admin):
    async def main() -> list[list[str | None]]:
        stores = [make(named) for _ in range(10)]
        return await asyncio.gather(*(afound(stores[i % 10]) for i in range(150)))

    with peak(admin) as seen:
        assert asyncio.run(main()) == [ALL] * 150
    assert seen[0] <= POOL_SIZE


def test_loops_in_threads_have_a_pool_each(named):
    store = make(named)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: asyncio.run(afound(store)), range(8))) == [ALL] * 8


def test_a_loop_that_ends_while_its_pool_grows_ends(named, admin):
    store = make(named)

    async def main() -> None:
        tasks = [asyncio.create_task(afound(store)) for _ in range(30)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    for _ in range(10):
        asyncio.run(asyncio.wait_for(main(), 20))
    eventually(lambda: backends(admin) == 0)
    assert found(store) == ALL


async def test_sync_and_async_together(named):
    store = make(named)
    assert found(store) == await afound(store) == ALL
    await asyncio.to_thread(store.database.close)
    assert await afound(store) == found(store) == ALL
    await store.database.aclose()
    assert await afound(store) == ALL
    await store.database.aclose()


# -- forks and ends


FORK = """
import multiprocessing, threading
assert found() == ["1", "2", "3"]
stop = threading.Event()
def go_on():
    while not stop.is_set():
        found()
threads = [threading.Thread(target=go_on, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ok = len(found()) == len(found()) == len(asyncio.run(afound())) == 3
            store.add_texts([f"child {os.getpid()}"])
            code = 0 if ok else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert found()
def child(queue):
    queue.put(len(found()))
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
process = context.Process(target=child, args=(queue,))
process.start()
assert queue.get() == 3
process.join(20)
assert process.exitcode == 0, process.exitcode
stop.set()
for thread in threads:
    thread.join()
assert len(found()) == 3 and asyncio.run(afound())
print("done")
"""


def test_a_fork_after_first_use(named):
    done = run(FORK, named, options=("-W", "error", "-W", "ignore:This process:DeprecationWarning"))
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize(
    "code",
    [
        "found()",
        "asyncio.run(afound())",
        "found(); asyncio.run(afound()); store.add_texts(['x']); asyncio.run(store.aadd_texts(['y']))",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(afound()); "
        "loop.run_until_complete(loop.shutdown_asyncgens()); loop.close()",
        "with store: found()",
        "found(); del store; import gc; gc.collect()",
        "import threading; t = threading.Thread(target=found); t.start(); t.join()",
        "found()\nsys.exit(0)",
        "found(); asyncio.run(afound()); kill(); found(); kill(); store.database.close(); found()",
    ],
)
def test_unclosed_stores_end_quietly(named, code):
    done = run("\n" + code, named, options=("-W", "error", "-X", "dev"))
    said = [line for line in done.stderr.splitlines() if not re.match("Executing <.* took", line)]  # a busy machine
    assert (done.returncode, done.stdout, said) == (0, "", [])


def test_with_and_close(named, admin):
    with make(named) as store, make(named) as other:
        assert found(store) == found(other) == ALL
    assert found(store) == ALL  # opens again

    async def main() -> list[str | None]:
        async with make(named) as store:
            await afound(store)
        await store.aclose()
        return await afound(store)

    assert asyncio.run(main()) == ALL
    store.close()
    assert found(other) == ALL
    other.database.close()
    eventually(lambda: backends(admin) == 0)


# -- cancellation and deaths


def free(pool: ConnectionPool | AsyncConnectionPool) -> bool:
    stats = pool.get_stats()
    return stats["pool_size"] == stats["pool_available"]


async def test_a_cancelled_await_gives_its_connection_back(named):
    store = make(named, pool_size=1)
    assert await afound(store) == ALL
    pool = store.database._here().pool
    assert pool is not None
    for _ in range(3):
        slow = asyncio.create_task(store.astore.fetch(SLOW, {}))
        waiting = asyncio.create_task(afound(store))
        await asyncio.sleep(0.1)
        assert not free(pool)
        waiting.cancel()  # it waits for a connection
        slow.cancel()  # it waits for an answer
        results = await asyncio.gather(slow, waiting, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
        await asyncio.to_thread(eventually, lambda: free(pool))
        assert await afound(store) == ALL
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await store.astore.fetch(SLOW, {"hnsw.ef_search": "7"})
    assert (await store.astore.fetch(EF_SEARCH))[0]["ef_search"] == "100"
    await store.database.aclose()


async def test_a_cancelled_first_use_leaves_nothing(named, admin):
    for seconds in (0.0, 0.001, 0.003, 0.006, 0.01, 0.02):
        store = make(named)
        task = asyncio.create_task(afound(store))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await afound(store) == ALL
        await store.database.aclose()
        forget(named)
    await asyncio.to_thread(eventually, lambda: backends(admin) == 0)


def test_a_read_survives_the_death_of_every_connection(named, admin):
    store = make(named)
    for size in (1, 4, 10):
        with ThreadPoolExecutor(size) as threads:
            assert list(threads.map(lambda _: found(store), range(4 * size))) == [ALL] * (4 * size)
            assert terminate(admin) >= 1
            assert list(threads.map(lambda _: found(store), range(4 * size))) == [ALL] * (4 * size)
    terminate(admin)
    assert store.get_by_ids(["1"])[0].page_content == "apple"


async def test_an_awaited_read_survives_it_too(named, admin):
    store = make(named)
    for size in (1, 4, 20):
        assert await asyncio.gather(*(afound(store) for _ in range(size))) == [ALL] * size
        assert await asyncio.to_thread(terminate, admin) >= 1
        assert await asyncio.gather(*(afound(store) for _ in range(size))) == [ALL] * size
    await store.database.aclose()


def test_a_write_on_a_dead_connection_says_so_and_writes_nothing(named, admin):
    store = make(named)
    with ThreadPoolExecutor(5) as threads:
        list(threads.map(lambda _: found(store), range(20)))
    terminate(admin)
    with pytest.raises(DatabaseUnavailable, match=LOST) as caught:
        store.store.execute(Query(SQL("DELETE FROM howdah.collections"), {}))
    assert "try again" in caught.value.hint
    store.store.execute(Query(SQL("SELECT 1"), {}))  # once: the other dead connections are gone too
    assert found(store) == ALL


async def test_an_awaited_write_says_so_too(named, admin):
    store = make(named)
    await asyncio.gather(*(afound(store) for _ in range(20)))
    await asyncio.to_thread(terminate, admin)
    with pytest.raises(DatabaseUnavailable, match=LOST):
        await store.astore.execute(Query(SQL("DELETE FROM howdah.collections"), {}))
    await store.astore.execute(Query(SQL("SELECT 1"), {}))
    assert await afound(store) == ALL
    await store.database.aclose()


def test_a_write_that_dies_midway_writes_nothing(named, admin):
    store = make(named)
    with (  # noqa: PT012
        pytest.raises(DatabaseUnavailable),
        store.database.connection() as conn,
        conn.transaction(),
    ):
        store.add_texts(["new"], ids=["4"], conn=conn)
        terminate(admin)
        store.delete(["1"], conn=conn)
    assert found(store) == ALL


def test_a_busy_pool_says_so(url):
    database = Database(Conninfo(url), pool_size=1, timeout=0.2)
    with (
        database.connection(),
        pytest.raises(DatabaseUnavailable, match=r"none of 1 connections .* within 0\.2 s; raise"),
    ):
        Store(database).rows(EF_SEARCH)
    assert Store(database).rows(EF_SEARCH)
    database.close()


def test_who_waits_for_a_pool_that_is_closed_gets_another(url):
    database = Database(Conninfo(url), pool_size=1)
    store = Store(database)
    with ThreadPoolExecutor(1) as thread:
        with database.connection():
            pool = database._pool
            assert pool is not None
            origin_of(pool).failure = psycopg.OperationalError("of long ago")
            waiting = thread.submit(store.rows, EF_SEARCH)
            eventually(lambda: pool.get_stats().get("requests_waiting"))
            database.close()
        assert waiting.result(20) == [{"ef_search": "100"}]
    database.close()


# -- settings


@pytest.mark.skipif(sys.platform != "linux", reason="libpq traces on Linux alone")
@pytest.mark.parametrize("settings", [{}, {"hnsw.ef_search": "100"}, {"hnsw.ef_search": "150"}])
def test_a_search_is_one_trip_whatever_its_settings(named, tmp_path, settings):
    database = Database(parse(named), pool_size=1)
    store = Store(database)
    for _ in range(2):  # the first one prepares
        expected = settings.get("hnsw.ef_search", "100")
        assert store.fetch(EF_SEARCH, settings) == [{"ef_search": expected}]
    trace = tmp_path / "trace"
    with trace.open("w") as file:
        with database.connection() as conn:
            conn.pgconn.trace(file.fileno())
            conn.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        store.fetch(EF_SEARCH, settings)
        with database.connection() as conn:
            conn.pgconn.untrace()
    lines = [line.split("\t") for line in trace.read_text().splitlines()]
    sides = "".join(line[0] for line in lines)
    assert re.fullmatch("F+B+", sides)  # all is sent before anything is answered
    bound = [line[2] for line in lines if line[0] == "F"].count("Bind")
    assert bound == (2 if expected == "150" else 1)  # the settings, the search
    database.close()


def test_settings_do_not_leak_to_the_next_borrower(named):
    database = Database(parse(named), pool_size=1)
    store = Store(database)
    assert store.fetch(EF_SEARCH, {"hnsw.ef_search": "150"}) == [{"ef_search": "150"}]
    with database.connection() as conn:
        assert conn.execute("SHOW hnsw.ef_search").fetchone() == ("100",)
    with pytest.raises(psycopg.errors.DivisionByZero):
        store.fetch(Query(SQL("SELECT 1 / %(zero)s::int"), {"zero": 0}), {"hnsw.ef_search": "150"})
    with database.connection() as conn:
        assert conn.execute("SHOW hnsw.ef_search").fetchone() == ("100",)
        assert conn.execute("SHOW plan_cache_mode").fetchone() == ("force_generic_plan",)
    database.close()


async def test_awaited_settings_do_not_leak_either(named):
    database = Database(parse(named), pool_size=1)
    store = AsyncStore(database)
    assert await store.fetch(EF_SEARCH, {"hnsw.ef_search": "150"}) == [{"ef_search": "150"}]
    async with database.aconnection() as conn:
        assert await (await conn.execute("SHOW hnsw.ef_search")).fetchone() == ("100",)
    await database.aclose()


def test_the_urls_own_settings_are_the_default(named):
    database = Database(parse(make_conninfo(named, options="-c hnsw.ef_search=222")))
    store = Store(database)
    assert store.fetch(EF_SEARCH) == [{"ef_search": "222"}]
    assert store.fetch(EF_SEARCH, {"hnsw.ef_search": "100"}) == [{"ef_search": "100"}]
    assert database.server.missing({}) == {}
    assert (database.server.pooler, database.server.prepares) == (False, True)
    database.close()


# -- the user's own pool


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_pool_of_the_users_own(named, admin, autocommit):
    kwargs = {"autocommit": autocommit, "row_factory": dict_row}
    with ConnectionPool(named, kwargs=kwargs, min_size=1, max_size=2, open=False) as pool:
        store = PGVector(DeterministicFakeEmbedding(size=16), pool=pool, collection_name="docs")
        assert found(store) == ALL
        store.add_texts(["new"], ids=["4"])
        assert len(store.similarity_search("new", k=9, ef_search=50)) == 4
        store.delete(["4"])
        assert found(store) == ALL
        assert backends(admin) <= 2
        with pool.connection() as conn:  # as the user left it
            assert conn.autocommit is autocommit
            assert conn.row_factory is dict_row
        terminate(admin)
        assert found(store) == ALL
        store.close()
        store.database.close()
        assert not pool.closed
        assert asyncio.run(afound(store)) == ALL  # on a pool of ours beside it
        with pytest.raises(TypeError, match="pool= cannot be pickled"):
            pickle.dumps(store)
    with pytest.raises(DatabaseUnavailable, match="the pool given as pool= is not open"):
        found(store)


@pytest.mark.parametrize("autocommit", [True, False])
async def test_an_async_pool_of_the_users_own(named, admin, autocommit):
    kwargs = {"autocommit": autocommit, "row_factory": dict_row}
    async with AsyncConnectionPool(named, kwargs=kwargs, min_size=1, max_size=2, open=False) as pool:
        store = PGVector(DeterministicFakeEmbedding(size=16), pool=pool, collection_name="docs")
        assert await afound(store) == ALL
        await store.aadd_texts(["new"], ids=["4"])
        assert len(await store.asimilarity_search("new", k=9, ef_search=50)) == 4
        await store.adelete(["4"])
        terminate(admin)
        assert await afound(store) == ALL
        async with pool.connection() as conn:
            assert conn.row_factory is dict_row
        assert await asyncio.to_thread(found, store) == ALL
        await store.aclose()
        await store.database.aclose()
        assert not pool.closed


def test_a_pool_that_holds_its_url_in_pieces(named):
    pieces = dict(parse(named).parts)
    with ConnectionPool("", kwargs=pieces, min_size=1, max_size=1, open=False) as pool:
        assert open_database(None, pool=pool).conninfo.parts == pieces
        assert found(PGVector(DeterministicFakeEmbedding(size=16), pool=pool, collection_name="docs")) == ALL
    unknown = ConnectionPool(lambda: named, open=False)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="give connection= as well"):
        open_database(None, pool=unknown)
    with pytest.raises(InvalidInput, match="pool is str"):
        open_database(None, pool="postgresql://")  # type: ignore[arg-type]


def test_a_sqlalchemy_engine_tells_where(named):
    from sqlalchemy import URL, create_engine

    parts = parse(named).parts
    url = URL.create("postgresql+psycopg", parts["user"], database=parts["dbname"], query={"host": parts["host"]})
    assert found(make(create_engine(url))) == ALL  # type: ignore[arg-type]


# -- copies


def test_pickles_and_copies(named, admin):
    store = make(named)
    assert found(store) == ALL
    for other in (pickle.loads(pickle.dumps(store)), copy.copy(store), copy.deepcopy(store)):
        assert found(other) == ALL
        assert other.database is store.database
    assert found(copy.deepcopy(store.as_retriever()).vectorstore) == ALL
    with pytest.raises(TypeError, match="sockets and a password"):
        pickle.dumps(store.database)


# -- the embedded server


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="howdah-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "home"
    server = EmbeddedServer(folder / "home")
    from howdah.retrieval import connect

    if lease := connect._leases.pop((folder / "home").absolute(), None):
        lease[1].close()
    server.destroy()
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_a_killed_embedded_server_comes_back_for_a_read(home):
    server = EmbeddedServer(home)
    store = PGVector(DeterministicFakeEmbedding(size=16), home=home, collection_name="docs")
    store.add_texts(["apple", "pear", "plum"], ids=ALL)
    for kill in (signal.SIGKILL, signal.SIGINT):
        pid = server.status().pid
        assert pid is not None
        os.kill(pid, kill)
        eventually(lambda: not Path(f"/proc/{pid}").exists() or server.status().state == "stopped", seconds=20)  # noqa: B023
        assert found(store) == ALL
    pid = server.status().pid
    assert pid is not None
    backends = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    os.kill(pid, signal.SIGKILL)
    # A process of the server's may outlive it for a moment, and would still write.
    eventually(lambda: not any(Path(f"/proc/{backend}").exists() for backend in backends), seconds=20)
    with pytest.raises(DatabaseUnavailable):
        store.add_texts(["late"], ids=["4"])  # the connection was dead, and a write is not tried again
    store.add_texts(["late"], ids=["4"])
    server.stop()
    assert len(asyncio.run(store.asimilarity_search("late", k=9))) == 4
    store.database.close()


async def test_an_embedded_server_starts_without_stopping_the_loop(home):
    store = PGVector(DeterministicFakeEmbedding(size=16), home=home, collection_name="docs")
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    assert await store.asimilarity_search("nothing is there") == []
    ticking.cancel()
    assert longest < 0.5
    await store.database.aclose()
