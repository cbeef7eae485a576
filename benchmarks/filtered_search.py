"""Filtered vector search on 100,000 chunks of real text with an HNSW index: rows returned, recall@10 and milliseconds.

Queries: SciFact's claims. Filters let through 50, 10, 1 and 0.1 % of the rows, chosen independently of the queries (at
random), near them (the rows closest to the claims' mean) or far from them (the farthest). Each is written in three ways:
equality on a key, which a GIN index on the metadata serves; a range on a promoted key (its own B-tree); and a range on a
key that no index holds. Recall is against exact search with the same filter. Milliseconds are p50 / p95, by vector; the
ratio is that of the p95 to unfiltered search's in the same round. Targets: 10 rows and recall 0.95 everywhere, and at
1 % a p95 of at most 3 times unfiltered for the first two ways.

    python benchmarks/filtered_search.py [--chunks 100000] [--queries 100] [--repeats 3]
"""

import argparse
import statistics
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from beir import scifact
from corpus import chunks, describe, embedded
from known import Known
from loading import load
from scratch import scratch_database
from timing import in_turn, times

from howdah import PGVector
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.types import Array

SHARES = {"50": 0.5, "10": 0.1, "1": 0.01, "0.1": 0.001}
KINDS = ("independent", "near", "far")
K = 10
Filter = dict[str, Any]


def places(vectors: Array, queries: Array) -> dict[str, Array]:
    """For each kind, where every row stands between 0 and 1: the first hundredth is what a filter of 1 % lets through."""
    cosine = vectors @ queries.mean(axis=0)
    near = np.empty(len(vectors))
    near[np.argsort(-cosine, kind="stable")] = np.arange(len(vectors)) / len(vectors)
    random = np.random.default_rng(7).permutation(len(vectors)) / len(vectors)
    return {"independent": random, "near": near, "far": 1 - 1 / len(vectors) - near}


def metadata(places: dict[str, Array]) -> list[dict[str, Any]]:
    """Each row's keys: its place by kind, twice (one to promote, one not), and a word for each filter that lets it through."""
    found = []
    for row in range(len(places["near"])):
        about: dict[str, Any] = {}
        for kind in KINDS:
            place = float(places[kind][row])
            about |= {f"promoted_{kind}": place, f"plain_{kind}": place}
            about |= {f"{kind}_{name}": "yes" for name, share in SHARES.items() if place < share - 1e-9}
        found.append(about)
    return found


def filters() -> Iterator[tuple[str, str, str, Filter]]:
    """Way, kind, share and the filter itself."""
    for kind in KINDS:
        for name, share in SHARES.items():
            yield "GIN equality", kind, name, {f"{kind}_{name}": "yes"}
            yield "promoted", kind, name, {f"promoted_{kind}": {"$lt": share}}
            yield "no index", kind, name, {f"plain_{kind}": {"$lt": share}}


def promote(store: PGVector) -> bool:
    """A column and a B-tree for the keys that are to have one; False where this version has no promoted keys."""
    if find_spec("howdah.retrieval.promotion") is None:
        return False
    from howdah.retrieval.promotion import promote as make

    make(store.store, store.collection_name, {f"promoted_{kind}": "number" for kind in KINDS})
    return True


def measured(store: PGVector, given: Filter, queries: list[list[float]], repeats: int) -> tuple[int, float, Any, Any]:
    """The fewest rows that any query got, mean recall, and the milliseconds with and without the filter."""

    def search(query: list[float], **how: Any) -> list[str]:
        found = store.similarity_search_with_score_by_vector(query, k=K, **how)
        return [str(document.id) for document, _ in found]

    rows, recalls = [], []
    for query in queries:
        found, wanted = search(query, filter=given), search(query, filter=given, exact=True)
        rows.append(len(found))
        recalls.append(len(set(found) & set(wanted)) / len(wanted))
    ways = {"filtered": lambda query: search(query, filter=given), "plain": search}
    taken = in_turn(ways, queries, repeats=repeats)
    return min(rows), statistics.mean(recalls), times(taken["filtered"]), times(taken["plain"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    listed = chunks(given.chunks)
    print(describe(listed), flush=True)
    vectors = embedded(listed)
    _, claims, _ = scifact()
    known = Known(list(claims.values())[: given.queries])
    queries = list(known.queries.values())
    with scratch_database() as url:
        store = PGVector(known, connection=url, collection_name="filtered", config="english")
        load(store, listed, vectors, metadata=metadata(places(vectors, np.array(queries, dtype=np.float32))))
        has_promoted = promote(store)
        report = maintain(store, index="hnsw")
        for warning in report.warnings:
            print("  ", warning)
        _, unfiltered, *_ = measured(store, {}, queries, 1)
        print(f"without a filter recall is {unfiltered:.3f}\n")
        print(
            f"{'way':14}{'kind':13}{'rows let through':>17}{'rows':>6}{'recall':>8}{'ms':>18}{'unfiltered':>18}{'p95 ratio':>11}"
        )
        for way, kind, name, condition in filters():
            if way == "promoted" and not has_promoted:
                continue
            rows, recall, filtered, plain = measured(store, condition, queries, given.repeats)
            cells = f"{rows:6}{recall:8.3f}{filtered!s:>18}{plain!s:>18}{filtered.p95 / plain.p95:10.1f}x"
            print(f"{way:14}{kind:13}{name + ' %':>17}{cells}", flush=True)


if __name__ == "__main__":
    main()
