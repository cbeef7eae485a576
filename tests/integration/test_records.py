"""PGRecordManager: the promises of LangChain's RecordManager, and its index() and aindex() over it."""

import asyncio
import inspect
import threading
import time

import psycopg
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, RecordManager, aindex, index

import howdah
from howdah.retrieval import record_rows, schema
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput, SchemaMissing
from howdah.retrieval.record_rows import Ledger
from howdah.retrieval.records import PGRecordManager
from howdah.retrieval.vectorstore import PGVector

pytestmark = pytest.mark.filterwarnings("error")
MODEL = DeterministicFakeEmbedding(size=8)


@pytest.fixture
def store(module_url, request):
    with PGVector(MODEL, connection=module_url, collection_name=request.node.name[:100]) as found:
        yield found


@pytest.fixture
def manager(store):
    made = PGRecordManager(store.collection_name, store.store)
    made.create_schema()
    return made


class Async:
    """The async half by the sync names, so that each test below holds for both."""

    def __init__(self, manager: RecordManager) -> None:
        self._manager = manager
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str):
        method = getattr(self._manager, f"a{name}")
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))


@pytest.fixture(params=["sync", "async"])
def either(request, manager, store):
    if request.param == "sync":
        yield manager
        return
    half = Async(manager)
    yield half
    half._runner.run(store.database.aclose())
    half._runner.close()


def test_the_twins_have_one_signature():
    assert howdah.PGRecordManager is PGRecordManager
    for name in ("update", "exists", "list_keys", "delete_keys", "get_time", "create_schema"):
        for a, b in ((PGRecordManager, PGRecordManager), (RecordManager, PGRecordManager)):
            wanted = inspect.signature(getattr(a, name)).parameters
            assert list(inspect.signature(getattr(b, f"a{name}")).parameters) == list(wanted), name


def test_keys_are_there_after_an_update_and_gone_after_a_delete(either):
    assert either.list_keys() == []
    assert either.exists([]) == []
    either.update([])
    either.update(["a", "b", "c"])
    assert sorted(either.list_keys()) == ["a", "b", "c"]
    assert either.exists(["c", "none", "a"]) == [True, False, True]
    either.delete_keys(["a", "none", "c"])
    either.delete_keys([])
    assert either.list_keys() == ["b"]


def test_times_are_the_servers_and_bound_the_listing(either):
    before = either.get_time()
    assert abs(before - time.time()) < 60
    either.update(["a", "b"])
    between = either.get_time()
    either.update(["b", "c"], time_at_least=between)
    after = either.get_time()
    assert before < between < after
    assert either.list_keys(before=between) == ["a"]
    assert sorted(either.list_keys(after=between)) == ["b", "c"]
    assert either.list_keys(after=after) == either.list_keys(before=before) == []
    assert either.list_keys(limit=1) == ["a"]
    assert either.list_keys(limit=0) == []


def test_a_clock_that_was_set_back_is_an_error_and_nothing_is_written(either):
    with pytest.raises(DatabaseUnavailable, match="clock is before the time that this run began at, so nothing was"):
        either.update(["a"], time_at_least=either.get_time() + 100)
    assert either.list_keys() == []


def test_groups(either):
    either.update(["a", "b", "c", "d"], group_ids=["one", "two", None, "one"])
    assert sorted(either.list_keys(group_ids=["one"])) == ["a", "d"]
    assert sorted(either.list_keys(group_ids=["one", "two"])) == ["a", "b", "d"]
    assert len(either.list_keys(group_ids=[])) == 4
    either.update(["a"], group_ids=["two"])
    assert either.list_keys(group_ids=["one"]) == ["d"]
    either.update(["d"])
    assert either.list_keys(group_ids=["one"]) == ["d"]
    either.update(["e"], group_ids=["x\x00y"])
    assert either.list_keys(group_ids=["x\x00y"]) == ["e"]


def test_a_repeated_key_keeps_its_last_group(either):
    either.update(["a", "a"], group_ids=["one", "two"])
    assert either.list_keys(group_ids=["two"]) == ["a"]
    assert either.list_keys(group_ids=["one"]) == []


