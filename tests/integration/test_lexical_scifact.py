"""BM25 on a real collection against NumPy: 5,183 abstracts, and the claims as queries."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah import PGVector
from tests.integration import bm25

DATA = Path(__file__).parents[3] / "shared" / "data" / "scifact"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="../shared/data/scifact is not there")
D = 8


def read(name: str) -> list[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def store(module_url: str) -> Iterator[PGVector]:
    """Every abstract, after a series that leaves it so: a third is written first with another's text, a third twice."""
    corpus = read("corpus.jsonl")
    ids = [row["_id"] for row in corpus]
    texts = [f"{row['title']}\n{row['text']}" for row in corpus]
    vectors = np.random.default_rng(1).normal(size=(len(ids), D)).tolist()
    with PGVector(
        DeterministicFakeEmbedding(size=D), connection=module_url, collection_name="scifact", config="english"
    ) as store:
        third = len(ids) // 6
        store.add_embeddings(texts[third : 2 * third], vectors[:third], ids=ids[:third])
        store.add_embeddings(texts[:third], vectors[:third], ids=[f"gone {i}" for i in range(third)])
        store.add_embeddings(texts, vectors, ids=ids)
        store.delete([f"gone {i}" for i in range(third)])
        yield store
        store.database.close()


def test_scores_are_numpys(store):
    queries = sorted((row["text"] for row in read("queries.jsonl")), key=len)
    bm25.check(store, [*queries[::80], queries[-1]], scorer=bm25.Scorer(store))
