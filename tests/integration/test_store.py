"""Writing: every path gives the same tables, all rows or none, and the words' counts are those of a recount."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL

from howdah import PGVector
from howdah.retrieval import batches, postings, writes
from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.database import Database
from howdah.retrieval.errors import CollectionMismatch, DimensionMismatch, InvalidInput
from howdah.retrieval.plans import Rows
from howdah.retrieval.store import Store
from tests.integration import recount

WORDS = [
    "running",
    "runs",
    "elephant",
    "elephants",
    "howdah",
    "seat",
    "back",
    "well-known",
    "e-mail",
    "a@b.de",
    "https://x.org/y",
    "the",
    "of",
    "and",
    "3.14",
    "42",
]
EMBEDDINGS = DeterministicFakeEmbedding(size=16)


def text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(0, 12)))


def collection_of(store: PGVector) -> Collection:
    found = store.store.find(store.collection_name)
    assert found is not None
    return found


@pytest.fixture
def open_store(module_url: str) -> Iterator[Callable[..., PGVector]]:
    """Makes stores on the module's database, each on a collection of its own unless named."""
    made: list[PGVector] = []

    def make(**kwargs: Any) -> PGVector:
        kwargs = {"collection_name": f"c{uuid.uuid4().hex}", "connection": module_url, "config": "english", **kwargs}
        made.append(PGVector(kwargs.pop("embeddings", EMBEDDINGS), **kwargs))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def docs(open_store: Callable[..., PGVector]) -> PGVector:
    return open_store()


# -- paths


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """From four rows on, a batch is a large one."""
    monkeypatch.setattr(writes, "SMALL", 3)


def corpus(n: int) -> tuple[list[str], list[dict[str, Any]], list[str]]:
    rng = random.Random(5)
    return (
        [text(rng) for _ in range(n)],
        [{"i": i, "w": rng.choice(WORDS)} for i in range(n)],
        [f"id{i}" for i in range(n)],
    )


def test_all_paths_give_the_same_tables(open_store, module_url, monkeypatch):
    texts, metadata, ids = corpus(60)
    one, copied, upserted, fresh = (open_store() for _ in range(4))
    one.add_texts(texts, metadata, ids=ids)  # one statement
    monkeypatch.setattr(writes, "SMALL", 3)
    copied.add_texts(texts, metadata, ids=ids)  # COPY through staging
    upserted.add_texts(["old words " + t for t in texts[::-1]], ids=ids)  # over other rows
    upserted.add_texts(texts, metadata, ids=ids)
    rows = Rows.of(texts, metadata, ids)
    fresh.add_texts(["first"], ids=["first"])
    fresh.delete(["first"])
    batch = rows.batch(EMBEDDINGS.embed_documents(texts), collection_of(fresh))
    fresh.store.add(collection_of(fresh), batches.Batch(batch.chunks, batch.metadata, batch.embeddings, True))  # COPY
    want = recount.table(module_url, collection_of(one))
    assert len(want) == 60
    for store in (copied, upserted, fresh):
        assert recount.table(module_url, collection_of(store)) == want
        recount.check(collection_of(store), module_url)
    recount.check(collection_of(one), module_url)


