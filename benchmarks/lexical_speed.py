"""BM25 and hybrid search on 100,000 chunks of real text: milliseconds, and how they grow with the matching postings.

Warm, in memory, one search at a time, through `PGVector.hits`, k = 10 (and 100 for words); the questions' vectors are
known, so that no embedding is timed. Questions: XQuAD's English ones. Claims: SciFact's test claims, and the longest tenth
of all its claims. Beside it, on the same rows and in turn: BM25 by `sparsevec` over GIN candidates (sparse_rival.py).
Then words alone on 10,000 to 250,000 chunks.

    python benchmarks/lexical_speed.py [--chunks 100000] [--upto 250000] [--repeats 3] [--queries 200]
"""

import argparse
import statistics

from beir import folder as data_folder
from beir import questions, read_jsonl, read_qrels
from corpus import Chunk, chunks, describe, embedded
from known import Known
from loading import load, no_vectors
from psycopg.sql import SQL
from scratch import scratch_database
from sparse_rival import Rival
from timing import in_turn, times

from howdah import PGVector
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.query import Query

SIZES = (10_000, 25_000, 50_000, 100_000, 250_000)
TARGETS = {"questions": 12.0, "longest claims": 20.0}
HYBRID_TARGET = 6.0


def asked(limit: int) -> dict[str, list[str]]:
    """The texts to search for, spread evenly over each set."""
    claims = {row["_id"]: row["text"] for row in read_jsonl(data_folder("scifact") / "queries.jsonl")}
    longest = sorted(claims.values(), key=lambda text: (-len(text), text))[: len(claims) // 10]
    test = [claims[id_] for id_ in read_qrels("scifact")]
    sets = {"questions": questions(), "claims": test, "longest claims": longest}
    return {name: texts[:: max(1, len(texts) // limit)][:limit] for name, texts in sets.items()}


def postings(store: PGVector, text: str) -> int:
    """Postings that match any word of the text: what a lexical search has to read."""
    collection = store.store.get(store.collection_name)
    statement = SQL("""
        SELECT count(*) AS matching FROM {} WHERE lexeme = ANY(tsvector_to_array(to_tsvector('english', %(words)s)))
    """).format(collection.postings)
    return int(store.store.rows(Query(statement, {"words": text}))[0]["matching"])


def size(store: PGVector, kind: str) -> int:
    collection = store.store.get(store.collection_name)
    name = f"howdah.{kind}_{collection.id}"
    return int(
        store.store.rows(Query(SQL("SELECT pg_total_relation_size(%(name)s) AS size"), {"name": name}))[0]["size"]
    )


def beside(url: str, listed: list[Chunk], sets: dict[str, list[str]], repeats: int) -> None:
    """Words, words and vectors, and the rival, in turn on the same rows."""
    vectors = embedded(listed)
    store = PGVector(Known(sets["questions"]), connection=url, collection_name="speed", config="english")
    load(store, listed, vectors)
    report = maintain(store, index="hnsw")
    for warning in report.warnings:
        print("  ", warning)
    with_vectors(store, sets["questions"], repeats)
    rival = Rival(url, store.store.get("speed"), rows=len(listed), k=100)
    print(f"postings {size(store, 'postings') / 2**20:.0f} MB, the rival's tables {rival.size() / 2**20:.0f} MB\n")
    head = ("words, k=10", "words, k=100", "sparsevec, k=100", "target p95", "same top 100")
    print(f"{'p50 / p95 ms':20}" + "".join(f"{name:>18}" for name in head))
    for name, texts in sets.items():
        ways = {
            "10": lambda text: store.hits(text, k=10, search_type="lexical"),
            "100": lambda text: store.hits(text, k=100, search_type="lexical"),
            "rival": rival.search,
        }
        taken = in_turn(ways, texts, repeats=repeats)
        cells = [f"{times(taken[way])!s:>18}" for way in ways]
        cells += [f"{TARGETS.get(name, ''):>18}", f"{same(store, rival, texts):>18.3f}"]
        print(f"{name:20}" + "".join(cells), flush=True)
    rival.conn.close()
    store.delete_collection()


def with_vectors(store: PGVector, texts: list[str], repeats: int) -> None:
    """Hybrid search beside the vectors alone, before the rival's tables take their share of the memory."""
    ways = {
        "hybrid": lambda text: store.hits(text, k=10),
        "dense": lambda text: store.hits(text, k=10, search_type="similarity"),
    }
    taken = {name: in_turn({name: way}, texts, repeats=repeats)[name] for name, way in ways.items()}
    print(f"{'hybrid, questions':20}{times(taken['hybrid'])!s:>18}   target p50 {HYBRID_TARGET}")
    print(f"{'dense, questions':20}{times(taken['dense'])!s:>18}\n", flush=True)


def same(store: PGVector, rival: Rival, texts: list[str]) -> float:
    """The share of the best 100 that both find: equal scores aside, both are BM25."""
    shared = []
    for text in texts[:50]:
        ours, theirs = {hit.id for hit in store.hits(text, k=100, search_type="lexical")}, set(rival.search(text))
        shared.append(len(ours & theirs) / max(1, len(ours)))
    return statistics.mean(shared)


def growth(url: str, listed: list[Chunk], texts: list[str], repeats: int) -> None:
    """Time by matching postings, as the collection grows."""
    store = PGVector(Known(), connection=url, collection_name="growth", config="english")
    sizes = [count for count in SIZES if count <= len(listed)]
    print(f"\n{'chunks':>10}{'postings a question':>22}{'p50 / p95 ms':>18}{'µs a 1,000 postings':>22}")
    before = 0
    for count in sizes:
        load(store, listed[:count], no_vectors(count), start=before)
        maintain(store, index="none")
        before = count
        taken = in_turn({"words": lambda text: store.hits(text, k=10, search_type="lexical")}, texts, repeats=repeats)[
            "words"
        ]
        matching = statistics.mean(postings(store, text) for text in texts)
        each = statistics.mean(taken) * 1_000 / matching * 1_000
        print(f"{count:10,}{matching:22,.0f}{times(taken)!s:>18}{each:22.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--upto", type=int, default=250_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    sets, listed = asked(given.queries), chunks(max(given.chunks, given.upto))
    print(describe(listed[: given.chunks]), flush=True)
    for name, texts in sets.items():
        print(f"{len(texts)} {name}, {statistics.mean(len(text.split()) for text in texts):.0f} words each")
    with scratch_database() as url:
        beside(url, listed[: given.chunks], sets, given.repeats)
        growth(url, listed[: given.upto], sets["questions"], given.repeats)


if __name__ == "__main__":
    main()
