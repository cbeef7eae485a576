"""The embedding cache: exact, bounded, a model and a tenant apart, and never in anybody's way."""

import asyncio
import hashlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings
from psycopg.sql import SQL
from psycopg_pool import ConnectionPool

from howdah import PGVector, sync
from howdah.retrieval import cache, schema
from howdah.retrieval.cache import Cache, EmbeddingCache
from howdah.retrieval.cache_async import AsyncCache
from howdah.retrieval.cache_key import text_hash
from howdah.retrieval.cache_rows import ROW_BYTES, decode
from howdah.retrieval.cache_sync import SyncCache
from howdah.retrieval.errors import DimensionMismatch, SchemaMissing

SIZE = 12
MODEL = "house/counting"


class Log:
    """Texts. Not a list of the model's own, which would be taken for a setting."""

    def __init__(self) -> None:
        self.texts: list[str] = []


class Counting(Embeddings):
    """Keeps the texts that it was given; each text has a vector of its own, as passage and as query another."""

    def __init__(self, model: str = MODEL, *, seed: int = 0, size: int = SIZE) -> None:
        self.model = model
        self._seed, self._size = seed, size
        self._log = Log()

    def seen(self) -> list[str]:
        """What was embedded since the last time."""
        found, self._log.texts = self._log.texts, []
        return found

    def vector(self, text: str, kind: str) -> list[float]:
        digest = hashlib.sha256(f"{self._seed} {kind} {text}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8])).normal(size=self._size).tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self._log.texts += texts
        return [self.vector(text, "passage") for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self._log.texts.append(text)
        return self.vector(text, "query")

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


@pytest.fixture
def counting() -> Counting:
    return Counting()


Make = Callable[..., PGVector]


@pytest.fixture
def make(url: str) -> Iterator[Make]:
    """A PGVector as another process would have it: nothing in its memory."""
    made: list[PGVector] = []

    def one(embeddings: Embeddings, collection: str = "docs", **kwargs: Any) -> PGVector:
        kwargs = {"connection": url, "storage": "vector", **kwargs}
        made.append(PGVector(embeddings, collection_name=collection, **kwargs))
        return made[-1]

    yield one
    for store in made:
        store.database.close()


@pytest.fixture
def db(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as conn:
        yield conn


def kept(db: psycopg.Connection) -> dict[tuple[str, str, bytes], np.ndarray | None]:
    rows = db.execute("SELECT tenant, kind, hash, embedding FROM howdah.embedding_cache").fetchall()
    return {(tenant, kind, digest): decode(data) for tenant, kind, digest, data in rows}


def stored(store: PGVector, db: psycopg.Connection) -> dict[str, bytes]:
    """Each content's vector as its collection has it, all bits of it."""
    found = store.store.find(store.collection_name)
    assert found is not None
    query = SQL("SELECT p.content, vector_send(c.embedding) FROM {} AS c JOIN {} AS p USING (n)")
    return dict(db.execute(query.format(found.chunks, found.passages)).fetchall())


def hashes(db: psycopg.Connection, kind: str = "passage") -> set[bytes]:
    return {digest for _, of, digest in kept(db) if of == kind}


TEXTS = ["the seat on an elephant", "Ein Satz über Elefanten 🐘", "", "a\nb", "the seat on an elephant"]


# -- passages


def test_a_collection_made_again_and_a_second_one_cost_no_embedding(make, counting, db):
    first = make(counting)
    first.add_texts(TEXTS)
    assert sorted(counting.seen()) == sorted(set(TEXTS))  # equal text once
    rows = stored(first, db)
    first.delete_collection()
    again, second = make(counting), make(counting, "second")
    again.add_texts(TEXTS)
    second.add_texts(reversed(TEXTS))
    assert counting.seen() == []
    uncached = make(counting, "uncached", cache=False)
    uncached.add_texts(TEXTS)
    assert rows == stored(again, db) == stored(second, db) == stored(uncached, db)
    found = [store.similarity_search_with_score("elephant", k=9) for store in (again, second, uncached)]
    assert len({str([(doc.page_content, distance) for doc, distance in one]) for one in found}) == 1


async def test_async_reads_what_sync_wrote_and_the_other_way_round(make, counting, db):
    await make(counting).aadd_texts(TEXTS)
    await make(counting).asimilarity_search("one")
    assert len(counting.seen()) == len(set(TEXTS)) + 1
    second = make(counting, "second")
    second.add_texts(TEXTS)
    second.similarity_search("one")
    make(counting).similarity_search("two")
    assert counting.seen() == ["two"]
    third = make(counting, "third")
    await third.aadd_texts(TEXTS)
    await third.asimilarity_search("two")
    assert counting.seen() == []
    assert stored(second, db) == stored(third, db)


def test_sync_embeds_what_no_collection_has_had(make, counting, tmp_path: Path):
    for number in range(3):
        words = f"The elephant of page {number} carries its howdah over the river. "
        (tmp_path / f"{number}.md").write_text(f"# Page {number}\n\n{words * 3}\n")
    first = sync(make(counting), [tmp_path])
    assert len(counting.seen()) == first.chunks.added == 3
    assert first.cached == 0
    (tmp_path / "1.md").write_text("# Page 1\n\nIt is another page by now.\n")
    second = sync(make(counting, "second"), [tmp_path])
    assert (second.chunks.added, second.cached, len(counting.seen())) == (3, 2, 1)
    make(counting).delete_collection()
    third = sync(make(counting), [tmp_path])
    assert (third.chunks.added, third.cached, counting.seen()) == (3, 3, [])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6), min_size=1, max_size=4))
