"""PgBouncer in transaction mode before the server: any statement may run on another client's connection."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL

from howdah.retrieval.conninfo import parse
from howdah.retrieval.database import Database
from howdah.retrieval.embedded_programs import ENVIRONMENT
from howdah.retrieval.query import Query
from howdah.retrieval.store import Store
from howdah.retrieval.store_async import AsyncStore
from howdah.retrieval.vectorstore import PGVector
from tests.integration.scratch import PASSWORD, Scratch, free_port, scratch_server

PGBOUNCER = shutil.which("pgbouncer", path=f"{ENVIRONMENT['PATH']}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (apt-get install pgbouncer)")

SHOW = Query(SQL("SELECT current_setting('hnsw.ef_search', true) AS ef_search"), {})
CONF = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = 4
auth_type = plain
auth_file = {folder}/users
ignore_startup_parameters = {ignored}
"""
REJECTS, SWALLOWS = "extra_float_digits", "extra_float_digits, options"


class Bouncer:
    def __init__(self, server: Scratch, ignored: str) -> None:
        self.port, self.server = free_port(), server
        self.folder = server.folder / f"bouncer-{self.port}"
        self.folder.mkdir(mode=0o755)
        (self.folder / "users").write_text('"ann" "{}"\n'.format(PASSWORD.replace('"', '""')))
        (self.folder / "ini").write_text(
            CONF.format(server=server.port, port=self.port, folder=self.folder, ignored=ignored)
        )
        assert PGBOUNCER
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [PGBOUNCER, self.folder / "ini"], stdout=self.log, stderr=self.log, **server.account.credentials
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.05)

    def url(self, **more: object) -> str:
        return make_conninfo(self.server.url(), port=self.port, **more)

    def as_url(self, query: str) -> str:
        from urllib.parse import quote

        return f"postgresql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/library{query}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.log.close()


@pytest.fixture(scope="module")
def scratch() -> Iterator[Scratch]:
    with scratch_server() as server:
        make(server.url()).add_texts(["apple", "pear", "plum"], ids=["1", "2", "3"])
        yield server


@pytest.fixture(scope="module", params=[REJECTS, SWALLOWS], ids=["rejects", "swallows"])
def bouncer(scratch, request) -> Iterator[Bouncer]:
    bouncer = Bouncer(scratch, request.param)
    yield bouncer
    bouncer.stop()


@pytest.fixture(autouse=True)
def no_pools_left() -> Iterator[None]:
    yield
    from howdah.retrieval import database

    for one in list(database._every):
        one.close()
    database._databases.clear()


def make(url: str, **kwargs: object) -> PGVector:
    return PGVector(DeterministicFakeEmbedding(size=16), connection=url, collection_name="docs", **kwargs)


def test_it_is_recognised_by_itself(bouncer):
    for _ in range(12):  # what one look leaves behind must not disturb the next, on whichever connection it lands
        database = Database(parse(bouncer.url()))
        server = database.server
        assert (server.pooler, server.prepares, server.settings) == (True, False, {})
        database.close()
    assert asyncio.run(Database(parse(bouncer.url())).aserver()) == server
    assert prepared(bouncer) == set()


def prepared(bouncer: Bouncer) -> set[str]:
    """The prepared statements on the server's connections, as far as one meets them through the pooler."""
    with psycopg.connect(bouncer.url(), autocommit=True, prepare_threshold=None) as conn:
        rows = [conn.execute("SELECT statement FROM pg_prepared_statements").fetchall() for _ in range(20)]
    return {row[0] for found in rows for row in found}


@pytest.mark.parametrize(("query", "prepares"), [("?pooler=true", False), ("?pooler=prepared", True)])
def test_it_is_declared(bouncer, query, prepares):
    database = Database(parse(bouncer.as_url(query)))
    assert (database.server.pooler, database.server.prepares) == (True, prepares)
    database.close()


def test_a_direct_connection_is_not_taken_for_one(scratch):
    database = Database(parse(scratch.url()))
    assert (database.server.pooler, database.server.prepares) == (False, True)
    database.close()


