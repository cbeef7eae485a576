"""How far down each arm of a hybrid search has to be read: nDCG@10 and time by the depth, on SciFact's claims.

Whole abstracts, the local model, an HNSW index, `PGVector.hits` with k = 10. The difference is from a depth of 100, claim by
claim, with its 95 % interval; "same" is the share of the ten best that a depth of 1,000 finds too. The default was chosen on
the claims of the train split; the test split is for the report. Data: ../shared/data/scifact.

    python benchmarks/depth.py [--depths 10 25 50 100 200] [--repeats 3]
"""

import argparse
import statistics
from functools import partial

from beir import difference, folder, ndcg, read_jsonl, read_qrels, scifact
from corpus import embedded
from known import Known
from scratch import scratch_database
from timing import in_turn, times

from howdah import PGVector
from howdah.retrieval.maintenance import maintain

BASE, DEEP = 100, 1_000


def ids(store: PGVector, claim: str, depth: int) -> list[str]:
    return [hit.id for hit in store.hits(claim, k=10, depth=depth)]


def report(store: PGVector, split: str, claims: dict[str, str], depths: list[int], repeats: int) -> None:
    qrels = read_qrels("scifact", split)
    mine = {id_: claims[id_] for id_ in qrels if id_ in claims}
    found = {depth: {id_: ids(store, text, depth) for id_, text in mine.items()} for depth in {*depths, BASE, DEEP}}
    scores = {depth: [ndcg(ranking, qrels[id_], 10) for id_, ranking in each.items()] for depth, each in found.items()}
    ways = {str(depth): partial(lambda claim, depth: ids(store, claim, depth), depth=depth) for depth in depths}
    taken = in_turn(ways, list(mine.values())[:200], repeats=repeats)
    print(f"\n{split}, {len(mine)} claims")
    for depth in depths:
        same = statistics.mean(len({*found[depth][id_]} & {*found[DEEP][id_]}) / 10 for id_ in mine)
        print(
            f"{depth:6}{statistics.mean(scores[depth]):9.4f}   {difference(scores[depth], scores[BASE])}"
            f"{same:8.3f}{times(taken[str(depth)])!s:>18}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--depths", type=int, nargs="+", default=[10, 25, 50, 100, 200])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    corpus, _, _ = scifact()
    claims = {row["_id"]: row["text"] for row in read_jsonl(folder("scifact") / "queries.jsonl")}
    with scratch_database() as url:
        store = PGVector(Known(claims.values()), connection=url, collection_name="scifact")
        texts = [row["text"] for row in corpus]
        store.add_embeddings(texts, embedded(texts), ids=[row["_id"] for row in corpus])
        maintain(store, index="hnsw")
        print(f"{'depth':>6}{'nDCG@10':>9}   {f'difference from {BASE}':44}{'same':>8}{'p50 / p95 ms':>18}")
        for split in ("train", "test"):
            report(store, split, claims, given.depths, given.repeats)


if __name__ == "__main__":
    main()