def test_whatever_is_added_each_text_is_embedded_once_and_each_row_right(url, calls):
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("TRUNCATE howdah.embedding_cache")
    counting = Counting()
    store = PGVector(counting, connection=url, collection_name="any", storage="vector")
    store.delete_collection()
    for texts in calls:
        store.add_texts(texts)
        got = store.similarity_search_by_vector(counting.vector(texts[0], "passage"), k=1)
        assert got[0].page_content == texts[0]
    assert sorted(counting.seen()) == sorted({text for texts in calls for text in texts})


# -- queries


def test_a_query_is_embedded_once_and_gives_the_same_rows(make, counting, db):
    first = make(counting)
    first.add_texts(TEXTS)
    counting.seen()
    wanted = first.similarity_search_with_score("elephant?", k=4)
    assert first.similarity_search_with_score("elephant?", k=4) == wanted
    assert counting.seen() == ["elephant?"]
    (vector,) = [item for (_, kind, _), item in kept(db).items() if kind == "query"]
    assert vector.tobytes() == np.asarray(counting.vector("elephant?", "query"), np.float32).tobytes()
    other = make(counting)
    for search in (
        lambda: other.similarity_search_with_score("elephant?", k=4),
        lambda: other.hits("elephant?", k=4),
        lambda: other.max_marginal_relevance_search("elephant?", k=2),
    ):
        assert search()
    assert other.similarity_search_with_score("elephant?", k=4) == wanted
    assert counting.seen() == []


async def test_every_kind_of_search_keeps_its_query_before_it_returns(make, counting, db):
    store = make(counting)
    store.add_texts(TEXTS)
    want: set[bytes] = set()

    def keeps(*queries: str) -> None:
        want.update(map(text_hash, queries))
        assert hashes(db, "query") == want

    store.hits("hits")
    keeps("hits")
    store.hits_many(["many 1", "many 2", "many 1"])
    keeps("many 1", "many 2")
    store.max_marginal_relevance_search("mmr")
    keeps("mmr")
    await store.ahits("ahits")
    keeps("ahits")
    await store.ahits_many(["amany 1", "amany 2"])
    keeps("amany 1", "amany 2")
    await store.as_retriever(search_type="similarity").ainvoke("retriever")
    keeps("retriever")
    store.hits("only words", search_type="lexical")
    keeps()
    await store.database.aclose()


def test_a_text_as_query_is_not_the_text_as_passage(make, counting, db):
    store = make(counting)
    store.add_texts(["moon"])
    store.similarity_search("moon")
    assert counting.seen() == ["moon", "moon"]
    assert {kind: item.tobytes() for (_, kind, _), item in kept(db).items()} == {
        kind: np.asarray(counting.vector("moon", kind), np.float32).tobytes() for kind in ("query", "passage")
    }