async def test_sync_and_async_write_and_find_the_same(open_store, module_url, small_batches):
    texts, metadata, ids = corpus(30)
    one, two = open_store(), open_store()
    for part in (slice(0, 3), slice(3, 30), slice(10, 20)):
        got = one.add_texts(texts[part], metadata[part], ids=ids[part])
        assert got == await two.aadd_texts(texts[part], metadata[part], ids=ids[part])
    one.add_texts(texts)
    await two.aadd_texts(texts)
    assert one.delete(ids[:4], filter={"i": {"$gt": 1}}) == await two.adelete(ids[:4], filter={"i": {"$gt": 1}})
    mine, theirs = (recount.table(module_url, collection_of(store)) for store in (one, two))
    assert [row[3:] for row in mine if row[0].startswith("id")] == [
        row[3:] for row in theirs if row[0].startswith("id")
    ]
    assert sorted(row[3:] for row in mine) == sorted(row[3:] for row in theirs)
    recount.check(collection_of(two), module_url)
    vector = EMBEDDINGS.embed_query("elephant")
    only = {"i": {"$exists": True}}
    assert one.get_by_ids(ids) == await two.aget_by_ids(ids)
    assert one.similarity_search("elephant", 5, only) == await two.asimilarity_search("elephant", 5, only)
    assert one.similarity_search_with_score("x", 5, only) == await two.asimilarity_search_with_score("x", 5, only)
    assert one.similarity_search_by_vector(vector, 5, only) == await two.asimilarity_search_by_vector(vector, 5, only)
    assert one.max_marginal_relevance_search_with_score(
        "x", 5, 9, 0.3, only
    ) == await two.amax_marginal_relevance_search_with_score("x", 5, 9, 0.3, only)
    for how in ("hybrid", "lexical", "similarity", "mmr"):
        args: dict[str, Any] = {"k": 6, "search_type": how, "filter": only}
        assert one.hits("elephant seat", **args) == await two.ahits("elephant seat", **args)
    relevant = {"k": 20, "search_type": "similarity_score_threshold", "score_threshold": 0.5}
    assert len(one.hits("elephant", **relevant)) == len(await two.ahits("elephant", **relevant)) > 0
    await two.database.aclose()


def test_a_repeated_id_keeps_its_last_row(docs, module_url):
    got = docs.add_texts(["one", "two", "three", "four"], [{"n": i} for i in range(4)], ids=["a", "b", "a", "a"])
    assert got == ["a", "b", "a", "a"]
    assert [(doc.page_content, doc.metadata) for doc in docs.get_by_ids(["a", "b"])] == [
        ("four", {"n": 3}),
        ("two", {"n": 1}),
    ]
    recount.check(collection_of(docs), module_url)


def test_generators_are_read_once(docs):
    ids = docs.add_texts((t for t in ["a", "b"]), ({"n": i} for i in range(2)), ids=(i for i in ["1", "2"]))
    docs.add_documents(Document(page_content=t) for t in ["c"])
    docs.add_embeddings((t for t in ["d"]), (vector for vector in [[1.0] * 16]), ids=["4"])
    assert ids == ["1", "2"]
    assert [doc.page_content for doc in docs.get_by_ids(["1", "2", "4"])] == ["a", "b", "d"]
    assert docs.store.count(collection_of(docs)) == 4


def test_equal_texts_stay_two_rows_and_nothing_is_nothing(docs):
    assert len(set(docs.add_texts(["same", "same"]))) == 2
    assert docs.add_texts([]) == docs.add_documents([]) == []
    assert docs.store.count(collection_of(docs)) == 2


# -- errors, before anything is written

VECTOR = [1.0] + [0.0] * 15
BAD = [
    (lambda s: s.add_texts(["a", "b"], [{}]), "metadatas has 1 items and texts has 2"),
    (lambda s: s.add_texts(["a", "b"], ids=["x"]), "ids has 1 items and texts has 2"),
    (lambda s: s.add_texts("abc"), "one string and not a list"),
    (lambda s: s.add_texts(["a"], ids=["x" * 1_001]), "1,001 bytes and the limit is 1,000"),
    (lambda s: s.add_texts(["a"], ids=["x\x00"]), "holds a NUL"),
    (lambda s: s.add_texts(["a"], [{"x": float("inf")}]), "is inf, which JSON has no form for"),
    (lambda s: s.add_texts(["a"], [{"x": b""}]), "is bytes, which JSON has no form for"),
    (lambda s: s.add_texts(["a"], wrong=1), "unknown arguments: wrong"),
    (lambda s: s.add_embeddings(["a", "b"], [VECTOR]), "embeddings has 1 items and texts has 2"),
    (lambda s: s.add_embeddings(["a", "b"], [VECTOR, VECTOR[:3]]), "not one table of numbers"),
    (lambda s: s.add_embeddings(["a"], [[float("nan"), *VECTOR[1:]]]), "embedding 0 holds NaN"),
    (lambda s: s.add_embeddings(["a", "b"], [VECTOR, [0.0] * 16]), "embedding 1 is all zeros"),
    (lambda s: s.add_embeddings(["a"], [[1e-9] * 16]), "embedding 0 is all zeros"),
    (lambda s: s.add_embeddings(["a"], [[70_000.0] * 16]), "halfvec goes up to 65,504"),
    (lambda s: s.add_embeddings(["a"], [[]]), "0 dimensions and can have from 1 to 16,000"),
]


