"""Twenty questions on FastAPI's documentation, asked through the whole chain: is the first citation's page the right one?

The questions and the pages that answer them (fastapi_questions.jsonl) were written before the first ingest. Data:
../shared/data/fastapi. Models: the local ones.

    python benchmarks/fastapi_docs.py [--model extractive|local]
"""

import argparse
import json
import sys
import time
from pathlib import Path

from scratch import scratch_database

from howdah import PGVector, PGVectorRetriever, rag_chain, sync
from howdah.chains.models import load_chat_model
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.rerank import LocalReranker

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "fastapi" / "en"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="extractive")
    model = parser.parse_args().model
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    questions = [
        json.loads(line) for line in (HERE / "fastapi_questions.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    with scratch_database() as url:
        store = PGVector(LocalEmbeddings(), connection=url, collection_name="fastapi")
        report = sync(store, [DATA])
        maintain(store)
        print(f"{report.files.added} pages, {report.chunks.added:,} chunks in {report.seconds:.0f} s\n", flush=True)
        chain = rag_chain(PGVectorRetriever(vectorstore=store, k=8), load_chat_model(model), reranker=LocalReranker())
        right, seconds = 0, []
        for number, row in enumerate(questions, start=1):
            began = time.perf_counter()
            answer = chain.invoke(row["question"])
            seconds.append(time.perf_counter() - began)
            first = answer.citations[0].source if answer.citations else None
            good = first in {row["source"], *row.get("also", [])}
            right += good
            print(f"{number:2} {'ok  ' if good else 'MISS'} {row['question']}")
            if not good:
                print(
                    f"        wanted {row['source']}, got {first}{' (refused)' if answer.refused else ''}", flush=True
                )
        print(f"\n{right} of {len(questions)} have the expected page as first citation")
        print(f"{sum(seconds) / len(seconds):.2f} s an answer")


if __name__ == "__main__":
    main()
