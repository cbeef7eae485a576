"""Who is let in, with what rights, and what is said to who is not: on a server that asks for passwords."""

import asyncio
import copy
import logging
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import make_conninfo

from howdah.retrieval import schema
from howdah.retrieval.errors import DatabaseUnavailable, ExtensionMissing, SchemaMissing
from howdah.retrieval.vectorstore import PGVector
from tests.integration.scratch import PASSWORD, Scratch, free_port, scratch_server

ALL = ["1", "2", "3"]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Scratch]:
    with scratch_server() as server:
        make(server.url()).add_texts(["apple", "pear", "plum"], ids=ALL)
        yield server


@pytest.fixture(autouse=True)
def no_pools_left() -> Iterator[None]:
    yield
    from howdah.retrieval import database

    for one in list(database._every):
        one.close()
    database._databases.clear()


def make(url: str, **kwargs: object) -> PGVector:
    return PGVector(DeterministicFakeEmbedding(size=16), connection=url, collection_name="docs", **kwargs)


def found(store: PGVector) -> list[str | None]:
    return sorted(doc.id for doc in store.similarity_search("apple", k=3))


async def afound(store: PGVector) -> list[str | None]:
    return sorted(doc.id for doc in await store.asimilarity_search("apple", k=3))


def as_url(server: Scratch, dbname: str = "library") -> str:
    return f"postgresql://ann:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{dbname}"


# -- passwords


def said(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc, chain=True)) + repr(exc) + repr(exc.__dict__)


def shows(text: str) -> bool:
    return PASSWORD in text or quote(PASSWORD, safe="") in text or quote(PASSWORD) in text


def test_the_password_appears_nowhere(scratch, caplog):
    """In no log at DEBUG, repr, message or traceback; through threads, tasks, deaths and refusals."""
    # psycopg's logger has a level of its own, which hides what it would tell at DEBUG.
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "psycopg"):
        for url in (scratch.url(), as_url(scratch)):
            store = make(url)
            assert found(store) == asyncio.run(afound(store)) == ALL
            shown = [repr(store), repr(store.database), repr(store.database.conninfo), repr(store.as_retriever())]
            with scratch.admin() as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'howdah'"
                )
            with pytest.raises(DatabaseUnavailable) as caught:
                store.store.execute(store.store.find("docs") and _nothing())
            shown.append(said(caught.value))
            wrong = make(url.replace("library", "nowhere"))
            for search in (found, lambda store: asyncio.run(afound(store))):
                with pytest.raises(DatabaseUnavailable) as caught:
                    search(wrong)
                shown.append(said(caught.value))
                shown.append(repr(pickle.loads(pickle.dumps(caught.value))))
            store.database.close()
    assert {"psycopg", "psycopg.pool"} <= {record.name for record in caplog.records}
    assert not [text for text in [*shown, caplog.text, *(repr(r.args) for r in caplog.records)] if shows(text)]


def _nothing():
    from psycopg.sql import SQL

    from howdah.retrieval.query import Query

    return Query(SQL("SELECT 1"), {})


def test_a_password_is_not_pickled_but_a_store_with_one_is_copied(scratch):
    store = make(as_url(scratch))
    with pytest.raises(TypeError, match="holds a password is not pickled: keep the password in PGPASSWORD"):
        pickle.dumps(store)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(store.as_retriever())
    assert found(copy.deepcopy(store)) == found(copy.copy(store)) == ALL
    assert found(copy.deepcopy(store.as_retriever()).vectorstore) == ALL