def test_what_cannot_be_stored_is_said_before_anything_is_written(either):
    for call in (
        lambda: either.update(["a", "b"], group_ids=["one"]),
        lambda: either.update(["a", "b\x00"]),
        lambda: either.update(["a", "x" * 1_001]),
        lambda: either.update(["a"], group_ids=["x" * 2_001]),
        lambda: either.exists([7]),
        lambda: either.list_keys(limit=-1),
    ):
        with pytest.raises(InvalidInput):
            call()
    assert either.list_keys() == []
    either.update(["x" * 1_000], group_ids=["y" * 2_000])
    assert either.list_keys(group_ids=["y" * 2_000]) == ["x" * 1_000]


def test_namespaces_and_tenants_are_apart(store):
    one, other = PGRecordManager("one", store), PGRecordManager("other", store.store)
    tenant = PGRecordManager("one", store.database, tenant="acme")
    for manager, key in ((one, "a"), (other, "b"), (tenant, "c")):
        manager.update([key])
    assert [manager.list_keys() for manager in (one, other, tenant)] == [["a"], ["b"], ["c"]]
    other.delete_keys(["a", "c"])
    assert [manager.list_keys() for manager in (one, other, tenant)] == [["a"], ["b"], ["c"]]
    with PGVector(MODEL, connection=store.database.conninfo, tenant="acme") as theirs:
        assert PGRecordManager("one", theirs).list_keys() == ["c"]
    for namespace in ("", "x" * 401, "a\x00"):
        with pytest.raises(InvalidInput, match="namespace"):
            PGRecordManager(namespace, store)
    with pytest.raises(InvalidInput, match="store is str and must be a PGVector"):
        PGRecordManager("one", "postgresql://")  # type: ignore[arg-type]


def test_ten_thousand_keys_are_one_statement_each_way(manager):
    keys = [f"key {number:05}" for number in range(10_000)]
    began = time.perf_counter()
    manager.update(keys, group_ids=[f"g{number % 7}" for number in range(10_000)])
    assert manager.exists([*keys, "none"]) == [True] * 10_000 + [False]
    assert len(manager.list_keys(group_ids=["g3"])) == 1_429
    manager.delete_keys(keys)
    assert manager.list_keys() == []
    assert time.perf_counter() - began < 10


def test_a_clean_up_reads_the_index_of_its_groups(manager, module_url):
    for part in range(10):
        groups = [f"source {part} {number % 500}" for number in range(2_000)]
        manager.update([f"{part} {number}" for number in range(2_000)], group_ids=groups)
    ledger = Ledger(tenant="", namespace=manager.namespace)
    query = record_rows.listing(ledger, before=time.time() + 1, after=None, groups=["source 3 7"], limit=1_000)
    with psycopg.connect(module_url, autocommit=True) as conn:
        conn.execute("ANALYZE howdah.records")
        plan = "\n".join(row[0] for row in conn.execute(b"EXPLAIN " + query.sql.as_bytes(conn), query.params))  # type: ignore[union-attr]
    assert "records_group" in plan
    assert "Seq Scan" not in plan


def test_without_a_schema_reads_find_nothing_and_a_write_says_what_to_run(blank_url):
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION vector")
    with PGVector(MODEL, connection=blank_url) as store:
        manager = PGRecordManager("one", store.store)
        assert PGRecordManager("one", store).exists(["a"]) == manager.exists(["a"]) == [False]
        assert manager.list_keys() == []
        for write in (manager.create_schema, lambda: manager.update(["a"]), lambda: manager.delete_keys(["a"])):
            with pytest.raises(SchemaMissing, match="run: howdah db migrate"):
                write()
        with psycopg.connect(blank_url, autocommit=True) as conn:
            schema.migrate(conn)
        manager.update(["a"])
        assert manager.exists(["a"]) == [True]
        store.database.close()


# -- index() and aindex()


def page(text: str, source: str) -> Document:
    return Document(page_content=text, metadata={"source": source})


RUNS = (
    [page("a", "1"), page("b", "1"), page("d", "2"), page("d", "2")],
    [page("a", "1"), page("c", "1")],
    [page("a", "1"), page("c", "1")],
    [page("e", "2")],
)


