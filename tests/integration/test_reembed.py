"""reembed: another embedding model under readers and writers; its switch, its way back, and what a kill leaves."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.embeddings import Embeddings

from howdah.retrieval import reembed_fill, reembed_rows, upkeep
from howdah.retrieval.errors import CollectionMismatch, DatabaseUnavailable, InvalidInput, NotFound
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.reembed import finish, reembed, rollback
from howdah.retrieval.vectorstore import PGVector
from tests.integration.checks import check_whole

pytestmark = pytest.mark.filterwarnings("error")


class Model(Embeddings):
    """A text's vector is a function of the text and of the model's name; `asked` is what it has embedded."""

    def __init__(self, model: str, size: int, *, pause: float = 0.0) -> None:
        self.model, self.size, self.asked, self._pause = model, size, [], pause

    @property
    def timeout(self) -> float:
        return self._pause

    def embed_query(self, text: str) -> list[float]:
        seed = hashlib.sha256(f"{self.model} {text}".encode()).digest()
        return np.random.default_rng([*seed]).standard_normal(self.size).tolist()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        time.sleep(self._pause * len(texts))
        return [self.embed_query(text) for text in texts]


OLD, NEW = Model("test:old", 32), Model("test:new", 48)


def store_of(url: str, model: Embeddings, **more: Any) -> PGVector:
    return PGVector(model, connection=url, collection_name="docs", **more)


@pytest.fixture
def old(url: str) -> Iterator[PGVector]:
    with store_of(url, Model("test:old", 32), cache=False) as store:
        store.add_texts(
            [f"text {n} of elephants" for n in range(600)],
            [{"n": n} for n in range(600)],
            ids=[f"{n:04}" for n in range(600)],
        )
        yield store
        store.database.close()


def stored(store: PGVector) -> dict[str, list[float]]:
    """By id: what the table in use holds, read past everything of ours but the table's name."""
    store.store.forget("docs")
    name = store.store.get("docs").chunks_name
    with psycopg.connect(store.database.conninfo.text) as conn:
        rows = conn.execute(f"SELECT id, embedding::text FROM howdah.{name}".encode()).fetchall()
    return {id_: json.loads(text) for id_, text in rows}


def check_vectors(store: PGVector, model: Model) -> None:
    """Every chunk has the vector that `model` gives its text, in half precision, and none is missing or left over."""
    found = stored(store)
    texts = {hit.id: hit.content for hit in PGVector.matching(store_of(store.database.conninfo, model))}
    assert found.keys() == texts.keys()
    for id_, vector in found.items():
        assert np.allclose(vector, model.embed_query(texts[id_]), rtol=2e-3, atol=2e-3), id_
    check_whole(store.store, "docs")


def test_another_model_with_other_dimensions_and_storage(old):
    model = Model("test:new", 48)
    report = reembed(old, model, storage="vector")
    assert (report.stage, report.model, report.dimensions, report.storage) == ("switched", "test:new", 48, "vector")
    assert (report.other, report.chunks, report.embedded, report.held_by) == ("test:old", 600, 600, None)
    assert len(model.asked) == 600
    with store_of(old.database.conninfo, model) as new:
        check_vectors(new, model)
        assert new.similarity_search("text 77 of elephants", k=1)[0].id == "0077"
        assert new.hits("77", k=1, search_type="lexical")[0].id == "0077"
        assert new.similar_to(["0077"], k=3)
        new.add_texts(["a new one"], ids=["new"])
        new.add_texts(["text 5 of mice"], ids=["0005"])
        new.delete(["0006"])
        check_vectors(new, model)
        maintain(new)