def test_a_store_without_the_password_is_pickled_and_finds_it_elsewhere(scratch, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    data = pickle.dumps(make(scratch.url(password=None)))
    assert PASSWORD.encode() not in data
    assert found(pickle.loads(data)) == ALL


# -- who is not let in


REFUSALS = {
    "wrong password": ("the server refuses the password of this user", "check user and password"),
    "no password": ("the server wants a password and the URL has none", "postgresql://user:password@"),
    "wrong user": ("the server refuses the password of this user", "check user and password"),
    "wrong host": ("the host name cannot be resolved", "correct the host"),
    "wrong port": ("nothing listens there", "start the server"),
    "wrong socket": ("no server has its socket there", "start the server"),
    "no database": ("the database or the user does not exist there", "create it, or correct the URL"),
    "no TLS": ("the encrypted connection failed", "sslmode"),
}


def refused(server: Scratch, kind: str) -> str:
    return {
        "wrong password": server.url(password=PASSWORD[::-1]),
        "no password": server.url(password=None),
        "wrong user": server.url(user="nobody"),
        "wrong host": make_conninfo(server.url(), host="no-such-host.invalid"),
        "wrong port": make_conninfo(server.url(), port=free_port()),
        "wrong socket": make_conninfo(server.url(), host="/nowhere"),
        "no database": server.url("nowhere"),
        "no TLS": server.url(sslmode="require"),
    }[kind]


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_one_sentence_with_the_next_step(scratch, kind):
    reason, hint = REFUSALS[kind]
    store = make(refused(scratch, kind))
    for use in (lambda: found(store), lambda: store.add_texts(["x"]), lambda: asyncio.run(afound(store))):
        before = time.monotonic()
        with pytest.raises(DatabaseUnavailable) as caught:
            use()
        assert time.monotonic() - before < 5
        assert reason in caught.value.message
        assert hint in caught.value.hint
        assert "\n" not in str(caught.value)
        assert caught.value.message.startswith("cannot use ")
        assert PASSWORD[::-1] not in said(caught.value)


def test_a_host_that_does_not_answer_is_given_up(scratch):
    import socket

    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(16)  # accepted by the kernel, never answered
        store = make(make_conninfo(scratch.url(), port=deaf.getsockname()[1], connect_timeout=2))

        async def all_at_once() -> list[BaseException | list[str | None]]:
            return await asyncio.gather(*(afound(store) for _ in range(8)), return_exceptions=True)

        with ThreadPoolExecutor(8) as threads:
            for use in (
                lambda: list(threads.map(lambda _: failure(lambda: found(store)), range(8))),
                lambda: asyncio.run(all_at_once()),
            ):
                before = time.monotonic()
                errors = use()
                assert time.monotonic() - before < 6  # none waits for the next
                assert [type(error) for error in errors] == [DatabaseUnavailable] * 8
                assert all("no answer came in time" in str(error) for error in errors)


@pytest.fixture
def bare(scratch) -> Iterator[str]:
    with scratch.admin() as admin:
        admin.execute("CREATE DATABASE bare TEMPLATE template0")
        yield scratch.url("bare")
        admin.execute("DROP DATABASE bare WITH (FORCE)")


def test_a_database_without_pgvector_or_schema_says_what_to_run(bare):
    for use in (lambda: found(make(bare)), lambda: asyncio.run(afound(make(bare)))):
        with pytest.raises(ExtensionMissing, match="database 'bare' has no pgvector; run: howdah db migrate") as caught:
            use()
        assert "as a superuser in 'bare': CREATE EXTENSION vector;" in caught.value.hint
    with psycopg.connect(bare, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION vector")
    assert make(bare).similarity_search("apple") == []
    with pytest.raises(SchemaMissing, match="no Howdah schema; run: howdah db migrate"):
        make(bare).add_texts(["x"])


# -- less than all rights


def test_vector_may_live_in_another_schema(bare):
    with psycopg.connect(bare, autocommit=True) as conn:
        conn.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
        schema.migrate(conn)
    store = make(bare)
    store.add_texts(["apple", "pear", "plum"], ids=ALL)
    assert store.database.server.vector_schema == "extensions"
    assert found(store) == asyncio.run(afound(store)) == ALL
    assert len(store.hits("apple", k=3, search_type="hybrid", ef_search=150)) == 3
    store.delete(["1"])
    assert len(store.max_marginal_relevance_search("apple", k=3)) == 2


def test_a_read_only_server_is_searched(scratch):
    store = make(scratch.url(options="-c default_transaction_read_only=on"))
    assert found(store) == asyncio.run(afound(store)) == ALL
    assert len(store.similarity_search("apple", k=3, ef_search=150)) == 3
    assert len(store.hits("apple", k=3, search_type="hybrid")) == 3
    assert store.get_by_ids(["1"])[0].page_content == "apple"
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        store.add_texts(["x"])


def test_a_role_that_may_create_nothing_works_on_what_is_there(scratch):
    with scratch.admin("library") as admin:
        admin.execute(f"CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'")
        admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        admin.execute("REVOKE CREATE, TEMPORARY ON DATABASE library FROM PUBLIC")
        admin.execute("GRANT USAGE ON SCHEMA howdah TO clerk")
        admin.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA howdah TO clerk")
        admin.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA howdah TO clerk")
        store = make(scratch.url(user="clerk"))
        assert found(store) == asyncio.run(afound(store)) == ALL
        store.add_texts(["fig"], ids=["4"])
        store.delete(["4"])
        assert found(store) == ALL
        store.database.close()
        admin.execute("DROP OWNED BY clerk; DROP ROLE clerk")


# -- a server that goes and comes back


def test_a_server_that_is_down_says_so_at_once_and_is_used_again_when_it_is_up(scratch):
    store = make(scratch.url())
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: found(store), range(24))) == [ALL] * 24
        scratch.stop()
        try:
            for _ in range(3):
                before = time.monotonic()
                errors = list(threads.map(lambda _: failure(lambda: found(store)), range(8)))
                errors.append(failure(lambda: store.add_texts(["x"])))
                errors.append(failure(lambda: asyncio.run(afound(store))))
                assert time.monotonic() - before < 4
                assert {type(error) for error in errors} == {DatabaseUnavailable}
                assert [str(error) for error in errors if "nothing listens there" not in str(error)] == []
        finally:
            scratch.start()
        assert list(threads.map(lambda _: found(store), range(24))) == [ALL] * 24


