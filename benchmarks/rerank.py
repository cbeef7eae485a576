"""Does the local cross-encoder pay? nDCG@10 of a search with and without it, at several depths, in one run.

SciFact: whole abstracts; claims. XQuAD in English: paragraphs; questions. Each query's best 50 are scored once, and a depth
is the beginning of that list. The 95 % interval of the difference is a paired bootstrap's. Data: ../shared/data.

    python benchmarks/rerank.py [--claims 100] [--questions 150] [--splits train test] [--search hybrid] [--depth 50]

With `--search lexical` nothing is embedded, which is most of the time that SciFact takes.
"""

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from beir import ndcg
from langchain_core.embeddings import Embeddings
from scratch import scratch_database

from howdah import Hit, PGVector
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.rerank import LocalReranker
from howdah.retrieval.reranking import reranked
from howdah.retrieval.search import SearchType

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
DEPTHS = (5, 10, 20, 30, 50)


def records(path: Path) -> Iterator[dict[str, str]]:
    return (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def judged(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, gain = line.split("\t")
        found[query][document] = int(gain)
    return found


def interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % of the means of 2,000 samples with replacement."""
    drawn = np.random.default_rng(1).choice(differences, (2_000, len(differences))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def ids(hits: list[Hit]) -> list[str]:
    return [hit.id for hit in hits]


class NoModel(Embeddings):
    """For searches by words alone."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0]] * len(texts)

    def embed_query(self, text: str) -> list[float]:
        return [1.0]


def measure(url: str, name: str, *, split: str, count: int, search: SearchType, deepest: int) -> None:
    folder = DATA / name
    qrels = judged(folder / "qrels" / f"{split}.tsv")
    corpus = list(records(folder / "corpus.jsonl"))
    wanted = (row for row in records(folder / "queries.jsonl") if row["_id"] in qrels)
    queries = {row["_id"]: row["text"] for row in islice(wanted, count)}
    store = PGVector(NoModel() if search == "lexical" else LocalEmbeddings(), connection=url, collection_name=name)
    if store.store.find(name) is None:
        store.add_texts([f"{row['title']} {row['text']}".strip() for row in corpus], ids=[row["_id"] for row in corpus])
        maintain(store)
    found = {id_: store.hits(query, k=deepest, search_type=search) for id_, query in queries.items()}
    began, reranker = time.perf_counter(), LocalReranker()
    after = {id_: reranked(reranker, queries[id_], hits) for id_, hits in found.items()}
    each = (time.perf_counter() - began) / sum(map(len, found.values()))
    plain = np.array([ndcg(ids(found[id_]), qrels[id_], 10) for id_ in queries])
    print(f"\n{name}, {search}, {len(queries)} of {split}, {each * 1_000:.1f} ms a pair")
    print(f"{'without':>10}{plain.mean():>9.3f}", flush=True)
    for depth in (depth for depth in DEPTHS if depth <= deepest):
        first = {id_: set(ids(found[id_][:depth])) for id_ in queries}
        rankings = {
            id_: [*(one for one in ids(after[id_]) if one in first[id_]), *ids(found[id_][depth:])] for id_ in queries
        }
        scores = np.array([ndcg(rankings[id_], qrels[id_], 10) for id_ in queries])
        low, high = interval(scores - plain)
        print(
            f"{f'top {depth}':>10}{scores.mean():>9.3f}{scores.mean() - plain.mean():>+9.3f}  [{low:+.3f}, {high:+.3f}]"
        )
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=int, default=100)
    parser.add_argument("--questions", type=int, default=150)
    parser.add_argument("--search", default="hybrid", choices=["hybrid", "lexical", "similarity"])
    parser.add_argument("--depth", type=int, default=max(DEPTHS))
    parser.add_argument("--splits", nargs="+", default=["train", "test"], help="of SciFact; XQuAD has one")
    given = parser.parse_args()
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    parts = [("xquad", "test", given.questions), *(("scifact", split, given.claims) for split in given.splits)]
    with scratch_database() as url:
        for name, split, count in parts:
            if count:
                measure(url, name, split=split, count=count, search=given.search, deepest=given.depth)


if __name__ == "__main__":
    main()
