"""`howdah tune --target-recall 0.99` on real and on made vectors, and what searches find afterwards by NumPy's brute force.

    python benchmarks/tune.py [--target 0.99] [--rows 100000] [--sample 5000] [--only mnist|clusters]

MNIST: 9,000 images of 784 numbers (../shared/data/ann_mnist), L2. Clusters: 1,000 Gaussian ones of 128 numbers, cosine, seeded.
The command is given one half of the queries as a file; the other half, which it never saw, is asked through the public
`PGVector` afterwards. The truth is arithmetic on the rows as they are stored (half precision), ties counted as found. Then
the same searches with the tuned settings, with the usual ones (ef_search 100) and with ef_search=200, in turn, in one run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from beir import DATA
from langchain_core.embeddings import DeterministicFakeEmbedding
from scratch import scratch_database
from timing import in_turn, times

from howdah import PGVector
from howdah.retrieval.maintenance import maintain

K = 10


class Vectors(NamedTuple):
    name: str
    rows: np.ndarray
    queries: np.ndarray
    metric: str


def mnist() -> Vectors:
    folder = DATA / "ann_mnist"
    if not folder.exists():
        sys.exit(f"{folder} is not here: run with --only clusters")
    rows, queries = (np.load(folder / f"{name}.npy").astype(np.float32) for name in ("base", "queries"))
    return Vectors("mnist", rows, queries, "l2")


def clusters(count: int, size: int = 128, centres: int = 1_000) -> Vectors:
    random = np.random.default_rng(7)
    middle = random.standard_normal((centres, size))

    def drawn(number: int) -> np.ndarray:
        return (middle[random.integers(centres, size=number)] + 0.5 * random.standard_normal((number, size))).astype(
            np.float32
        )

    return Vectors("clusters", drawn(count), drawn(1_000), "cosine")


def distances(rows: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    if metric == "l2":
        return np.linalg.norm(rows - query, axis=1)
    return 1 - rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))


def recall(vectors: Vectors, queries: np.ndarray, answers: list[list[int]]) -> float:
    """The mean share of the K nearest, in double precision on what is stored; as near as the K-th counts."""
    stored = vectors.rows.astype(np.float16).astype(np.float64)
    shares = []
    for query, ids in zip(queries.astype(np.float16).astype(np.float64), answers, strict=True):
        its = distances(stored, query, vectors.metric)
        shares.append(float((its[ids] <= np.partition(its, K - 1)[K - 1] * (1 + 1e-6) + 1e-9).sum()) / K)
    return float(np.mean(shares))


def load(store: PGVector, rows: np.ndarray) -> None:
    for low in range(0, len(rows), 5_000):
        ids = [f"{low + n}" for n in range(len(rows[low : low + 5_000]))]
        store.add_embeddings(ids, rows[low : low + 5_000], ids=ids)


def tune(url: str, vectors: Vectors, queries: np.ndarray, target: float, sample: int) -> dict:
    """The command as anybody runs it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "queries.npy"
        np.save(file, queries)
        command = [
            sys.executable, "-m", "howdah.scripts.main", "tune", "--target-recall", str(target), "-c", vectors.name,
            "--queries", file, "--sample", str(sample), "--json",
        ]  # fmt: skip
        environment = {**os.environ, "HOWDAH_DATABASE_URL": url}
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    found: dict = json.loads(done.stdout)
    if "error" in found:
        sys.exit(found["error"]["message"])
    print(f"howdah tune ended with {done.returncode}: {found['outcome']}, {found['chosen']}, {found['seconds']} s")
    return found


def show(found: dict) -> None:
    print(f"  {'options':44}{'recall@10':>10}{'95 % interval':>20}{'p50 ms':>9}{'p95 ms':>9}")
    for point in found["points"]:
        its, took = point["recall@10"], point["latency_ms"]
        options = ", ".join(f"{name} {value}" for name, value in point["options"].items())
        interval = f"[{its['low']:.4f}, {its['high']:.4f}]"
        print(f"  {options:44}{its['mean']:10.4f}{interval:>20}{took['p50']:9.2f}{took['p95']:9.2f}")
    for build in (found["sample"] or {"builds": []})["builds"]:
        print(
            f"  sample: {build['kind']:8} m={build['m']:3} ef_construction={build['ef_construction']:4}"
            f" {build['bytes'] / 2**20:7.1f} MB {build['build_seconds']:6.1f} s  ef_search={build['ef_search']}"
            f" oversample={build['oversample']} recall {build['recall']['mean']:.4f} p50 {build['p50']:.2f} ms"
        )
    for line in [*found["advice"], *found["notes"]]:
        print(f"  - {line}")


def measure(vectors: Vectors, target: float, sample: int) -> None:
    print(
        f"\n{vectors.name}: {len(vectors.rows):,} rows of {vectors.rows.shape[1]} numbers, {vectors.metric}", flush=True
    )
    fake = DeterministicFakeEmbedding(size=vectors.rows.shape[1])
    with scratch_database() as url:
        names = {"connection": url, "collection_name": vectors.name, "distance_strategy": vectors.metric}
        with PGVector(fake, lexical=False, **names) as store:
            began = time.perf_counter()
            load(store, vectors.rows)
            report = maintain(store, index="hnsw")
            print(f"loaded and indexed in {time.perf_counter() - began:.0f} s: {report.why}", flush=True)
            given, kept = vectors.queries[::2], vectors.queries[1::2]
            show(tune(url, vectors, given, target, sample))
            store.store.forget(vectors.name)
            search = partial(store.similarity_search_by_vector, k=K)
            ways = {
                "tuned": search,
                "usual, 100": partial(search, ef_search=100),
                "200": partial(search, ef_search=200),
            }
            taken = in_turn(ways, list(kept[:200]))
            print(
                f"  {'ef_search':12}{'recall@10, NumPy':>18}{'p50 / p95 ms':>18}   ({len(kept)} other queries; 200 timed)"
            )
            for name, way in ways.items():
                answers = [[int(str(doc.id)) for doc in way(query)] for query in kept]
                print(f"  {name:12}{recall(vectors, kept, answers):18.4f}{times(taken[name])!s:>18}", flush=True)
            store.database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--target", type=float, default=0.99)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=5_000)
    parser.add_argument("--only", choices=["mnist", "clusters"])
    given = parser.parse_args()
    if given.only != "clusters":
        measure(mnist(), given.target, given.sample)
    if given.only != "mnist":
        measure(clusters(given.rows), given.target, given.sample)


if __name__ == "__main__":
    main()
