"""Do answers hold? XQuAD's 603 questions with gold answers, and questions that cannot be answered, through the public chain.

    python benchmarks/answers.py [--model extractive local] [--questions N] [--sets xquad hard scifact fastapi] [--jsonl FILE]

The chain is `rag_chain` over `PGVectorRetriever` with the local reranker, all at their defaults; XQuAD is one document a
paragraph, loaded by `sync`. Nothing is kept between questions but what the chain keeps itself. Sets:

- xquad: answerable. Refused here is falsely refused.
- hard: the same questions, each searched without its own paragraph (a filter on the source).
- scifact: SciFact's test claims asked of XQuAD. fastapi: XQuAD's questions asked of FastAPI's pages.

Settings were tuned on the questions at odd places of the file; those at even places are reported apart ("not tuned on").
Whether a model is asked is decided before it is, so the unanswerable sets are asked of `extractive` alone.

Support is judged by answer_checks.py, and for a model's sentences by the labels that a person gave (answer_labels.jsonl:
question, digest of the sentence, label, reason), where the sentence is among them. `--jsonl FILE` keeps every answer, and
goes on where FILE ends; each answer there has its own times. Data: ../shared/data.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from answer_checks import unmarked
from answer_report import LABELS, report
from beir import DATA, folder, read_jsonl, read_qrels
from langchain_core.documents import Document
from langchain_core.runnables import Runnable
from scratch import scratch_database

from howdah import PGVector, PGVectorRetriever, rag_chain, sync
from howdah.chains import Answer
from howdah.chains.models import Extractive, load_chat_model
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.rerank import LocalReranker

SETS = ("xquad", "hard", "scifact", "fastapi")
Row = dict[str, Any]


class Timed(Runnable[Any, Any]):
    """A chat model, and the seconds that were spent waiting for it."""

    def __init__(self, model: Any) -> None:
        self.model, self.model_name, self.spent = model, model.model_name, 0.0

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        return self.model.invoke(input, config, **kwargs)

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:
        since = time.perf_counter()
        for token in self.model.stream(input, config, **kwargs):
            self.spent += time.perf_counter() - since
            yield token
            since = time.perf_counter()
        self.spent += time.perf_counter() - since


def questions(name: str) -> list[Row]:
    """The questions of a set: id, text, and for XQuAD's the gold answers and paragraph."""
    if name == "scifact":
        claims = read_qrels("scifact")
        return [
            {"id": row["_id"], "text": row["text"]}
            for row in read_jsonl(folder("scifact") / "queries.jsonl")
            if row["_id"] in claims
        ]
    gold = read_qrels("xquad")
    rows: list[Any] = read_jsonl(folder("xquad") / "queries.jsonl")
    return [
        {
            "id": row["_id"],
            "text": row["text"],
            "answers": row["metadata"]["answers"],
            "gold": next(iter(gold[row["_id"]])),
        }
        for row in rows
        if row["_id"] in gold
    ]


def sample(rows: list[Row], count: int | None) -> list[tuple[int, Row]]:
    """`count` of the rows, evenly spread over the file, with their places in it."""
    step = len(rows) / count if count and count < len(rows) else 1.0
    return [(int(number * step), rows[int(number * step)]) for number in range(int(len(rows) / step))]


def load(url: str, name: str) -> PGVector:
    store = PGVector(LocalEmbeddings(), connection=url, collection_name=name)
    if name == "fastapi":
        sync(store, [folder("fastapi") / "en"])
    else:
        rows = read_jsonl(folder("xquad") / "corpus.jsonl")
        sync(store, [Document(page_content=row["text"], metadata={"source": row["_id"]}) for row in rows])
    maintain(store)
    return store


def texts(store: PGVector) -> dict[str, str]:
    """The text of each stored document, by source."""
    rows = store.database.read(lambda conn: conn.execute("SELECT source, text FROM howdah.documents").fetchall())
    return {row[0]: row[1] for row in rows}