def trips(store: PGVector, work: Callable[[], object], tmp_path: Path) -> int:
    """Messages after which the client waits (Sync), by libpq's own trace."""
    with (tmp_path / "trace").open("wb") as file:
        with store.database.connection() as conn:
            conn.pgconn.trace(file.fileno())
            conn.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        work()
        with store.database.connection() as conn:
            conn.pgconn.untrace()
    lines = [line.split("\t") for line in (tmp_path / "trace").read_text().splitlines()]
    return sum(line[0] == "F" and line[2] == "Sync" for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="libpq traces on Linux alone")
def test_a_search_is_one_trip_more_at_most(make, counting, tmp_path):
    make(counting).add_texts(TEXTS)
    make(counting).similarity_search("kept")
    off, on = make(counting, cache=False, pool_size=1), make(counting, pool_size=1)
    for store in (off, on, off, on):
        store.similarity_search("warm")
    assert trips(off, lambda: off.similarity_search("kept"), tmp_path) == 1
    assert trips(on, lambda: on.similarity_search("kept"), tmp_path) == 2
    assert trips(on, lambda: on.similarity_search("kept"), tmp_path) == 1  # this process's memory


# -- apart


def test_two_models_and_two_tenants_never_mix(make, db):
    models = [Counting("a", seed=1), Counting("b", seed=2), Counting("a", seed=3)]  # the last differs in a setting
    for model in models:
        for tenant in ("", "t"):
            store = make(model, f"of {model.model}{model._seed}", tenant=tenant)
            store.add_texts(["moon"])
            store.similarity_search("moon")
            assert model.seen() == ["moon", "moon"]
            want = [np.asarray(model.vector("moon", "passage"), ">f4").tobytes()]
            assert [data[4:] for data in stored(store, db).values()] == want
            again = make(model, f"of {model.model}{model._seed}", tenant=tenant)
            assert again.similarity_search_with_score("moon") == store.similarity_search_with_score("moon")
            assert model.seen() == []
    assert db.execute("SELECT count(*), count(DISTINCT model) FROM howdah.embedding_cache").fetchone() == (12, 3)


def test_a_model_that_is_only_a_class_is_not_kept_unless_wanted(make, db):
    class Nameless(Counting):
        def __init__(self) -> None:
            super().__init__()
            del self.model

    model = Nameless()
    for _ in range(2):
        store = make(model)
        store.add_texts(["moon"])
        store.similarity_search("moon")
    assert len(model.seen()) == 4
    assert kept(db) == {}
    for _ in range(2):
        store = make(model, cache=True)
        store.add_texts(["moon"])
        store.similarity_search("moon")
    assert len(model.seen()) == 2


async def test_a_table_that_is_searched_in_place_is_only_read(make, counting, db):
    db.execute("CREATE TABLE mine (id text PRIMARY KEY, content text, embedding vector(12))")
    db.execute("INSERT INTO mine VALUES ('a', 'moon', %s::real[]::vector)", [counting.vector("moon", "passage")])
    store = PGVector.from_table("mine", counting, connection=make(counting).database.conninfo.text)
    assert [doc.id for doc in store.similarity_search("moon")] == ["a"]
    assert [doc.id for doc in await store.asimilarity_search("moon")] == ["a"]
    assert kept(db) == {}
    await store.database.aclose()


# -- rows that cannot be used


@pytest.mark.parametrize("broken", [b"", b"abc", bytes(4), b"\xff" * (4 * SIZE)], ids=["empty", "odd", "short", "NaN"])
def test_a_broken_row_is_a_miss_and_is_replaced(make, counting, db, broken):
    store = make(counting)
    store.add_texts(["a", "b", "c"], ids=["a", "b", "c"])
    store.similarity_search("q")
    counting.seen()
    good = kept(db)
    db.execute(
        "UPDATE howdah.embedding_cache SET embedding = %s WHERE hash = ANY(%s)",
        [broken, [text_hash("a"), text_hash("q")]],
    )
    other = make(counting)
    other.add_texts(["a", "b", "c"])
    other.similarity_search("q")
    assert counting.seen() == ["a", "q"]
    assert {key: item.tobytes() for key, item in kept(db).items()} == {
        key: item.tobytes() for key, item in good.items()
    }