def test_a_servers_own_defaults_do_not_hide_it(scratch, bouncer):
    """The server's configuration may hold every setting of ours: what has not come with the connection is not its own."""
    with scratch.admin() as admin:
        admin.execute("ALTER DATABASE library SET plan_cache_mode = force_generic_plan")
        admin.execute("ALTER DATABASE library SET hnsw.iterative_scan = relaxed_order")
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'library'"
        admin.execute(others)  # the pooler's own, which are older than the defaults
        try:
            with psycopg.connect(bouncer.url(), prepare_threshold=None) as conn:
                assert conn.execute("SHOW plan_cache_mode").fetchone() == ("force_generic_plan",)
            database = Database(parse(bouncer.url()))
            assert database.server.pooler
            database.close()
        finally:
            admin.execute("ALTER DATABASE library RESET ALL")
            admin.execute(others)


@pytest.mark.parametrize("query", ["", "?pooler=true"])
def test_everything_works_through_it(bouncer, query):
    store = make(bouncer.as_url(query))

    def work(n: int) -> list[int]:
        counts = []
        for turn in range(3):
            ids = store.add_texts([f"fig {n}", f"date {n}"], ids=[f"{n}-{turn}-a", f"{n}-{turn}-b"])
            counts.append(len(store.similarity_search(f"fig {n}", k=3, ef_search=100 + n)))
            counts.append(len(store.hits(f"fig {n}", k=3, search_type="hybrid")))
            store.delete(ids)
        return counts

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [[3] * 6] * 8
    store.add_texts([f"grape {n}" for n in range(300)], ids=[f"g{n}" for n in range(300)])  # COPY, through staging
    fresh = store.add_texts([f"melon {n}" for n in range(300)])  # COPY, straight in
    store.delete([*fresh, *(f"g{n}" for n in range(300))])
    assert store.store.count(store.store.get("docs")) == 3
    assert prepared(bouncer) == set()


@pytest.mark.parametrize("query", ["", "?pooler=true"])
def test_everything_works_through_it_awaited(bouncer, query):
    async def work(store: PGVector, n: int) -> list[int]:
        counts = []
        for turn in range(3):
            ids = await store.aadd_texts([f"fig {n}", f"date {n}"], ids=[f"{n}-{turn}-a", f"{n}-{turn}-b"])
            counts.append(len(await store.asimilarity_search(f"fig {n}", k=3, ef_search=100 + n)))
            await store.adelete(ids)
        return counts

    async def main() -> None:
        store = make(bouncer.as_url(query))
        assert await asyncio.gather(*(work(store, n) for n in range(8))) == [[3] * 3] * 8
        fresh = await store.aadd_texts([f"melon {n}" for n in range(300)])
        await store.adelete(fresh)

    asyncio.run(main())
    assert prepared(bouncer) == set()


def test_settings_go_along_and_do_not_leak(bouncer):
    database = Database(parse(bouncer.url()))
    store = Store(database)
    outside = psycopg.connect(bouncer.url(), autocommit=True, prepare_threshold=None)

    def left() -> set[object]:
        with ThreadPoolExecutor(4):
            return {outside.execute("SELECT current_setting('hnsw.ef_search', true)").fetchone()[0] for _ in range(20)}

    assert store.fetch(SHOW) == [{"ef_search": "100"}]  # our default goes along too
    for value in ("150", "151"):
        assert store.fetch(SHOW, {"hnsw.ef_search": value}) == [{"ef_search": value}]
        assert not left() & {"100", "150", "151"}

    async def main() -> None:
        database = Database(parse(bouncer.url()))
        assert await AsyncStore(database).fetch(SHOW, {"hnsw.ef_search": "152"}) == [{"ef_search": "152"}]
        await database.aclose()

    asyncio.run(main())
    assert not left() & {"100", "152"}
    outside.close()
    database.close()


def test_a_restarted_server_behind_it_is_read_again(scratch, bouncer):
    store = make(bouncer.url())
    assert len(store.similarity_search("apple", k=3)) == 3
    scratch.stop()
    scratch.start()
    assert len(store.similarity_search("apple", k=3)) == 3
    assert len(asyncio.run(store.asimilarity_search("apple", k=3))) == 3