def ask(chain: Any, timed: Timed | None, row: Row, name: str, stored: dict[str, str]) -> Row:
    """One answer with everything that is counted of it."""
    given: Row = {"question": row["text"]}
    if name == "hard":
        given["filter"] = {"source": {"$ne": row["gold"]}}
    if timed is not None:
        timed.spent = 0.0
    began, processor, first, chunks = time.perf_counter(), time.process_time(), None, []
    for chunk in chain.stream(given):
        chunks.append(chunk)
        if chunk.text and first is None:
            first = time.perf_counter() - began
    total, processor = time.perf_counter() - began, time.process_time() - processor
    answer = Answer.from_chunks(chunks)
    said = [chunk for chunk in chunks if chunk.citations or any(check.n for check in chunk.checks)]
    cited = {one.n: one for one in answer.citations}
    return {
        "answer": answer.text,
        "refused": answer.refused,
        "note": answer.note,
        "sentences": [
            {"text": unmarked(chunk.text), "status": check.status, "n": check.n}
            for chunk in said
            for check in chunk.checks
            if check.n
        ],
        "citations": [
            {
                "n": n,
                "source": one.source,
                "quote": one.quote,
                "passage": next((hit.content for hit in answer.hits if hit.id == one.id), ""),
                "exact": one.start is not None and stored.get(one.source or "", "")[one.start : one.end] == one.quote,
            }
            for n, one in cited.items()
        ],
        "seconds": {"first": first, "total": total, "model": timed.spent if timed else 0.0, "processor": processor},
        "timings": dict(answer.timings),
    }


def run(store: PGVector, model_name: str, name: str, count: int | None, kept: "Kept") -> None:
    model = load_chat_model(model_name)
    timed = None if isinstance(model, Extractive) else Timed(model)
    chain = rag_chain(PGVectorRetriever(vectorstore=store, k=8), timed or model, reranker=LocalReranker())  # type: ignore[arg-type]
    stored, chosen, load_began = texts(store), sample(questions(name), count), os.getloadavg()[0]
    chain.invoke("What is a warm-up?")
    resumed = sum(kept.has(name, model_name, row["id"]) for _, row in chosen)
    for number, (place, row) in enumerate(chosen, start=1):
        if kept.has(name, model_name, row["id"]):
            continue
        found = ask(chain, timed, row, name, stored)
        kept.add({"set": name, "model": model_name, "place": place, **row, **found})
        if number % 50 == 0:
            print(f"  {name}, {model_name}: {number} of {len(chosen)}", file=sys.stderr, flush=True)
    rows = [kept.rows[name, model_name, row["id"]] for _, row in chosen]
    busy = f"load {load_began:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    report(f"{name}, {model_name}", rows, answerable=name == "xquad")
    print(f"  {busy}" + (f"; {resumed} answers were taken from the file" if resumed else ""), flush=True)


class Kept:
    """Answers by set, model and question: in memory, and in a file where one is given."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.rows = path, dict[tuple[str, str, str], Row]()
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self.rows[row["set"], row["model"], row["id"]] = row

    def has(self, *key: str) -> bool:
        return key in self.rows

    def add(self, row: Row) -> None:
        self.rows[row["set"], row["model"], row["id"]] = row
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["extractive", "local"])
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--questions", type=int, default=None, help="a sample of each set, evenly spread")
    parser.add_argument("--jsonl", type=Path, default=None)
    given = parser.parse_args()
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    kept = Kept(given.jsonl)
    print(f"{len(LABELS)} sentences of a local model have a person's label")
    with scratch_database() as url:
        stores = {name: load(url, name) for name in ("xquad", "fastapi") if name == "xquad" or name in given.sets}
        for name in given.sets:
            for model in given.model if name == "xquad" else ["extractive"]:
                run(stores["fastapi" if name == "fastapi" else "xquad"], model, name, given.questions, kept)


if __name__ == "__main__":
    main()
