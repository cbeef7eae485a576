"""A load by an API that breaks off: what was paid for is in the cache, and the next run sends the rest alone."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest

from howdah import PGVector
from howdah.retrieval.embeddings import aembed_each, embed_each, pace_of_model
from howdah.retrieval.errors import ModelUnavailable
from tests.embedding_api import Api, serving, vector

TEXTS = [str(number) for number in range(60)]


@pytest.fixture(autouse=True)
def paces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("howdah.retrieval.pace._paces", {})


@pytest.fixture
def api() -> Iterator[Api]:
    with serving() as server:
        yield server


@pytest.fixture
def store(url: str, api: Api) -> Iterator[PGVector]:
    """Of a model whose requests have three texts."""
    model = api.model()
    pace_of_model(model).texts = 3
    with PGVector(model, connection=url, collection_name="docs", storage="vector") as made:
        yield made


def kept(url: str) -> int:
    with psycopg.connect(url) as conn:
        found = conn.execute("SELECT count(*) FROM howdah.embedding_cache WHERE kind = 'passage'").fetchone()
    assert found is not None
    return int(found[0])


def add(store: PGVector, colour: str) -> None:
    if colour == "sync":
        store.add_texts(TEXTS)
    else:
        asyncio.run(_aadd(store))


async def _aadd(store: PGVector) -> None:
    await store.aadd_texts(TEXTS)
    await store.aclose()


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_run_after_a_failure_sends_only_the_rest(colour, store, api, url):
    four = threading.Barrier(4, timeout=60)

    def key_expires(number: int, texts: list[str]):
        if number <= 8:
            four.wait()  # so that three are under way when the eighth is refused
        return (401, {}, "expired") if number >= 8 else None

    api.rule = key_expires
    with pytest.raises(ModelUnavailable, match="check the key"):
        add(store, colour)
    assert len(api.answered) == 7 * 3
    assert kept(url) == len(api.answered)
    api.rule = lambda number, texts: None
    add(store, colour)
    assert Counter(api.answered) == Counter(TEXTS)  # each once
    assert api.most_in_flight == 4
    hits = store.similarity_search_by_vector(vector("59"), k=60)
    assert {hit.page_content for hit in hits} == set(TEXTS)


def test_equal_texts_are_sent_once_with_and_without_the_cache(api, url):
    with PGVector(api.model(), connection=url, collection_name="docs", cache=False) as store:
        store.add_texts(["1", "2", "1", "2", "2"])
    assert sorted(api.answered) == ["1", "2"]


LOAD = """
import sys
from howdah import PGVector
from howdah.retrieval.embeddings import pace_of_model
from langchain_openai import OpenAIEmbeddings

url, address = sys.argv[1:]
model = OpenAIEmbeddings(
    model="text-embedding-3-small", base_url=address, api_key="sk-nothing", max_retries=0, check_embedding_ctx_length=False
)
pace_of_model(model).texts = 3
with PGVector(model, connection=url, collection_name="docs", storage="vector") as store:
    store.add_texts([str(number) for number in range(60)])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_after_a_kill_sends_only_the_rest(how, store, api, url):
    """The process ends when seven requests are answered and kept, and three are under way."""
    stopped = threading.Event()
    child: list[subprocess.Popen[bytes]] = []

    def rule(number: int, texts: list[str]):
        if number == 8:
            while kept(url) < len(api.answered):
                time.sleep(0.01)
            os.kill(child[0].pid, how)
            stopped.set()
        if number >= 8:
            assert stopped.wait(60)
            return 503, {"Retry-After": "60"}, "nobody is there to hear it"
        return None

    api.rule = rule
    child.append(subprocess.Popen([sys.executable, "-c", LOAD, url, api.url], stderr=subprocess.PIPE))
    _, said = child[0].communicate(timeout=120)
    assert child[0].returncode in {-how, 130}, said
    assert (b"KeyboardInterrupt" in said) == (how == signal.SIGINT)
    assert kept(url) == len(api.answered) < 60
    api.rule = lambda number, texts: None
    store.add_texts(TEXTS)
    assert Counter(api.answered) == Counter(TEXTS)


async def test_results_come_as_soon_as_they_are_there(api):
    """The first request's vectors are handed over while the others are still under way."""
    model, first = api.model(), threading.Event()
    pace_of_model(model).texts = 30

    def rule(number: int, texts: list[str]) -> None:
        if texts[0] == "30":
            assert first.wait(60)

    api.rule = rule
    embed_each(model, TEXTS, lambda places, vectors: first.set())
    first.clear()

    async def keep(places, vectors) -> None:
        first.set()

    await aembed_each(model, TEXTS, keep)
