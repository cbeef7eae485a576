"""What the default threshold of hybrid scores lets through: XQuAD's own questions, and questions about other subjects.

The collection is XQuAD's 240 English paragraphs; the score is that of the best passage, local model.
Data: ../shared/data/xquad, scifact, chroma_chunking.

    python benchmarks/threshold.py
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
from scratch import scratch_database

from howdah import PGVector
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.hybrid import THRESHOLD
from howdah.retrieval.maintenance import maintain

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
SAMPLE = 200


def texts(path: Path, key: str = "text") -> list[str]:
    return [json.loads(line)[key] for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    draw = random.Random(1)
    asked = {
        "XQuAD, answerable": texts(DATA / "xquad/queries.jsonl"),
        "FastAPI": texts(HERE / "fastapi_questions.jsonl", "question"),
        "scientific claims": draw.sample(texts(DATA / "scifact/queries.jsonl"), SAMPLE),
        "finance, medicine, politics": draw.sample(texts(DATA / "chroma_chunking/questions.jsonl"), SAMPLE),
    }
    with scratch_database() as url:
        store = PGVector(LocalEmbeddings(), connection=url, collection_name="xquad", config="english")
        store.add_texts(texts(DATA / "xquad/corpus.jsonl"))
        maintain(store)
        print(f"{'questions':30}{'number':>8}{'pass':>8}{'p5':>7}{'p50':>7}{'p95':>7}{'p99':>7}{'max':>7}")
        for name, questions in asked.items():
            best = np.array([hits[0].score for hits in store.hits_many(questions, k=1)])
            spread = "".join(f"{value:7.3f}" for value in np.percentile(best, [5, 50, 95, 99, 100]))
            print(f"{name:30}{len(best):8}{(best >= THRESHOLD).mean():8.1%}{spread}", flush=True)
        store.database.close()


if __name__ == "__main__":
    main()
