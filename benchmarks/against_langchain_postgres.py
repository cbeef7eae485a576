"""Load and search speed beside langchain-postgres' PGVectorStore: same server, same rows, one run. Prints ratios.

5,000 chunks of real text (SciFact's abstracts, ../shared/data, else this repository's own files) with 384-dimensional
vectors given. Loads: rows a second, median of the repeats (PGVectorStore's once). Searches: dense, k = 10, ef_search = 40
(pgvector's default), p50 of 300 queries by vector on an HNSW index in both.

    python benchmarks/against_langchain_postgres.py [--rows 5000] [--repeats 3]
"""

import argparse
import json
import statistics
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.hybrid_search_config import HybridSearchConfig
from langchain_postgres.v2.indexes import DistanceStrategy, HNSWIndex, HNSWQueryOptions
from scratch import scratch_database

from howdah import PGVector

ROOT = Path(__file__).resolve().parent.parent
DIMENSIONS = 384


def real_text(rows: int) -> list[str]:
    """Chunks of some 400 characters."""
    scifact = ROOT.parent / "shared" / "data" / "scifact" / "corpus.jsonl"
    if scifact.exists():
        documents = [json.loads(line) for line in scifact.read_text(encoding="utf-8").splitlines()]
        whole = [f"{d['title']}. {d['text']}" for d in documents]
    else:
        whole = [path.read_text(encoding="utf-8") for path in [*ROOT.glob("docs/*.md"), *ROOT.glob("retrieval/*.py")]]
    chunks = [text[i : i + 400] for text in whole for i in range(0, len(text), 400)]
    return (chunks * (rows // len(chunks) + 1))[:rows]


def vectors(rows: int, *, seed: int = 7) -> list[list[float]]:
    """Unit vectors of some 20 inner dimensions, as text embeddings have them; of independent ones all are equally far."""
    inner = np.random.default_rng(0).normal(size=(20, DIMENSIONS))
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(rows, 20)) @ inner + 0.3 * rng.normal(size=(rows, DIMENSIONS))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    numbers: list[list[float]] = found.astype(np.float32).tolist()
    return numbers


def rate(load: Callable[[int], None], rows: int, repeats: int) -> float:
    """Rows a second, the median of the repeats."""
    seconds = []
    for repeat in range(repeats):
        began = time.perf_counter()
        load(repeat)
        seconds.append(time.perf_counter() - began)
    return rows / statistics.median(seconds)


def p50(search: Callable[[list[float]], Any], queries: list[list[float]]) -> float:
    """Milliseconds, the median over the queries after a warm-up."""
    for query in queries[:20]:
        search(query)
    times = []
    for query in queries:
        began = time.perf_counter()
        search(query)
        times.append((time.perf_counter() - began) * 1_000)
    return statistics.median(times)


class Ours:
    """PGVector, each repeat into a collection of its own."""

    def __init__(self, url: str, texts: list[str], embeddings: list[list[float]], *, lexical: bool) -> None:
        self.url = f"{url}{'&' if '?' in url else '?'}options=-c%20hnsw.ef_search%3D40"
        self.texts, self.embeddings, self.lexical = texts, embeddings, lexical
        self.metadata = [{"place": place} for place in range(len(texts))]
        self.ids = [str(uuid.uuid4()) for _ in texts]

    def load(self, repeat: int) -> None:
        name = f"ours_{self.lexical}_{repeat}"
        self.store = PGVector(
            DeterministicFakeEmbedding(size=DIMENSIONS), connection=self.url, collection_name=name, lexical=self.lexical
        )
        self.store.add_embeddings(self.texts, self.embeddings, self.metadata)

    def search(self, query: list[float]) -> Any:
        return self.store.similarity_search_by_vector(query, k=10)


class Theirs:
    """PGVectorStore, each repeat into a table of its own."""

    def __init__(self, url: str, texts: list[str], embeddings: list[list[float]], *, lexical: bool) -> None:
        self.engine = PGEngine.from_connection_string(url=url.replace("postgresql://", "postgresql+psycopg://"))
        self.texts, self.embeddings, self.lexical = texts, embeddings, lexical
        self.metadata = [{"place": place} for place in range(len(texts))]

    def load(self, repeat: int) -> None:
        self.table = f"theirs_{self.lexical}_{repeat}".lower()
        hybrid = HybridSearchConfig(tsv_column="content_tsv", tsv_lang="pg_catalog.english") if self.lexical else None
        self.engine.init_vectorstore_table(self.table, DIMENSIONS, hybrid_search_config=hybrid)
        self.store = PGVectorStore.create_sync(
            self.engine,
            embedding_service=DeterministicFakeEmbedding(size=DIMENSIONS),
            table_name=self.table,
            hybrid_search_config=hybrid,
            distance_strategy=DistanceStrategy.COSINE_DISTANCE,
            index_query_options=HNSWQueryOptions(ef_search=40),
        )
        self.store.add_embeddings(self.texts, self.embeddings, self.metadata)

    def index(self) -> None:
        self.store.apply_vector_index(HNSWIndex(distance_strategy=DistanceStrategy.COSINE_DISTANCE))

    def search(self, query: list[float]) -> Any:
        return self.store.similarity_search_by_vector(query, k=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    texts, embeddings = real_text(given.rows), vectors(given.rows)
    queries = vectors(300, seed=8)
    with scratch_database() as url:
        print(
            f"{given.rows:,} chunks, {sum(map(len, texts)) / len(texts):.0f} characters each, {DIMENSIONS} dimensions\n"
        )
        peer: Theirs | None = None
        print(f"{'':26}{'howdah':>12}{'PGVectorStore':>16}{'ratio':>9}")
        for lexical, label in ((False, "rows/s, vectors only"), (True, "rows/s, with words")):
            ours, theirs = (
                Ours(url, texts, embeddings, lexical=lexical),
                Theirs(url, texts, embeddings, lexical=lexical),
            )
            ours_rate = rate(ours.load, given.rows, given.repeats)
            theirs_rate = rate(theirs.load, given.rows, 1)
            print(f"{label:26}{ours_rate:12,.0f}{theirs_rate:16,.0f}{ours_rate / theirs_rate:8.1f}x", flush=True)
            peer = peer if lexical else theirs  # with words its search by vector is a hybrid one of four rows an arm
        assert peer is not None
        build_index(url)
        peer.index()
        ours_ms, theirs_ms = p50(ours.search, queries), p50(peer.search, queries)
        print(f"{'dense search p50, ms':26}{ours_ms:12.2f}{theirs_ms:16.2f}{theirs_ms / ours_ms:8.1f}x")
        check_same(ours, peer, queries)


def build_index(url: str) -> None:
    """HNSW as PGVectorStore's defaults have it, on every collection."""
    with psycopg.connect(url, autocommit=True) as conn:
        for (table,) in conn.execute("SELECT relname FROM pg_class WHERE relname ~ '^chunks_[0-9]+$'").fetchall():
            conn.execute(f"CREATE INDEX ON howdah.{table} USING hnsw (embedding halfvec_cosine_ops)")
            conn.execute(f"ANALYZE howdah.{table}")


def check_same(ours: Ours, theirs: Theirs, queries: list[list[float]]) -> None:
    """Both found the same rows, but for what half precision and the index differ in."""
    shared = 0
    for query in queries[:100]:
        mine = {doc.metadata["place"] for doc in ours.search(query)}
        shared += len(mine & {doc.metadata["place"] for doc in theirs.search(query)})
    print(f"\nThe two share {shared / 1_000:.1%} of their top 10.")


if __name__ == "__main__":
    main()
