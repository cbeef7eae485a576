"""What a cached embedding is found by, and what is read back: no database."""

import pickle
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_openai import OpenAIEmbeddings

from howdah.retrieval.cache import Cache, EmbeddingCache, cache_options, model_key
from howdah.retrieval.cache_base import RECENT, Texts
from howdah.retrieval.cache_key import text_hash
from howdah.retrieval.cache_rows import ROW_BYTES, decode, encode
from howdah.retrieval.embeddings import LOCAL_IDENTITY, LocalEmbeddings
from howdah.retrieval.errors import InvalidInput, ModelUnavailable

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(arrays(np.float32, st.integers(1, 50), elements=FINITE))
def test_an_embedding_comes_back_bit_for_bit(embedding):
    read = decode(encode(embedding))
    assert read is not None
    assert read.tobytes() == embedding.tobytes()
    assert read.dtype == np.float32


@pytest.mark.parametrize(
    "data", [b"", b"123", np.array([1, np.nan], "<f4").tobytes(), np.array([np.inf], "<f4").tobytes()]
)
def test_what_cannot_be_an_embedding_is_none(data):
    assert decode(data) is None


@given(st.lists(st.text(), max_size=20), st.data())
def test_every_text_gets_its_own_embedding_whatever_was_known(texts, data):
    asked = Texts.of(texts)
    known = set(data.draw(st.lists(st.sampled_from(texts)))) if texts else set()
    asked.take([(text_hash(text), encode(made(text)), False) for text in known], None)
    missing = asked.missing()
    assert {asked.texts[key] for key in missing} == set(texts) - known
    assert len(missing) == len(set(texts) - known)
    if missing:
        asked.learn(missing, np.stack([made(asked.texts[key]) for key in missing]))
    if texts:
        np.testing.assert_array_equal(asked.vectors(), np.stack([made(text) for text in texts]))


def made(text):
    return np.frombuffer(text_hash(text)[:12], dtype="<u2").astype(np.float32)


def test_rows_of_another_length_are_not_known():
    asked = Texts.of(["a", "b", "c"])
    rows = [(text_hash(text), np.ones(size, "<f4").tobytes(), False) for text, size in (("a", 3), ("b", 3), ("c", 2))]
    asked.take(rows, None)
    assert [asked.texts[key] for key in asked.missing()] == ["c"]
    asked.known.clear()
    asked.take(rows, 2)
    assert [asked.texts[key] for key in asked.missing()] == ["a", "b"]
    asked.learn([text_hash("a")], np.ones((1, 7), np.float32))  # the model gives something else by now
    assert [asked.texts[key] for key in asked.missing()] == ["b", "c"]
    with pytest.raises(ModelUnavailable, match="changed the length"):
        asked.learn([text_hash("b")], np.ones((1, 8), np.float32))


# -- keys


class Named(Embeddings):
    model_name = "house/model-1"

    def __init__(self, **settings):
        vars(self).update(settings)

    def embed_documents(self, texts):
        return [[1.0]] * len(texts)

    def embed_query(self, text):
        return [1.0]


class OtherClass(Named):
    pass


@dataclass
class Pooling:
    kind: str


DIFFERENT = [
    Named(),
    OtherClass(),
    Named(dimensions=256),
    Named(dimensions=512),
    Named(base_url="http://127.0.0.1:1"),
    Named(_normalize=True),
    Named(_normalize=False),
    Named(encode_kwargs={"prompt": "query: "}),
    Named(encode_kwargs={"prompt": "passage: "}),
    Named(pooling=Pooling("cls")),
    Named(pooling=Pooling("mean")),
    Named(pooling=np.mean),
    Named(pooling=np.max),
    Named(pooling=Pooling),
    Named(inner=DeterministicFakeEmbedding(size=8)),
    Named(inner=DeterministicFakeEmbedding(size=16)),
    Named(model_name="house/model-2"),
    Named(model_name="x" * 500),
    Named(model_name="x" * 501),
    LocalEmbeddings(),
    DeterministicFakeEmbedding(size=8),
    DeterministicFakeEmbedding(size=16),
]


def test_no_two_models_share_a_key_and_each_fits_its_column():
    keys = [model_key(model) for model in DIFFERENT]
    assert len(set(keys)) == len(DIFFERENT)
    assert all(len(key.encode()) <= 400 for key in keys)
    assert model_key(LocalEmbeddings()).startswith(LOCAL_IDENTITY + "#")


def test_an_object_that_holds_itself_has_a_key():
    settings: dict[str, object] = {}
    settings["again"] = [settings]
    assert model_key(Named(settings=settings)) != model_key(Named())


