"""Every kind of index over the same rows, in one run: build time, size, recall@10 and the time of a search.

    python benchmarks/index_kinds.py [ROWS] [--mnist FOLDER]

Rows are a text model's in shape (index_threshold.Vectors): 1,536 numbers around a common mean, in clusters. With --mnist
they are 9,000 images of 784 numbers, none below 0: data that bits are not made for. The truth is NumPy's brute force over
single-precision cosines. Searches of all kinds alternate, so that other work on the machine meets each alike.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import index_threshold
import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah import PGVector
from howdah.retrieval.maintenance import maintain

K, QUERIES, DIMENSIONS = 10, 200, 1_536
KINDS = [
    ("exact", "halfvec", "none", {}),
    ("HNSW", "halfvec", "hnsw", {}),
    ("HNSW", "vector", "hnsw", {}),
    ("IVFFlat", "halfvec", "ivfflat", {}),
    ("bits", "halfvec", "bits", {}),
    ("bits, 50·k", "halfvec", "bits", {"oversample": 50}),
]


def made(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and queries of a text model's shape."""
    index_threshold.DIMENSIONS, index_threshold.QUERIES = DIMENSIONS, QUERIES
    vectors = index_threshold.Vectors()
    return vectors.rows(0, rows), vectors.queries()


def mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.load(folder / "base.npy").astype(np.float32) / 255,
        np.load(folder / "queries.npy")[:QUERIES].astype(np.float32) / 255,
    )


def truth(rows: np.ndarray, queries: np.ndarray) -> list[set[str]]:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return [{f"{n}" for n in np.argpartition(-(rows @ query), K)[:K]} for query in queries]


def load(home: Path, name: str, storage: str, rows: np.ndarray) -> PGVector:
    fake = DeterministicFakeEmbedding(size=rows.shape[1])
    store = PGVector(fake, home=home, lexical=False, collection_name=name, storage=storage)
    for low in range(0, len(rows), 2_000):
        part = rows[low : low + 2_000]
        ids = [f"{low + n}" for n in range(len(part))]
        store.add_embeddings(ids, part, ids=ids)
    return store


def main() -> None:
    arguments = sys.argv[1:]
    if "--mnist" in arguments:
        rows, queries = mnist(Path(arguments[arguments.index("--mnist") + 1]))
    else:
        rows, queries = made(int(arguments[0]) if arguments else 20_000)
    wanted = truth(rows, queries)
    print(f"{len(rows):,} rows of {rows.shape[1]:,} numbers, {len(queries)} queries, cosine")
    with tempfile.TemporaryDirectory(prefix="howdah-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        stores, reports = [], []
        for number, (_, storage, index, _) in enumerate(KINDS):
            stores.append(load(home, f"b{number}", storage, rows))
            reports.append(maintain(stores[-1], index=index))
        times: list[list[float]] = [[] for _ in KINDS]
        shared = [0] * len(KINDS)
        for turn, (query, want) in enumerate(
            [*zip(queries[:10], wanted[:10], strict=True), *zip(queries, wanted, strict=True)]
        ):
            for number, (_, _, _, options) in enumerate(KINDS):
                began = time.perf_counter()
                found = stores[number].similarity_search_by_vector(query, K, **options)
                if turn >= 10:
                    times[number].append(1_000 * (time.perf_counter() - began))
                    shared[number] += len({doc.id for doc in found} & want)
        print("kind        | stored  | build s | index MB | recall@10 |   p50 ms |   p95 ms | why")
        for number, (label, storage, _, _) in enumerate(KINDS):
            report, took = reports[number], times[number]
            print(
                f"{label:11} | {storage:7} | {report.build_seconds:7.1f} | {report.index_bytes / 2**20:8.1f} |"
                f" {shared[number] / (K * len(queries)):9.3f} | {statistics.median(took):8.2f} |"
                f" {statistics.quantiles(took, n=20)[-1]:8.2f} | {'; '.join([report.why, *report.warnings])}"
            )
        for store in stores:
            store.database.close()


if __name__ == "__main__":
    main()
