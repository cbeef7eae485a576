"""Howdah beside the other stores on PostgreSQL, on one server, on the same rows and vectors, in one run.

Speed and index recall: 20,000 chunks of real text (corpus.py). Quality: SciFact's 5,183 abstracts, 300 test claims. The
claims are the queries of both, their vectors known, so that no store's time holds an embedding. Searches are timed in
turn, store after store for each query; nobody waits for anybody. recall@10 of the index is against NumPy's exact search.
What each store is told stands in peer_stores.py. LlamaIndex' store is left out where `make bench` has not installed it.

    make bench BENCH=peers          or: python benchmarks/peers.py [--chunks 20000] [--queries 150] [--repeats 3]
"""

import argparse
import logging
import statistics
import time
import warnings
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import numpy as np
from beir import ndcg, scifact
from corpus import chunks, describe, embedded
from known import Known
from peer_stores import DIMENSIONS, PEERS, Howdah, K, LlamaIndex, Peer, PGVectorStore, Rows
from scratch import scratch_database
from timing import in_turn, rows_a_second, times

from howdah.retrieval.types import Array

WRITERS = 4


def present() -> list[type[Peer]]:
    missing = find_spec("llama_index.vector_stores") is None
    if missing:
        print("LlamaIndex' PGVectorStore is not installed and is left out: make bench BENCH=peers installs it")
    return [peer for peer in PEERS if not (missing and peer is LlamaIndex)]


def loaded(url: str, known: Known, rows: Rows, prefix: str) -> tuple[list[Peer], dict[tuple[str, bool], float]]:
    """A store of each kind, without and with words, loaded by one call and then indexed; and their rows a second."""
    stores, rates = [], {}
    for kind in present():
        for words in (False, True) if kind.hybrid else (False,):
            peer = kind(url, f"{prefix}_{kind.__name__}_{words}".lower(), known, words=words)
            peer.prepare()
            rates[peer.name, words] = rows_a_second(lambda peer=peer: peer.load(rows), len(rows.ids))
            peer.index()
            stores.append(peer)
            print(f"  {peer.name}{' with words' * words}: {rates[peer.name, words]:,.0f} rows/s", flush=True)
    return stores, rates


def exactly(rows: Rows, queries: Array) -> list[set[str]]:
    """The true nearest K by cosine; the vectors have unit length."""
    return [{rows.ids[place] for place in np.argsort(-(rows.vectors @ query))[:K]} for query in queries]


def speed(url: str, known: Known, rows: Rows, questions: list[str], repeats: int) -> None:
    stores, rates = loaded(url, known, rows, "speed")
    wanted = exactly(rows, np.array([known.embed_query(question) for question in questions], dtype=np.float32))
    taken: dict[tuple[str, bool], list[float]] = {}
    for words in (False, True):
        ways = {(peer.name, words): peer.search for peer in stores if peer.words is words}
        taken |= in_turn(ways, questions, repeats=repeats)
    found = {peer.name: [set(peer.search(question)) for question in questions] for peer in stores if not peer.words}
    print(f"\n{'':34}{'rows/s':>9}{'with words':>12}{'dense p50/p95 ms':>20}{'recall@10':>11}{'hybrid p50/p95 ms':>20}")
    for name, best in found.items():
        recall = statistics.mean(len(a & b) / K for a, b in zip(best, wanted, strict=True))
        hybrid = times(taken[name, True]) if (name, True) in taken else "-"
        with_words = f"{rates[name, True]:,.0f}" if (name, True) in rates else "-"
        cells = (
            f"{rates[name, False]:9,.0f}{with_words:>12}{times(taken[name, False])!s:>20}{recall:11.3f}{hybrid!s:>20}"
        )
        print(f"{name:34}{cells}", flush=True)


def quality(url: str, known: Known, vectors: Array, repeats: int) -> None:
    corpus, claims, qrels = scifact()
    rows = Rows([row["_id"] for row in corpus], [row["text"] for row in corpus], vectors)
    stores, _ = loaded(url, known, rows, "quality")

    def score(search: Any) -> float:
        return statistics.mean(ndcg(search(text), qrels[id_], 10) for id_, text in claims.items())

    hybrid = {peer.name: peer.search for peer in stores if peer.words}
    taken = in_turn(hybrid, list(claims.values()), repeats=repeats)
    print(f"\n{'SciFact, nDCG@10':34}{'dense':>8}{'hybrid':>8}{'hybrid p50/p95 ms':>20}")
    for peer in stores:
        if not peer.words:
            twin = next((other for other in stores if other.words and other.name == peer.name), None)
            both = f"{score(twin.search):8.3f}{times(taken[peer.name])!s:>20}" if twin else f"{'-':>8}"
            print(f"{peer.name:34}{score(peer.search):8.3f}{both}", flush=True)
    for peer in stores:
        if peer.words and isinstance(peer, PGVectorStore):
            print(f"{peer.name + ', 4 rows an arm':42}{score(peer.as_it_comes):8.3f}   (as it comes)", flush=True)


def write(kind: type[Peer], url: str, table: str, rows: Rows, barrier: Any) -> None:
    """One of several writers, a process of its own."""
    quiet()
    peer = kind(url, table, Known(), words=True)
    peer.open()
    barrier.wait()
    peer.load(rows)
    barrier.wait()


def at_once(kind: type[Peer], url: str, known: Known, rows: Rows) -> float:
    """Rows a second of WRITERS processes that load a part each, with words."""
    table = f"writers_{kind.__name__}".lower()
    kind(url, table, known, words=True).prepare()
    context = get_context("spawn")
    barrier = context.Barrier(WRITERS + 1)
    parts = [rows.part(number, WRITERS) for number in range(WRITERS)]
    processes = [context.Process(target=write, args=(kind, url, table, part, barrier)) for part in parts]
    for process in processes:
        process.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    return len(rows.ids) / seconds


def quiet() -> None:
    warnings.simplefilter("ignore")  # the other libraries' own deprecations
    logging.disable(logging.WARNING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    quiet()
    listed = chunks(given.chunks)
    corpus, claims, _ = scifact()
    known = Known(claims.values())
    rows = Rows([str(number) for number in range(len(listed))], [chunk.text for chunk in listed], embedded(listed))
    abstracts = embedded([row["text"] for row in corpus])
    questions = list(claims.values())[: given.queries]
    print(f"{describe(listed)}; {DIMENSIONS} dimensions\n", flush=True)
    with scratch_database() as url:
        speed(url, known, rows, questions, given.repeats)
        ours, theirs = (at_once(kind, url, known, rows) for kind in (Howdah, PGVectorStore))
        print(
            f"\n{WRITERS} processes load at once, with words: howdah {ours:,.0f} rows/s, PGVectorStore {theirs:,.0f}:",
            end="",
        )
        print(f" {ours / theirs:.1f} x (target 5 x)\n", flush=True)
        quality(url, known, abstracts, given.repeats)


if __name__ == "__main__":
    main()