def test_what_another_model_of_the_same_name_left_is_embedded_anew(make, counting, db):
    """A provider that changes a model under its name: lengths that differ show it."""
    make(counting).add_texts(["a", "b"])
    db.execute("UPDATE howdah.embedding_cache SET embedding = embedding || embedding")
    counting.seen()
    fresh = make(counting, "fresh")
    fresh.add_texts(["a", "b", "c"])
    assert sorted(counting.seen()) == ["a", "b", "c"]
    assert {item.size for item in kept(db).values()} == {SIZE}


# -- bounds


def rows_for(count: int) -> Cache:
    """A bound of so many passages."""
    return Cache(max_bytes=(count * (4 * SIZE + ROW_BYTES)) * 8 // 7 + 8)


def test_the_bound_holds_and_the_least_recently_used_go_first(make, counting, db):
    assert rows_for(10).rows("passage", SIZE) == 10
    store = make(counting, cache=rows_for(10))
    for number in range(8):
        store.add_texts([f"text {number}"])
        db.execute("UPDATE howdah.embedding_cache SET used_at = used_at - interval '2 days'")
    make(counting, "other", cache=rows_for(10)).add_texts(["text 0", "text 3"])  # used again
    for number in range(8, 16):
        store.add_texts([f"text {number}"])
        assert len(hashes(db)) <= 10
    want = {"text 0", "text 3", *(f"text {number}" for number in range(8, 16))}
    assert hashes(db) == {text_hash(text) for text in want}


def test_one_large_call_is_cut_to_the_bound(make, counting, db):
    make(counting, cache=rows_for(100)).add_texts([str(number) for number in range(1_000)])
    assert 90 <= len(hashes(db)) <= 100
    assert len(counting.seen()) == 1_000


def test_queries_and_passages_and_models_have_bounds_of_their_own(make, counting, db):
    tiny = Cache(max_bytes=8 * (4 * SIZE + ROW_BYTES) * 3)
    assert (tiny.rows("query", SIZE), tiny.rows("passage", SIZE)) == (3, 21)
    store = make(counting, cache=tiny)
    store.add_texts([f"text {number}" for number in range(20)])
    other = make(Counting("other"), "other", cache=tiny)
    other.add_texts(["one"])
    for number in range(10):
        store.similarity_search(f"query {number}")
        other.similarity_search(f"query {number}")
    counts = db.execute("SELECT model, kind, count(*)::int FROM howdah.embedding_cache GROUP BY 1, 2").fetchall()
    assert sorted((model.split("#")[0], kind, count) for model, kind, count in counts) == [
        (MODEL, "passage", 20), (MODEL, "query", 3), ("other", "passage", 1), ("other", "query", 3),
    ]  # fmt: skip


def test_the_bound_holds_under_concurrent_writers(make, db):
    bound, writers = rows_for(64), 4
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            store, mine = make(Counting(), cache=bound), EmbeddingCache(Counting(), bound)
            rng = np.random.default_rng(number)
            for _ in range(40):
                texts = [f"text {n}" for n in rng.integers(0, 300, 8)]
                vectors = mine.passages(store.store, texts, dimensions=SIZE).vectors
                want = [Counting().vector(text, "passage") for text in texts]
                np.testing.assert_array_equal(vectors, np.asarray(want, np.float32))
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    slack = 64 // 16 + 8  # what a writer adds between two looks
    assert 32 <= len(hashes(db)) <= 64 + writers * slack


def test_a_row_takes_what_it_is_counted_as(make, db):
    """384 dimensions are kept in the row, 1,536 beside it."""
    for size in (384, 1_536):
        model = Counting(f"of {size}", size=size)
        db.execute("TRUNCATE howdah.embedding_cache")
        make(model, f"of {size}").add_texts([f"text {number}" for number in range(1_000)])
        (taken,) = db.execute("SELECT pg_total_relation_size('howdah.embedding_cache') / 1000").fetchone()
        assert 0.75 * (4 * size + ROW_BYTES) < taken < 1.25 * (4 * size + ROW_BYTES)


# -- nobody waits, and a search is no write


def versions(db: psycopg.Connection) -> dict[bytes, str]:
    return dict(db.execute("SELECT hash, xmin::text FROM howdah.embedding_cache").fetchall())


def test_use_is_written_at_most_once_a_day(make, counting, db):
    store = make(counting)
    store.add_texts(["a", "b"])
    store.similarity_search("q")
    before = versions(db)
    for name in ("docs", "other"):
        make(counting, name).add_texts(["a", "b"])
        make(counting, name).similarity_search("q")
    assert versions(db) == before
    db.execute(
        "UPDATE howdah.embedding_cache SET used_at = now() - interval '25 hours' WHERE hash <> %s", [text_hash("b")]
    )
    make(counting).add_texts(["a", "b"])
    make(counting).similarity_search("q")
    make(counting).similarity_search("q")
    rows = db.execute("SELECT hash, hits, used_at > now() - interval '1 hour' FROM howdah.embedding_cache").fetchall()
    assert {digest: (hits, fresh) for digest, hits, fresh in rows} == {
        text_hash("a"): (1, True), text_hash("b"): (0, True), text_hash("q"): (1, True),
    }  # fmt: skip
    assert len(counting.seen()) == 3


def test_rows_that_another_holds_are_read_and_left_to_it(make, counting, db, url):
    make(counting).add_texts(["a", "b"])
    make(counting).similarity_search("q")
    db.execute("UPDATE howdah.embedding_cache SET used_at = now() - interval '2 days'")
    held = hashes(db) | hashes(db, "query")
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM howdah.embedding_cache FOR UPDATE")
        counting.seen()
        make(counting).add_texts(["a", "b"])
        make(counting).similarity_search("q")
        assert counting.seen() == []
        store = make(counting, cache=rows_for(4))
        store.add_texts([f"more {number}" for number in range(6)])
        assert len(hashes(db)) == 4  # instead of a and b two newer ones went
        assert held <= hashes(db) | hashes(db, "query")
        assert cache.clear(store.store) == 2  # those that nobody holds
        assert hashes(db) | hashes(db, "query") == held


def test_a_row_that_another_holds_keeps_nobody_from_marking_the_others(make, counting, db, url):
    make(counting).add_texts(["a", "b"])
    db.execute("UPDATE howdah.embedding_cache SET used_at = now() - interval '2 days'")
    with psycopg.connect(url) as holder:
        holder.execute("SELECT FROM howdah.embedding_cache WHERE hash = %s FOR UPDATE", [text_hash("a")])
        make(counting).add_texts(["a", "b"])
        marked = dict(db.execute("SELECT hash, hits FROM howdah.embedding_cache").fetchall())
    assert marked == {text_hash("a"): 0, text_hash("b"): 1}


def test_the_callers_transaction_reads_the_cache_and_does_not_hold_it(make, counting, db, url):
    make(counting).add_texts(["a"])
    counting.seen()
    with psycopg.connect(url) as conn:
        make(counting).add_texts(["a", "b"], conn=conn)
        assert counting.seen() == ["b"]
        assert hashes(db) == {text_hash("a")}
        make(counting, "other").add_texts(["b"])  # waits for nobody
        conn.rollback()
    assert hashes(db) == {text_hash("a"), text_hash("b")}
    assert set(stored(make(counting), db)) == {"a"}


def test_a_pool_of_one_connection_is_enough_for_a_callers_transaction(make, counting, url):
    with ConnectionPool(url, min_size=1, max_size=1, timeout=2) as pool:
        store = make(counting, connection=None, pool=pool)
        store.add_texts(["a"])
        with pool.connection() as conn:
            store.add_texts(["a", "b"], conn=conn)
        assert {doc.page_content for doc in store.similarity_search("q")} == {"a", "b"}


# -- bills


def test_what_was_paid_for_is_kept_when_the_write_fails(make, counting, db):
    make(Counting("short", size=3), "docs").add_texts(["x"])
    db.execute("UPDATE howdah.collections SET model = %s", [MODEL])
    with pytest.raises(DimensionMismatch):
        make(counting).add_texts(["a", "b"])
    assert counting.seen() == ["a", "b"]
    make(counting, "other").add_texts(["a", "b"])
    assert counting.seen() == []


class Failing(Counting):
    """Its API breaks at the second request."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self._log.texts:
            raise TypeError("broken")
        return super().embed_documents(texts)


async def test_requests_before_the_one_that_failed_are_kept(make, db):
    texts = [str(number) for number in range(400)]
    with pytest.raises(TypeError, match="broken"):
        make(Failing("sync")).add_texts(texts)
    assert db.execute("SELECT count(*) FROM howdah.embedding_cache").fetchone() == (256,)
    with pytest.raises(TypeError, match="broken"):
        await make(Failing("async")).aadd_texts(texts)
    assert db.execute("SELECT count(*) FROM howdah.embedding_cache").fetchone() == (512,)
    assert db.execute("SELECT count(*) FROM howdah.collections").fetchone() == (0,)


def test_without_a_schema_nothing_is_paid(make, counting, blank_url):
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION vector")
    with pytest.raises(SchemaMissing, match="howdah db migrate"):
        make(counting, connection=blank_url).add_texts(["a"])
    assert counting.seen() == []


# -- servers that do not let it


@pytest.fixture
def reader(url: str, db: psycopg.Connection, make: Make, counting: Counting) -> Iterator[str]:
    """The database with a collection and a kept query, as a role that may only SELECT sees it."""
    store = make(counting)
    store.add_texts(["a", "b"])
    store.similarity_search("kept")
    counting.seen()
    db.execute("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA howdah TO reader")
    db.execute("GRANT SELECT ON ALL TABLES IN SCHEMA howdah TO reader")
    db.execute("UPDATE howdah.embedding_cache SET used_at = now() - interval '2 days'")
    yield psycopg.conninfo.make_conninfo(url, user="reader")
    db.execute("DROP OWNED BY reader; DROP ROLE reader")


async def check_reads(store: PGVector, counting: Counting, *, finds: bool) -> None:
    """Searches go on, sync and async; what is kept is found where it may be read."""
    for number in range(2):
        assert len(store.similarity_search("kept")) == 2
        assert len(store.similarity_search(f"new {number}")) == 2
        assert len(await store.asimilarity_search("kept")) == 2
        assert len(await store.asimilarity_search(f"newer {number}")) == 2
    want = ["new 0", "newer 0", "new 1", "newer 1"]
    assert counting.seen() == (want if finds else ["kept", *want])
    await store.database.aclose()


async def test_a_role_that_may_only_read_reads(reader, make, counting, db):
    before = versions(db)
    await check_reads(make(counting, connection=reader), counting, finds=True)
    assert versions(db) == before


async def test_a_read_only_session_reads(reader, make, counting, url, db):
    before = versions(db)
    read_only = psycopg.conninfo.make_conninfo(url, options="-c default_transaction_read_only=on")
    await check_reads(make(counting, connection=read_only), counting, finds=True)
    assert versions(db) == before


async def test_a_role_that_may_not_see_the_cache_does_without(reader, make, counting, db):
    db.execute("REVOKE ALL ON howdah.embedding_cache FROM reader")
    await check_reads(make(counting, connection=reader), counting, finds=False)


async def test_a_database_without_the_table_does_without(reader, make, counting, db):
    db.execute("DROP TABLE howdah.embedding_cache")
    store = make(counting)
    await check_reads(store, counting, finds=False)
    store.add_texts(["c"])
    assert len(store.similarity_search("kept")) == 3
    assert cache.listing(store.store) == []


async def test_a_program_does_not_write_to_a_newer_schema(reader, make, counting, db):
    before = versions(db)
    db.execute("INSERT INTO howdah.migrations (version, name) VALUES (%s, 'newer')", [schema.VERSION + 1])
    store = make(counting)
    await check_reads(store, counting, finds=True)
    with pytest.raises(SchemaMissing, match="newer Howdah"):
        make(counting).add_texts(["c"])
    assert counting.seen() == []
    assert versions(db) == before


def test_a_cache_that_was_refused_is_tried_again_after_a_while(make, counting, db, monkeypatch):
    store = make(counting)
    store.add_texts(["a"])
    db.execute("ALTER TABLE howdah.embedding_cache RENAME TO elsewhere")
    store.similarity_search("one")
    db.execute("ALTER TABLE howdah.elsewhere RENAME TO embedding_cache")
    store.similarity_search("two")
    assert hashes(db, "query") == set()
    monkeypatch.setattr("howdah.retrieval.cache_base.time.monotonic", lambda: 1e12)
    store.similarity_search("three")
    assert hashes(db, "query") == {text_hash("three")}


# -- async


class Slow(Counting):
    """Answers a query only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self._asked, self._may = asyncio.Event(), asyncio.Event()

    async def aembed_query(self, text: str) -> list[float]:
        self._asked.set()
        await self._may.wait()
        return self.embed_query(text)


async def test_a_cancelled_search_leaves_the_cache_whole(make, db):
    model = Slow()
    store = make(model)
    await store.aadd_texts(["a"])
    task = asyncio.create_task(store.asimilarity_search("one"))
    await model._asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hashes(db, "query") == set()
    model._may.set()
    assert len(await store.asimilarity_search("one")) == 1
    assert hashes(db, "query") == {text_hash("one")}
    await store.database.aclose()


async def test_a_search_cancelled_while_it_writes_is_written_by_the_next(make, counting, db, url):
    store = make(counting)
    await store.aadd_texts(["a"])
    with psycopg.connect(url) as holder:
        holder.execute("LOCK howdah.embedding_cache IN SHARE ROW EXCLUSIVE MODE")  # lets read, not write
        task = asyncio.create_task(store.asimilarity_search("one"))
        while not db.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await store.asimilarity_search("two")
    assert hashes(db, "query") == {text_hash("one"), text_hash("two")}
    await store.database.aclose()


async def test_many_tasks_at_once_find_and_keep_the_same(make, counting, db):
    store = make(counting)
    await store.aadd_texts(TEXTS)
    alone = {number: await make(counting).asimilarity_search_with_score(f"q{number % 5}") for number in range(5)}
    found = await asyncio.gather(*(make(counting).asimilarity_search_with_score(f"q{n % 5}") for n in range(40)))
    assert found == [alone[number % 5] for number in range(40)]
    assert len(hashes(db, "query")) == 5
    await store.database.aclose()


def test_the_twins_have_the_same_methods():
    def methods(of: type, prefix: str) -> dict[str, list[str]]:
        own = {name: item for name, item in vars(of).items() if callable(item) and not name.startswith("__")}
        return {name.replace(prefix, "", 1): list(inspect.signature(item).parameters) for name, item in own.items()}

    assert methods(SyncCache, "") == methods(AsyncCache, "a")


# -- looking after it


def test_it_is_listed_and_cleared_by_model(make, counting, db):
    for model in (counting, Counting("house/other")):
        store = make(model, model.model)
        store.add_texts(["a", "b", "c"])
        store.similarity_search("q")
    listed = cache.listing(store.store)
    assert {(row["model"].split("#")[0], row["kind"], row["rows"]) for row in listed} == {
        (model, kind, rows) for model in (MODEL, "house/other") for kind, rows in (("passage", 3), ("query", 1))
    }
    assert listed[0]["bytes"] == 3 * (4 * SIZE + ROW_BYTES)
    assert cache.clear(store.store, "house") == 0
    assert cache.clear(store.store, MODEL) == 4
    assert {row["model"].split("#")[0] for row in cache.listing(store.store)} == {"house/other"}
    tenant = make(counting, tenant="t")
    tenant.add_texts(["a"])
    assert cache.clear(tenant.store) == 1
    assert cache.clear(store.store) == 4
    assert kept(db) == {}