@pytest.mark.parametrize("mode", [None, "incremental", "full", "scoped_full"])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_index_says_and_leaves_what_it_does_over_langchains_own_manager(store, mode, batch_size):
    """LangChain's in-memory manager is the oracle: same counts and same rows after every run, in every clean-up mode."""
    ours, theirs = PGRecordManager("ours", store), InMemoryRecordManager("theirs")
    theirs.create_schema()
    url, name = store.database.conninfo, store.collection_name
    with (
        PGVector(MODEL, connection=url, collection_name=f"a {name}") as mine,
        PGVector(MODEL, connection=url, collection_name=f"b {name}") as reference,
    ):
        ours = PGRecordManager(f"pgvector/{name}", mine)
        for docs in RUNS:
            how = {"cleanup": mode, "source_id_key": "source", "key_encoder": "sha256", "batch_size": batch_size}
            got, wanted = index(docs, ours, mine, **how), index(docs, theirs, reference, **how)
            assert got == wanted
            assert rows(mine) == rows(reference)
            assert sorted(ours.list_keys()) == sorted(theirs.list_keys())


def rows(store: PGVector) -> list[tuple[str, str | None]]:
    return sorted((doc.page_content, doc.id) for doc in store.similarity_search("x", k=100))


@pytest.mark.parametrize("mode", [None, "incremental", "full", "scoped_full"])
async def test_aindex_says_and_leaves_what_index_does(module_url, mode):
    names = f"aindex {mode} async", f"aindex {mode} sync"
    stores = [PGVector(MODEL, connection=module_url, collection_name=name) for name in names]
    ours = [PGRecordManager(store.collection_name, store) for store in stores]
    for docs in RUNS:
        how = {"cleanup": mode, "source_id_key": "source", "key_encoder": "sha256"}
        assert await aindex(docs, ours[0], stores[0], **how) == index(docs, ours[1], stores[1], **how)
        assert rows(stores[0]) == rows(stores[1])
    await stores[0].database.aclose()


@pytest.mark.parametrize("gone", ["deleted by id", "dropped with the collection"])
async def test_what_is_no_longer_in_the_collection_is_written_again(store, gone):
    manager = PGRecordManager("healed", store)
    docs, how = [page("a", "1"), page("b", "1")], {"cleanup": "full", "key_encoder": "sha256"}
    index(docs, manager, store, **how)
    ids = manager.list_keys()
    assert manager.exists([*ids, "none"]) == await manager.aexists([*ids, "none"]) == [True, True, False]
    if gone == "deleted by id":
        store.delete(ids[:1])
    else:
        store.delete_collection()
    left = [False, gone == "deleted by id"]
    assert manager.exists(ids) == await manager.aexists(ids) == left
    assert PGRecordManager("healed", store.store).exists(ids) == [True, True]
    done = index(docs, manager, store, **how)
    assert (done["num_added"], done["num_skipped"], done["num_deleted"]) == (left.count(False), left.count(True), 0)
    assert [text for text, _ in rows(store)] == ["a", "b"]
    await store.database.aclose()


def test_two_runs_at_once_leave_every_document_once(store):
    """Over the same sources: neither locks the other out, and what both have stays."""
    manager, failures = PGRecordManager("at once", store), []
    docs = [page(f"text {number}", f"source {number % 20}") for number in range(400)]
    index(docs[:1], manager, store, cleanup="incremental", source_id_key="source", key_encoder="sha256")

    def run(order: list[Document]) -> None:
        try:
            for _ in range(3):
                index(order, manager, store, cleanup="incremental", source_id_key="source", key_encoder="sha256")
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(order,)) for order in (docs, docs[::-1], docs[200:] + docs[:200])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert len(manager.list_keys()) == 400
    index(docs, manager, store, cleanup="full", source_id_key="source", key_encoder="sha256")
    found = store.similarity_search("x", k=1_000)
    assert sorted(doc.page_content for doc in found) == sorted(doc.page_content for doc in docs)


def test_two_processes_refresh_the_same_keys_in_any_order(manager):
    keys, failures = [f"k{number}" for number in range(500)], []

    def run(order: list[str]) -> None:
        try:
            for _ in range(10):
                manager.update(order)
                manager.delete_keys(order[:100])
        except Exception as exc:
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(order,)) for order in (keys, keys[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
