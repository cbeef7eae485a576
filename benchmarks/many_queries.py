"""Many queries in one call (`hits_many`) beside a loop of `hits`, same store, same answers, in one run, alternating.

XQuAD's English paragraphs and questions with random vectors: what is compared is the way to the database, not a model.
Data: ../shared/data/xquad.

    python benchmarks/many_queries.py [--queries 50] [--rounds 9]
"""

import argparse
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings
from scratch import scratch_database

from howdah import PGVector

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "xquad"
D = 384


class Random(Embeddings):
    """The same text has the same vector, and costs next to nothing."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        found: list[float] = np.random.default_rng(zlib.crc32(text.encode())).normal(size=D).tolist()
        return found


def texts(name: str) -> list[str]:
    return [json.loads(line)["text"] for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    queries = texts("queries.jsonl")[: given.queries]
    with scratch_database() as url:
        store = PGVector(Random(), connection=url, collection_name="xquad")
        store.add_texts(texts("corpus.jsonl"))
        print(f"{'search':12}{'loop':>10}{'at once':>10}{'ratio':>8}   ms a query, median of {given.rounds}")
        for search_type in ("similarity", "lexical", "hybrid"):

            def loop(how: str = search_type) -> object:
                return [store.hits(query, search_type=how) for query in queries]

            def at_once(how: str = search_type) -> object:
                return store.hits_many(queries, search_type=how)

            assert loop() == at_once()
            pairs = [(seconds(loop), seconds(at_once)) for _ in range(given.rounds)]
            one, other = (statistics.median(side) * 1_000 / len(queries) for side in zip(*pairs, strict=True))
            print(f"{search_type:12}{one:10.2f}{other:10.2f}{one / other:8.2f}", flush=True)


if __name__ == "__main__":
    main()
