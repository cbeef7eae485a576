"""Where does an exact scan stop paying? Exact search against HNSW on the same rows, as the collection grows.

    python benchmarks/index_threshold.py [SIZE ...]      default: 2,000 to 100,000

Vectors are like a text model's: 384 numbers of unit length around a common mean (c0 about 0.5), in clusters, with a
spectrum that falls off. Queries are rows moved a little. Each size prints p50 of both, recall@10 and the ratio. Servers
differ, ratios less so; the default threshold of maintenance.maintain comes from this table.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL

from howdah import PGVector
from howdah.retrieval.dense import nearest
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.query import Query

SIZES, DIMENSIONS, QUERIES, K = [2_000, 5_000, 10_000, 20_000, 50_000, 100_000], 384, 200, 10


class Vectors:
    """Rows by number, the same in every run."""

    def __init__(self, clusters: int = 2_000) -> None:
        random = np.random.default_rng(7)
        self.spectrum = np.arange(1, DIMENSIONS + 1) ** -0.5
        self.rotation = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS)))[0]
        self.mean = random.standard_normal(DIMENSIONS)
        self.mean /= np.linalg.norm(self.mean)
        self.centres = random.standard_normal((clusters, DIMENSIONS)) * self.spectrum
        self.scale = float(np.sqrt((self.spectrum**2).sum()))

    def rows(self, start: int, stop: int) -> np.ndarray:
        random = np.random.default_rng([11, start])
        members = self.centres[random.integers(len(self.centres), size=stop - start)]
        own = random.standard_normal((stop - start, DIMENSIONS)) * self.spectrum
        return self._unit((0.7 * members + 0.7 * own) / self.scale)

    def queries(self) -> np.ndarray:
        random = np.random.default_rng(13)
        members = self.centres[random.integers(len(self.centres), size=QUERIES)]
        own = random.standard_normal((QUERIES, DIMENSIONS)) * self.spectrum
        return self._unit((0.7 * members + 0.7 * own) / self.scale)

    def _unit(self, rows: np.ndarray) -> np.ndarray:
        placed = rows @ self.rotation + self.mean
        return (placed / np.linalg.norm(placed, axis=1, keepdims=True)).astype(np.float32)


def measure(store: PGVector, queries: np.ndarray) -> tuple[list[float], list[float], float]:
    """Milliseconds of each exact search and of each that may use the index, in turn; and the recall of these."""
    exact, quick, shared = [], [], 0
    for query in [*queries[:20], *queries]:
        began = time.perf_counter()
        wanted = store.similarity_search_by_vector(query, K, exact=True)
        between = time.perf_counter()
        found = store.similarity_search_by_vector(query, K)
        quick.append(1000 * (time.perf_counter() - between))
        exact.append(1000 * (between - began))
        shared += len({doc.id for doc in wanted} & {doc.id for doc in found})
    return exact[20:], quick[20:], shared / (K * (len(queries) + 20))


def p50_p95(times: list[float]) -> str:
    return f"{statistics.median(times):8.2f} {statistics.quantiles(times, n=20)[-1]:8.2f} ms"


def plan(store: PGVector, query: np.ndarray) -> str:
    """Which way the server takes: generic plans do not look at the query."""
    statement = nearest(store.store.get(store.collection_name), query, k=K)
    rows = store.store.rows(Query(SQL("EXPLAIN ") + statement.sql, statement.params))
    return "index" if any("_hnsw" in row["QUERY PLAN"] for row in rows) else "scan"


def load(store: PGVector, vectors: Vectors, start: int, stop: int) -> None:
    for low in range(start, stop, 5_000):
        high = min(low + 5_000, stop)
        texts = [f"chunk {n}" for n in range(low, high)]
        store.add_embeddings(texts, vectors.rows(low, high), ids=[f"{n}" for n in range(low, high)])


HEADER = "   chunks |    exact p50      p95 |     HNSW p50      p95 |  ratio | plan  | recall@10 | build s |    MB | c0"


def main() -> None:
    sizes = [int(arg) for arg in sys.argv[1:]] or SIZES
    vectors, there = Vectors(), 0
    queries = vectors.queries()
    with tempfile.TemporaryDirectory(prefix="howdah-bench-") as home:
        Path(home).chmod(0o755)
        store = PGVector(
            DeterministicFakeEmbedding(size=DIMENSIONS), home=Path(home), lexical=False, collection_name="b"
        )
        print(HEADER)
        for size in sizes:
            if there:
                maintain(store, index="none")
            load(store, vectors, there, size)
            there = size
            report = maintain(store, index="hnsw")
            exact, quick, recall = measure(store, queries)
            print(
                f"{size:9,} | {p50_p95(exact)} | {p50_p95(quick)} |"
                f" {statistics.median(exact) / statistics.median(quick):5.1f}x | {plan(store, queries[0])} |"
                f" {recall:9.4f} | {report.build_seconds:7.1f} | {report.index_bytes / 2**20:5.0f} | {report.c0:.2f}",
                flush=True,
            )
            for warning in report.warnings:
                print("  ", warning)


if __name__ == "__main__":
    main()
