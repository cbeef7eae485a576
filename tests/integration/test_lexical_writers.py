"""The statistics of BM25 while others write: exact after any series, and no writer waits for another."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_text_splitters import CharacterTextSplitter
from psycopg.sql import SQL

from howdah import PGVector, sync
from howdah.retrieval import postings
from howdah.retrieval.postings import SPLIT, fold_stats, fold_terms
from tests.integration import bm25, recount

WORDS = ["elephant", "king", "the", "river", "of", "forest", "temple", "drum", "tusk", "monsoon", "mahout", "grass"]
WRITERS, STEPS = 4, 12
HASTE = {"options": "-c lock_timeout=1000 -c statement_timeout=30000"}


def open_store(url: str) -> PGVector:
    haste = psycopg.conninfo.make_conninfo(url, **HASTE)
    return PGVector(DeterministicFakeEmbedding(size=8), connection=haste, collection_name="docs", config="english")


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    with open_store(url) as store:
        store.add_texts(["elephant king"], ids=["first"])
        yield store
        store.database.close()


def text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, range(len(WORDS), 0, -1), k=rng.choice([0, 2, 8, 40])))


def write(url: str, seed: int, folder: Path) -> None:
    """A random series of adds, updates, deletes and synced documents that are cut anew; ids overlap with other writers'."""
    rng = random.Random(seed)
    with open_store(url) as store:
        for step in range(STEPS):
            ids = [f"d{rng.randint(0, 60):02}" for _ in range(rng.randint(1, 25))]
            if step % 4 == 3:
                store.delete(ids)
            elif step % 4 == 2:
                (folder / f"{seed}.txt").write_text("\n\n".join(text(rng) or "drum" for _ in range(rng.randint(1, 20))))
                cut = CharacterTextSplitter(separator="\n\n", chunk_size=rng.choice([40, 200]), chunk_overlap=0)
                sync(store, [folder / f"{seed}.txt"], root=f"r{seed}", splitter=cut)
            else:
                store.add_texts([text(rng) for _ in ids], ids=ids)
        store.database.close()


def test_statistics_are_exact_after_a_series_of_four_writers(store, url, tmp_path):
    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(write, url, seed, tmp_path) for seed in range(WRITERS)]:
            done.result()
    found = store.store.find("docs")
    assert found is not None
    recount.check(found, url)
    bm25.check(store, ["elephant", "the drum of the mahout", "river grass unknownword", " ".join(WORDS)])


def test_no_writer_waits_for_one_whose_transaction_is_open(store, url):
    """Common words are written, updated and deleted, and not committed; others write the same words at once."""
    found = store.store.find("docs")
    assert found is not None
    store.add_texts(["elephant king river"] * 3, ids=["a", "b", "c"])
    seen = bm25.scores(store, "elephant river king")
    with psycopg.connect(url) as conn:
        store.add_texts(["elephant king river " * 5] * 300, conn=conn)
        store.add_texts(["elephant elephant temple", "king"], ids=["a", "b"], conn=conn)
        store.delete(["c"], conn=conn)
        assert bm25.scores(store, "elephant river king") == seen  # nothing of it is seen, in rows or in statistics
        with ThreadPoolExecutor(WRITERS) as pool:
            for done in [pool.submit(others, url, seed) for seed in range(WRITERS)]:
                done.result()
        recount.check(found, url)  # exact in this snapshot, which has the others' rows and not the open one's
        bm25.check(store, ["elephant river king"])
        with pytest.raises(psycopg.errors.LockNotAvailable):  # a wait would be seen: the same row has to wait
            store.add_texts(["tusk"], ids=["a"])
        for fold in (fold_stats(found), fold_terms(found)):
            store.store.execute(fold)  # nor does maintenance wait, or lose what is not committed
        conn.commit()
    recount.check(found, url)
    bm25.check(store, ["elephant river king"])


def test_folding_keeps_the_counts_and_drops_words_that_are_gone(url):
    with open_store(url) as store:
        for n in range(SPLIT + 2):
            store.add_texts([f"elephant only{n}"], ids=[str(n)])
        store.delete(["0"])
        found = store.store.get("docs")
        store.store.execute(fold_terms(found))
        with psycopg.connect(url) as conn:
            rows = conn.execute(SQL("SELECT lexeme, df FROM {} ORDER BY lexeme").format(found.terms)).fetchall()
        assert rows == [("eleph", SPLIT + 1), *((f"only{n}", 1) for n in range(1, SPLIT + 2))]
        recount.check(found, url)
        bm25.check(store, ["elephant", "only0", "only1 elephant"])
        store.database.close()


async def test_writes_fold_in_their_turn_and_never_wait_for_another_fold(url, monkeypatch):
    monkeypatch.setattr(postings, "FOLD_EVERY", 1)
    with open_store(url) as store, psycopg.connect(url) as conn:
        store.add_texts(["elephant"], ids=["0"])
        found = store.store.get("docs")
        await store.aadd_texts(["river king"], ids=["1"])
        assert stats(url) == [(2, 3)]
        conn.execute(*fold_stats(found))  # a fold that is not yet committed
        store.add_texts(["temple"], ids=["2"])
        assert len(stats(url)) == 2
        conn.commit()
        store.add_texts(["the drum"], ids=["3"])
        assert stats(url) == [(4, 5)]
        await store.aclose()
        store.database.close()


def stats(url: str) -> list[tuple[int, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute("SELECT chunks, length FROM howdah.corpus_stats").fetchall()


def others(url: str, seed: int) -> None:
    with open_store(url) as store:
        ids = store.add_texts(["elephant king river temple"] * 10, ids=[f"{seed}-{i}" for i in range(10)])
        store.add_texts(["king of the river"] * 300)
        store.add_texts(["elephant"] * 4, ids=ids[:4])
        store.delete(ids[5:])
        store.database.close()


def test_every_reader_sees_statistics_and_rows_of_one_moment(store):
    """The only word's df is the number of chunks throughout, so the score of all rows is one and the same formula of N."""
    done, looks = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            looks.append([hit.score for hit in store.hits("drum", k=10_000, search_type="lexical")])

    reader = threading.Thread(target=read)
    store.delete(["first"])
    store.add_texts(["drum"], ids=["x0"])
    reader.start()
    for step in range(1, 30):
        store.add_texts(["drum"] * step, ids=[f"x{i}" for i in range(step)])
        store.delete([f"x{i}" for i in range(0, step, 3)])
    done.set()
    reader.join()
    # tf = 1 and dl = the mean, so BM25 / attainable = 1 / (1 + k1), whatever N is; a df of another moment would differ.
    assert {len(scores) for scores in looks if scores} > {1}
    for scores in looks:
        assert scores == pytest.approx([1 / 2.2] * len(scores))