@pytest.mark.parametrize(
    "other",
    [
        Named(timeout=3, max_retries=9, chunk_size=7, show_progress_bar=True),
        Named(api_key="sk-other", default_headers={"Authorization": "x"}, access_token="t"),
        Named(new_setting=None, model_kwargs={}),
    ],
    ids=["how it is called", "secrets", "not set"],
)
def test_what_has_no_say_in_a_vector_has_none_in_the_key(other):
    assert model_key(other) == model_key(Named())


def test_a_provider_with_other_settings_is_another_model(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one")
    key = model_key(OpenAIEmbeddings(model="text-embedding-3-large"))
    assert key.startswith("openai:text-embedding-3-large#")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-two")
    assert model_key(OpenAIEmbeddings(model="text-embedding-3-large", max_retries=9)) == key
    others = [{"dimensions": 256}, {"dimensions": 1024}, {"base_url": "http://127.0.0.1:9"}]
    assert len({key, *(model_key(OpenAIEmbeddings(model="text-embedding-3-large", **other)) for other in others)}) == 4


# -- what is kept


@pytest.mark.parametrize(
    ("model", "argument", "kept"),
    [
        # queries in the database, passages in the database, queries in this process
        (Named(), None, (True, True, True)),
        (LocalEmbeddings(), None, (False, True, True)),
        (DeterministicFakeEmbedding(size=8), None, (False, False, False)),
        (DeterministicFakeEmbedding(size=8), True, (True, True, True)),
        (Named(), False, (False, False, False)),
        (LocalEmbeddings(), Cache(queries=True), (True, True, True)),
        (Named(), Cache(queries=False), (False, True, False)),
        (Named(), Cache(passages=False), (True, False, True)),
    ],
)
def test_what_is_kept_follows_the_model_and_the_argument(model, argument, kept):
    cache = EmbeddingCache(model, cache_options(argument))
    assert (cache.queries, cache.passages_kept, cache.remembers) == kept


def test_the_bound_in_rows():
    cache = Cache(max_bytes=8_000_000)
    assert cache.rows("query", 384) == 1_000_000 // (4 * 384 + ROW_BYTES)
    assert cache.rows("passage", 384) == 7_000_000 // (4 * 384 + ROW_BYTES)
    assert Cache(max_bytes=1).rows("query", 4_000) == 1


@pytest.mark.parametrize("argument", ["yes", 3, {"queries": True}])
def test_another_argument_says_what_is_wanted(argument):
    with pytest.raises(InvalidInput, match="must be True, False or a Cache"):
        cache_options(argument)
    with pytest.raises(InvalidInput, match=r"whole number of bytes; cache=False"):
        Cache(max_bytes=0)


# -- the memory of this process


def test_the_memory_is_bounded_forgets_the_oldest_and_gives_copies():
    cache = EmbeddingCache(Named(), Cache())
    for number in range(RECENT):
        cache._remember(str(number).encode(), np.full(2, number, np.float32))
    first = cache._remembered(b"0", 2)
    first[:] = 9
    cache._remember(b"new", np.zeros(2, np.float32))
    assert len(cache._recent) == RECENT
    np.testing.assert_array_equal(cache._remembered(b"0", 2), [0, 0])  # used, so 1 went
    assert cache._remembered(b"1", 2) is None
    assert cache._remembered(b"2", 3) is None


def test_a_pickle_begins_with_an_empty_memory():
    cache = EmbeddingCache(LocalEmbeddings(), Cache(max_bytes=77), tenant="t")
    cache._remember(b"0", np.zeros(2, np.float32))
    other = pickle.loads(pickle.dumps(cache))
    assert other._remembered(b"0", 2) is None
    assert (other.model, other.tenant, other.options) == (cache.model, "t", Cache(max_bytes=77))
    other._remember(b"0", np.ones(2, np.float32))


def test_threads_share_the_memory():
    cache, wrong = EmbeddingCache(Named(), Cache()), []

    def work(seed):
        for number in np.random.default_rng(seed).integers(0, 2 * RECENT, 3_000):
            key = str(number).encode()
            found = cache._remembered(key, None)
            if found is not None and found[0] != number:
                wrong.append(number)
            cache._remember(key, np.full(2, number, np.float32))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cache._recent) <= RECENT


def test_a_fork_does_not_wait_for_the_parents_lock():
    import os

    cache = EmbeddingCache(Named(), Cache())
    cache._remember(b"0", np.zeros(2, np.float32))
    cache._lock.acquire()  # as another thread would hold it
    pid = os.fork()
    if pid == 0:
        ok = cache._lock.acquire(timeout=5) and not cache._recent
        os._exit(0 if ok else 1)
    cache._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert cache._remembered(b"0", 2) is not None