@pytest.mark.parametrize(("add", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_bad_input_is_named_and_writes_nothing(open_store, add, message):
    first = open_store()
    with pytest.raises(InvalidInput, match=message):
        add(first)
    assert first.store.find(first.collection_name) is None  # not even the collection
    first.add_texts(["there"], ids=["there"])
    with pytest.raises(InvalidInput):
        add(first)
    assert first.store.count(collection_of(first)) == 1


def test_wrong_dimensions_are_named(docs):
    docs.add_texts(["a"])
    for call in (
        lambda: docs.add_embeddings(["b"], [[1.0, 2.0]]),
        lambda: docs.similarity_search_by_vector([1.0, 2.0]),
    ):
        with pytest.raises(DimensionMismatch, match=r"embedding has 2 dimensions but collection .* stores 16"):
            call()


@pytest.mark.parametrize("k", [0, -1, 10_001, "4"])
def test_an_impossible_k_is_named(docs, k):
    docs.add_texts(["a"])
    for call in (docs.similarity_search, docs.hits, docs.max_marginal_relevance_search):
        with pytest.raises(InvalidInput, match="must be a whole number from 1 to 10,000"):
            call("x", k=k)


def test_unknown_search_arguments_are_named(docs):
    docs.add_texts(["a"])
    with pytest.raises(InvalidInput, match="unknown search arguments: nprobe"):
        docs.similarity_search("x", nprobe=3)
    with pytest.raises(InvalidInput, match="unknown arguments of a lexical search: ef_search"):
        docs.hits("x", search_type="lexical", ef_search=3)
    with pytest.raises(InvalidInput, match="search_type 'keyword' is not known"):
        docs.hits("x", search_type="keyword")


def test_an_unknown_text_search_configuration_is_named(open_store):
    with pytest.raises(InvalidInput, match="no text-search configuration 'klingon'"):
        open_store(config="klingon").add_texts(["a"])


def test_what_the_constructor_says_must_agree_with_the_collection(open_store):
    first = open_store(storage="vector")
    first.add_texts(["a"])
    name = first.collection_name
    for said in ({"storage": "halfvec"}, {"distance_strategy": "l2"}, {"lexical": False}, {"embedding_length": 3}):
        with pytest.raises(CollectionMismatch, match=f"{next(iter(said))}="):
            open_store(collection_name=name, **{"config": None, **said}).similarity_search("a")


# -- one transaction


@pytest.mark.parametrize("rows", [3, 300])
@pytest.mark.parametrize("made", [True, False])
def test_a_failing_row_leaves_nothing(docs, module_url, rows, made):
    docs.add_texts(["before"], ids=["before"])
    found = collection_of(docs)
    with psycopg.connect(module_url, autocommit=True) as conn:
        conn.execute(SQL("ALTER TABLE {} ADD CHECK (content <> 'bad')").format(found.passages))
    before = recount.table(module_url, found)
    ids = None if made else ["before", *(str(i) for i in range(rows - 1))]
    with pytest.raises(psycopg.errors.CheckViolation):
        docs.add_texts([*["good"] * (rows - 1), "bad"], ids=ids)
    assert recount.table(module_url, found) == before
    recount.check(found, module_url)


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("rows", [2, 300])
def test_conn_joins_the_callers_transaction(docs, module_url, autocommit, rows):
    docs.add_texts(["kept"], ids=["kept"])
    with psycopg.connect(module_url, autocommit=autocommit) as conn:
        if autocommit:
            conn.execute("BEGIN")
        docs.add_texts(["gone"] * rows, conn=conn)
        docs.add_documents([Document(page_content="gone")] * rows, conn=conn, ids=[str(i) for i in range(rows)])
        docs.delete(["kept"], conn=conn)
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        conn.rollback()
        assert docs.store.count(collection_of(docs)) == 1
        docs.add_texts(["stays"], ids=["stays"], conn=conn)
        conn.commit()
    assert [doc.id for doc in docs.get_by_ids(["kept", "stays"])] == ["kept", "stays"]
    recount.check(collection_of(docs), module_url)


def test_deleting_in_an_untouched_connection_does_not_commit(docs, module_url):
    docs.add_texts(["kept"], ids=["kept"])
    with psycopg.connect(module_url) as conn:
        docs.delete(["kept"], conn=conn)
        conn.rollback()
    assert docs.get_by_ids(["kept"])


async def test_conn_joins_the_callers_transaction_async(docs, module_url):
    await docs.aadd_texts(["kept"], ids=["kept"])
    async with await psycopg.AsyncConnection.connect(module_url) as conn:
        await docs.aadd_texts(["gone"] * 2, conn=conn)
        await docs.aadd_texts(["gone"] * 300, conn=conn)
        await docs.adelete(["kept"], conn=conn)
        await conn.rollback()
    assert [doc.id for doc in await docs.aget_by_ids(["kept"])] == ["kept"]
    assert docs.store.count(collection_of(docs)) == 1
    await docs.database.aclose()


def test_a_failed_batch_leaves_the_callers_transaction_usable(docs, module_url):
    docs.add_texts(["kept"], ids=["kept"])
    found = collection_of(docs)
    with psycopg.connect(module_url, autocommit=True) as conn:
        conn.execute(SQL("ALTER TABLE {} ADD CHECK (content <> 'bad')").format(found.passages))
    with psycopg.connect(module_url) as conn:
        docs.add_texts(["mine"], ids=["mine"], conn=conn)
        with pytest.raises(psycopg.errors.CheckViolation):
            docs.add_texts(["fine", "bad"], ids=["fine", "bad"], conn=conn)
        docs.add_texts(["also"], ids=["also"], conn=conn)
    assert [doc.id for doc in docs.get_by_ids(["kept", "mine", "also", "fine", "bad"])] == ["also", "kept", "mine"]
    recount.check(found, module_url)


# -- texts and metadata that are hard to store


def test_what_cannot_be_stored_is_converted_by_the_rules(docs):
    when, number = datetime(2024, 2, 29, tzinfo=UTC), uuid.UUID(int=7)
    metadata = {
        "nul\x00": "a\x00b", "lone": "\ud800", "nan": float("nan"), "when": when, "uuid": number, "price": Decimal("1.10"),
        "np": np.float32(0.5), "array": np.arange(3), "deep": {"set": {1}, "tuple": (1, 2)},
    }  # fmt: skip
    docs.add_texts(["nul \x00 lone \udfff 😀"], [metadata], ids=["a"])
    (doc,) = docs.get_by_ids(["a"])
    assert doc.page_content == "nul \ufffd lone \ufffd 😀"
    assert doc.metadata == {
        "nul\ufffd": "a\ufffdb", "lone": "\ufffd", "nan": None, "when": "2024-02-29T00:00:00+00:00", "uuid": str(number),
        "price": "1.10", "np": 0.5, "array": [0, 1, 2], "deep": {"set": [1], "tuple": [1, 2]},
    }  # fmt: skip
    assert docs.similarity_search("x", filter={"when": when, "uuid": number, "np": np.float32(0.5)}) == [doc]
    assert "nul\x00" in metadata


def test_ids_with_any_characters(docs, module_url):
    ids = ["it's", '"', "%s", "{}", "\\", "a,b", "é😀", "null", "x" * 1_000, " ", "ab\n"]
    docs.add_texts(["t"] * len(ids), ids=ids)
    assert sorted(doc.id or "" for doc in docs.get_by_ids(ids)) == sorted(ids)
    docs.add_texts(["t"] * len(ids), ids=ids)
    docs.delete(ids)
    assert docs.store.count(collection_of(docs)) == 0
    recount.check(collection_of(docs), module_url)


def test_a_collections_name_can_be_anything(open_store):
    for name in ["it's; DROP TABLE x--", '"%s"', "{}", "é😀", "a" * 200]:
        store = open_store(collection_name=name)
        store.add_texts(["a"], ids=["a"])
        assert store.get_by_ids(["a"])
        store.delete_collection()
        assert store.get_by_ids(["a"]) == []


# -- deleting


def test_delete_by_ids_by_filter_and_by_both(docs, module_url):
    docs.add_texts(["a b", "b c", "c d", "d e"], [{"n": i} for i in range(4)], ids=list("abcd"))

    def left() -> list[str]:
        return [doc.id or "" for doc in docs.get_by_ids(list("abcd"))]

    assert docs.delete(["a", "b"], filter={"n": 0}) is True
    assert left() == ["b", "c", "d"]
    docs.delete(filter={"n": {"$gte": 3}})
    assert left() == ["b", "c"]
    docs.delete(["b", "unknown", "\x00"])
    assert left() == ["c"]
    docs.delete([])
    assert left() == ["c"]
    recount.check(collection_of(docs), module_url)
    for nothing in ({}, {"ids": None}, {"filter": {}}, {"ids": None, "filter": None}):
        with pytest.raises(InvalidInput, match="neither ids nor a filter"):
            docs.delete(**nothing)
    with pytest.raises(InvalidInput, match="ids is one string"):
        docs.delete("c")
    with pytest.raises(InvalidInput, match="a filter is a dict"):
        docs.delete(["c"], filter=["n"])
    assert left() == ["c"]


# -- counts


@pytest.mark.parametrize("seed", range(3))
def test_a_random_series_leaves_the_counts_of_a_recount(open_store, module_url, small_batches, seed):
    rng, store, there = random.Random(seed), open_store(), dict[str, str]()
    for _ in range(40):
        ids = [f"i{rng.randint(0, 25)}" for _ in range(rng.randint(1, 8))]
        match rng.randint(0, 4):
            case 0:
                store.delete(ids)
                for gone in ids:
                    there.pop(gone, None)
            case 1:
                store.delete(filter={"even": True, "id": {"$in": ids}})
                there = {key: value for key, value in there.items() if key not in ids or int(key[1:]) % 2}
            case 2:
                fresh = [text(rng) for _ in ids]
                there.update(zip(store.add_texts(fresh), fresh, strict=True))
            case _:
                texts = [text(rng) for _ in ids]
                store.add_texts(texts, [{"id": i, "even": int(i[1:]) % 2 == 0} for i in ids], ids=ids)
                there.update(zip(ids, texts, strict=True))
    assert {row[0]: row[5] for row in recount.table(module_url, collection_of(store))} == there
    recount.check(collection_of(store), module_url)


def test_folding_the_statistics_changes_nothing(docs, module_url):
    for i in range(5):
        docs.add_texts([f"some words {i}"])
    docs.store.execute(postings.fold_stats(collection_of(docs)))
    recount.check(collection_of(docs), module_url)


def test_concurrent_upserts_and_deletes_neither_deadlock_nor_miscount(open_store, module_url):
    store = open_store()
    store.add_texts(["first"], ids=["i0"])
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for step in range(25):
                ids = [f"i{rng.randint(0, 12)}" for _ in range(rng.randint(2, 6))]
                if step % 4 == 3:
                    store.delete(ids[:3])
                else:
                    store.add_texts([text(rng) for _ in ids], ids=ids)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    recount.check(collection_of(store), module_url)


def test_a_delete_that_waited_for_an_upsert_takes_the_new_words(docs, module_url):
    """Blocked on the row by the upsert, the delete goes on with a snapshot from before it."""
    docs.add_texts(["old"], ids=["a"])
    with psycopg.connect(module_url) as conn:
        docs.add_texts(["new words"], ids=["a"], conn=conn)
        waiting = threading.Thread(target=docs.delete, args=[["a"]])
        waiting.start()
        wait_for_a_blocked_one(module_url)
        conn.commit()
    waiting.join(timeout=30)
    assert docs.get_by_ids(["a"]) == []
    recount.check(collection_of(docs), module_url)


def wait_for_a_blocked_one(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as look:
        while not look.execute(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone():
            time.sleep(0.01)


def test_dropping_a_collection_waits_for_its_writer(docs, module_url):
    """The writer has the chunks and is yet to write its statistics, whose foreign key locks the collection's row."""
    docs.add_texts(["old"], ids=["a"])
    found = collection_of(docs)
    batch = Rows.of(["new words"], None, ["a"]).batch(EMBEDDINGS.embed_documents(["x"]), found)
    with psycopg.connect(module_url) as conn:
        docs.database.server.register(conn.adapters)
        conn.execute(*writes.upsert_chunks(found, batch, docs.database.server.types["halfvec"][0]))
        dropping = threading.Thread(target=docs.delete_collection)
        dropping.start()
        wait_for_a_blocked_one(module_url)
        conn.execute(*writes.upsert_passages(found, batch))
    dropping.join(timeout=30)
    assert docs.store.find(docs.collection_name) is None


# -- long texts


def book(size: int) -> str:
    rng = random.Random(1)
    vocabulary = [f"word{i} running{i}" for i in range(3_000)] + ["elephant", "the", "and", "runs", "well-known"] * 300
    parts: list[str] = []
    while size > 0:
        parts.append(rng.choice(vocabulary))
        size -= len(parts[-1]) + 1
    return " ".join(parts)


@pytest.mark.slow
def test_a_whole_book_as_one_document_is_counted_right(docs, module_url):
    novel = book(3_000_000)
    docs.add_texts([novel, "an elephant"], ids=["novel", "short"])
    recount.check(collection_of(docs), module_url)
    assert [hit.id for hit in docs.hits("elephant", k=2, search_type="lexical", b=1)] == ["short", "novel"]
    docs.add_texts(["tiny now"], ids=["novel"])
    recount.check(collection_of(docs), module_url)


LONG = {
    "255 of a word": "elephant " * 300,
    "at the piece's edge": "elephant " * 254,
    "no blanks": ",".join(f"w{i}" for i in range(8_000)),
    "one word without blanks": "elephant," * 5_000,
    "compounds": " ".join(f"a{i}-b{i}" for i in range(4_000)),
    "unspaced and not latin": "слово," * 6_000,
}


@pytest.mark.parametrize("name", LONG)
def test_dense_and_long_texts_are_counted_right(docs, module_url, name):
    docs.add_texts([LONG[name]], ids=["a"])
    with psycopg.connect(module_url) as conn:
        want = recount.lexemes(conn, LONG[name].replace(",", " "))
        rows = conn.execute(SQL("SELECT lexeme, tf, dl FROM {}").format(collection_of(docs).postings)).fetchall()
    assert {lexeme: tf for lexeme, tf, _ in rows} == dict(want)
    assert {dl for _, _, dl in rows} == {want.total()}
    docs.delete(["a"])
    recount.check(collection_of(docs), module_url)


def test_a_lexeme_too_long_to_be_indexed_is_left_out(docs):
    docs.add_texts(["x" * 5_000 + " elephant", ("y" * 5_000 + " ") * 10 + "elephant"])
    assert len(docs.hits("elephant", search_type="lexical")) == 2


# -- without words, and by storage


def test_without_words_there_are_no_postings(open_store, module_url):
    store = open_store(lexical=False)
    ids = store.add_texts([f"t{i}" for i in range(300)])
    store.add_texts(["again"], ids=ids[:1])
    store.delete(ids[1:3])
    found = collection_of(store)
    with psycopg.connect(module_url) as conn:
        tables = conn.execute("SELECT to_regclass(%s), to_regclass(%s)", [
            f"howdah.postings_{found.id}", f"howdah.passages_{found.id}"
        ]).fetchone()  # fmt: skip
        columns = conn.execute(SQL("SELECT * FROM {} LIMIT 0").format(found.passages)).description
    assert tables is not None
    assert tables[0] is None
    assert "tsv" not in [column.name for column in columns or []]
    assert store.store.count(found) == 298
    for how in ("hybrid", "lexical"):
        with pytest.raises(InvalidInput, match="made with lexical=False and has no words"):
            store.hits("x", search_type=how)


@pytest.mark.parametrize(("said", "type_name"), [(None, "halfvec"), ("halfvec", "halfvec"), ("vector", "vector")])
def test_storage_is_halfvec_or_vector_by_choice(open_store, module_url, said, type_name):
    store = open_store(storage=said)
    store.add_texts(["a"])
    with psycopg.connect(module_url) as conn:
        row = conn.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'embedding'",
            [f"howdah.chunks_{collection_of(store).id}"],
        ).fetchone()
    assert row == (f"{type_name}(16)",)


# -- collections that others drop, make and hide


def test_a_collection_dropped_and_made_anew_by_another_store_is_found_again(open_store):
    mine = open_store()
    mine.add_texts(["old"], ids=["old"])

    def anew() -> None:
        other = open_store(collection_name=mine.collection_name)
        other.delete_collection()
        other.add_texts(["new"], ids=["new"])

    anew()
    assert [doc.id for doc in mine.similarity_search("x")] == ["new"]
    anew()
    assert [doc.id for doc in mine.get_by_ids(["old", "new"])] == ["new"]
    anew()
    assert mine.delete(["new"])
    assert mine.get_by_ids(["new"]) == []
    anew()
    mine.add_texts(["mine"], ids=["mine"])
    assert {doc.id for doc in mine.similarity_search("x")} == {"new", "mine"}
    open_store(collection_name=mine.collection_name).delete_collection()
    assert mine.similarity_search("x") == mine.get_by_ids(["new"]) == mine.hits("x") == []
    assert mine.delete(["new"])


async def test_a_collection_made_anew_is_found_again_async(open_store):
    mine = open_store()
    await mine.aadd_texts(["old"], ids=["old"])
    for call, want in (
        (lambda: mine.asimilarity_search("x"), ["new"]),
        (lambda: mine.aget_by_ids(["new"]), ["new"]),
        (lambda: mine.adelete(["new"]), True),
    ):
        other = open_store(collection_name=mine.collection_name)
        other.delete_collection()
        other.add_texts(["new"], ids=["new"])
        found = await call()
        assert (found if found is True else [doc.id for doc in found]) == want
    await mine.database.aclose()


def test_tenants_do_not_see_each_other(open_store):
    one = open_store(tenant="one")
    two = open_store(tenant="two", collection_name=one.collection_name)
    one.add_texts(["elephant of one"], ids=["a"])
    two.add_texts(["elephant of two", "more"], ids=["a", "b"])
    assert [doc.page_content for doc in one.get_by_ids(["a", "b"])] == ["elephant of one"]
    assert {hit.content for hit in one.hits("elephant", k=10)} == {"elephant of one"}
    one.delete(["a", "b"])
    assert len(two.similarity_search("x")) == 2


def test_two_stores_that_create_at_once_share_one_collection(module_url):
    database = Database(Conninfo(module_url))
    name, found = f"c{uuid.uuid4().hex}", []

    def create() -> None:
        found.append(Store(database).create(name, Spec(model="m", dimensions=3)).id)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 4
    assert len(set(found)) == 1
    database.close()
