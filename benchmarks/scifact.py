"""SciFact (BEIR) through the public retriever with the local model at its defaults: dense, lexical and hybrid search.

Whole abstracts, one row each (title and text together), the 300 test claims. Then the same rows with an HNSW index, and
whether that makes a difference: claim by claim, with the paired interval of the difference in nDCG@10. That the index was
read, and not the planner's exact scan, is counted by the server.
Data: ../shared/data/scifact.

    python benchmarks/scifact.py
"""

import time
from typing import Any

import psycopg
from beir import difference, ndcg, recall, scifact
from corpus import embedded
from known import Known
from scratch import scratch_database

from howdah import PGVector, PGVectorRetriever
from howdah.retrieval.maintenance import maintain

TARGETS = {"similarity": 0.700, "lexical": 0.685, "hybrid": 0.735}
NAMES = {"similarity": "dense", "lexical": "lexical", "hybrid": "hybrid"}


def rankings(store: PGVector, claims: dict[str, str], search_type: str, k: int, **how: Any) -> dict[str, list[str]]:
    """Ids, best first, by claim."""
    retriever = PGVectorRetriever(vectorstore=store, search_type=search_type, k=k, search_kwargs=how)
    return {id_: [str(found.id) for found in retriever.invoke(text)] for id_, text in claims.items()}


def index_scans(store: PGVector, url: str) -> int:
    """How often an HNSW index has been read so far; a connection's counts are complete when it is closed."""
    store.database.close()
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname ~ '_hnsw$'").fetchone()
    return int(row[0] or 0) if row else 0


def main() -> None:
    corpus, claims, qrels = scifact()
    vectors = embedded([row["text"] for row in corpus])
    with scratch_database() as url:
        store = PGVector(Known(claims.values()), connection=url, collection_name="scifact")
        began = time.perf_counter()
        titles = [{"title": row["title"]} for row in corpus]
        store.add_embeddings([row["text"] for row in corpus], vectors, titles, [row["_id"] for row in corpus])
        maintain(store, index="none")
        print(f"{len(corpus):,} abstracts in {time.perf_counter() - began:.1f} s, {len(claims)} claims\n", flush=True)
        print(f"{'search':10}{'nDCG@10':>10}{'target':>9}{'recall@100':>12}")
        exact: dict[str, list[float]] = {}
        for search_type, target in TARGETS.items():
            best, deep = (rankings(store, claims, search_type, k) for k in (10, 100))
            exact[search_type] = [ndcg(ranking, qrels[id_], 10) for id_, ranking in best.items()]
            found = sum(recall(ranking, qrels[id_], 100) for id_, ranking in deep.items()) / len(deep)
            mean = sum(exact[search_type]) / len(claims)
            print(f"{NAMES[search_type]:10}{mean:10.4f}{target:9.3f}{found:12.4f}", flush=True)
        for fusion in ("minmax", "dbsf", "rrf"):
            best = rankings(store, claims, "hybrid", 10, fusion=fusion)
            mean = sum(ndcg(ranking, qrels[id_], 10) for id_, ranking in best.items()) / len(claims)
            print(f"  {fusion:8}{mean:10.4f}", flush=True)
        maintain(store, index="hnsw")
        print("\nWith HNSW: nDCG@10, its difference from exact search, and how many of the searches read the index")
        for search_type in ("similarity", "hybrid"):
            before = index_scans(store, url)
            with_index = rankings(store, claims, search_type, 10)
            scores = [ndcg(ranking, qrels[id_], 10) for id_, ranking in with_index.items()]
            apart, read = difference(scores, exact[search_type]), index_scans(store, url) - before
            print(
                f"{NAMES[search_type]:10}{sum(scores) / len(scores):10.4f}   {apart}   {read} of {len(claims)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