def failure(use) -> BaseException | None:
    try:
        use()
    except Exception as exc:
        return exc
    return None


def test_a_restart_between_two_reads_goes_unnoticed(scratch):
    async def both() -> None:
        store = make(scratch.url())
        assert await afound(store) == await asyncio.to_thread(found, store) == ALL
        await asyncio.to_thread(scratch.stop)
        await asyncio.to_thread(scratch.start)
        assert await afound(store) == await asyncio.to_thread(found, store) == ALL
        await store.database.aclose()

    asyncio.run(both())


def test_a_server_without_room_says_so(scratch):
    """Who has no connection and gets none hears why; who has one goes on."""
    with scratch.admin() as admin:
        admin.execute("CREATE ROLE guest LOGIN PASSWORD 'of a guest' CONNECTION LIMIT 1")
        admin.execute("GRANT pg_read_all_data TO guest")
        url = scratch.url(user="guest", password="of a guest")
        with (
            psycopg.connect(url),
            pytest.raises(DatabaseUnavailable, match="all connections that it allows are in use"),
        ):
            found(make(url))
        store = make(url)
        done = threading.Barrier(8)

        def search(_: int) -> list[str | None]:
            done.wait()
            return found(store)

        assert found(store) == ALL
        with ThreadPoolExecutor(8) as threads:  # they share the one that there is
            assert list(threads.map(search, range(8))) == [ALL] * 8
        store.database.close()
        admin.execute("DROP OWNED BY guest; DROP ROLE guest")


# -- how many connections


FIRST = """
import asyncio, sys
from langchain_core.embeddings import DeterministicFakeEmbedding
from howdah import PGVector
store = PGVector(DeterministicFakeEmbedding(size=16), connection=sys.argv[1], collection_name="docs")
if sys.argv[2] == "sync":
    assert len(store.similarity_search("apple")) == 3
else:
    assert len(asyncio.run(store.asimilarity_search("apple"))) == 3
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_fresh_process_logs_in_once(scratch, kind):
    url = scratch.url(application_name=f"once_{kind}")
    subprocess.run([sys.executable, "-c", FIRST, url, kind], check=True, timeout=50)
    assert scratch.logins(f"once_{kind}") == 1
