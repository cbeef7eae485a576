"""SciFact (BEIR) through PGVector with the local model: nDCG@10 and recall@100 of dense, lexical and hybrid search.

Whole abstracts, one row each (title and text together), the 300 test claims. Data: ../shared/data/scifact.

    python benchmarks/scifact.py [--split test]
"""

import argparse
import csv
import json
import math
import sys
import time
from collections import defaultdict
from pathlib import Path

from scratch import scratch_database

from howdah import PGVector
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.maintenance import maintain

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "scifact"
Qrels = dict[str, dict[str, int]]


def read_jsonl(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def read_qrels(split: str) -> Qrels:
    found: Qrels = defaultdict(dict)
    with (DATA / "qrels" / f"{split}.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return found


def ndcg(ranking: list[str], relevant: dict[str, int], k: int) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002), gain = relevance, log2 discount."""
    gains = [relevant.get(item, 0) / math.log2(rank + 1) for rank, item in enumerate(ranking[:k], start=1)]
    best = sorted(relevant.values(), reverse=True)[:k]
    ideal = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(best, start=1))
    return sum(gains) / ideal if ideal else 0.0


def recall(ranking: list[str], relevant: dict[str, int], k: int) -> float:
    wanted = {item for item, gain in relevant.items() if gain > 0}
    return len(wanted & set(ranking[:k])) / len(wanted) if wanted else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="test", choices=["test", "train"])
    split = parser.parse_args().split
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    corpus, qrels = read_jsonl("corpus.jsonl"), read_qrels(split)
    queries = {row["_id"]: row["text"] for row in read_jsonl("queries.jsonl") if row["_id"] in qrels}
    with scratch_database() as url:
        store = PGVector(LocalEmbeddings(), connection=url, collection_name="scifact")
        began = time.perf_counter()
        texts = [f"{row['title']} {row['text']}".strip() for row in corpus]
        store.add_texts(texts, [{"title": row["title"]} for row in corpus], ids=[row["_id"] for row in corpus])
        maintain(store)
        print(
            f"{len(corpus):,} abstracts in {time.perf_counter() - began:.0f} s; {len(queries)} {split} claims\n",
            flush=True,
        )
        print(f"{'search':12}{'nDCG@10':>10}{'recall@100':>12}")
        for search_type in ("similarity", "lexical", "hybrid"):
            rankings = {
                id_: [hit.id for hit in store.hits(q, k=100, search_type=search_type)] for id_, q in queries.items()
            }
            scores = [(ndcg(r, qrels[id_], 10), recall(r, qrels[id_], 100)) for id_, r in rankings.items()]
            name = "dense" if search_type == "similarity" else search_type
            print(
                f"{name:12}{sum(s[0] for s in scores) / len(scores):10.4f}{sum(s[1] for s in scores) / len(scores):12.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
