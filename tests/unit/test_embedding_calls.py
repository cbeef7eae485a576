"""Embedding models by name, what a collection remembers of them, and calls that fail."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_openai import OpenAIEmbeddings

from howdah.retrieval import local_models
from howdah.retrieval.embeddings import (
    LOCAL_IDENTITY,
    LocalEmbeddings,
    ModelIdentity,
    aembed_query_with_retry,
    aembed_with_retry,
    embed_query_with_retry,
    embed_with_retry,
    identity,
    load_embeddings,
    same_model,
)
from howdah.retrieval.errors import InvalidInput, ModelUnavailable, PackageMissing

# -- names


@pytest.mark.parametrize("name", ["local", "local:bge-small-en-v1.5", LOCAL_IDENTITY])
def test_local_names(name):
    assert identity(load_embeddings(name)).name == LOCAL_IDENTITY


@pytest.mark.parametrize("name", ["", "text-embedding-3-small", "openai:", "local:other", "nobody:model"])
def test_names_that_mean_nothing_list_what_works(name):
    with pytest.raises(InvalidInput, match=r"'local', or a LangChain name such as 'openai:"):
        load_embeddings(name)


def test_a_local_model_of_another_build_is_not_taken_for_this_one():
    with pytest.raises(ModelUnavailable, match="another build"):
        load_embeddings("local:bge-small-en-v1.5@000000000000")


@pytest.mark.parametrize(
    ("name", "package"),
    [("cohere:embed-english-v3.0", "langchain-cohere"), ("bedrock:amazon.titan-embed-text-v1", "langchain-aws")],
)
def test_a_missing_provider_names_its_install_command(name, package):
    with pytest.raises(PackageMissing) as caught:
        load_embeddings(name)
    assert caught.value.install == f"pip install {package}"


def test_a_missing_key_names_its_variable(monkeypatch):
    for variable in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "LANGSMITH_GATEWAY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ModelUnavailable, match="set OPENAI_API_KEY") as caught:
        load_embeddings("openai:text-embedding-3-small")
    assert not isinstance(caught.value, InvalidInput)


# -- identities


class Named(Embeddings):
    model_name = "house/model-1"

    def embed_documents(self, texts):
        return [[1.0]] * len(texts)

    def embed_query(self, text):
        return [1.0]


def test_a_provider_is_the_same_from_a_name_and_by_hand(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    by_name = identity(load_embeddings("openai:text-embedding-3-large"))
    by_hand = identity(OpenAIEmbeddings(model="text-embedding-3-large", dimensions=256))
    assert by_name == by_hand == ModelIdentity(name="openai:text-embedding-3-large", strong=True)
    assert same_model(by_name, by_hand)
    assert not same_model(by_name, identity(LocalEmbeddings()))


def test_an_object_is_known_by_its_model_or_weakly_by_its_class():
    assert identity(Named()) == ModelIdentity(name="house/model-1", strong=True)
    fake = identity(DeterministicFakeEmbedding(size=3))
    assert fake.name.endswith("DeterministicFakeEmbedding")
    assert not fake.strong
    assert not same_model(fake, fake)


def test_the_local_identity_changes_with_the_tokenizer():
    name, _, digest = identity(LocalEmbeddings()).name.partition("@")
    assert name == "local:bge-small-en-v1.5"
    assert len(digest) == 12
    assert digest != local_models.MS_MARCO.fingerprint


# -- calls that fail


class ApiError(Exception):
    def __init__(self, message="overloaded", *, status_code=None, headers=None, code=None):
        super().__init__(message)
        self.status_code, self.code = status_code, code
        self.response = type("Response", (), {"headers": headers or {}, "status_code": status_code})()


class APIConnectionError(Exception):
    """Of no base that tells anything, as openai's."""


class ScriptedEmbeddings(Embeddings):
    """Raises or returns what the script says, call by call; then vectors of [1, 2]."""

    model = "scripted-1"

    def __init__(self, *script):
        self.script, self.calls = list(script), []

    def embed_documents(self, texts):
        self.calls.append(len(texts))
        step = self.script.pop(0) if self.script else [[1.0, 2.0] for _ in texts]
        if isinstance(step, BaseException):
            raise step
        return step

    def embed_query(self, text):
        return self.embed_documents([text])[0]


@pytest.fixture
def pauses(monkeypatch):
    """Seconds that would have been slept; for the clock they have passed."""
    slept = []

    async def nap(waiting, seconds):
        slept.append(seconds)

    monkeypatch.setattr("howdah.retrieval.calls_sync.Waiting.nap", lambda waiting, seconds: slept.append(seconds))
    monkeypatch.setattr("howdah.retrieval.calls_async.Waiting.nap", nap)
    monkeypatch.setattr("howdah.retrieval.pace.monotonic", lambda: 1000 + sum(slept))
    monkeypatch.setattr("howdah.retrieval.pace._paces", {})
    return slept


PASSING = [
    ApiError(status_code=429),
    ApiError(status_code=408),
    ApiError(status_code=503),
    TimeoutError("timed out"),
    ConnectionResetError("reset"),
    APIConnectionError("Connection error."),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
async def test_what_passes_is_tried_again(error, pauses):
    want = np.array([[1, 2], [1, 2]], dtype=np.float32)
    np.testing.assert_array_equal(embed_with_retry(ScriptedEmbeddings(error, error), ["a", "b"]), want)
    np.testing.assert_array_equal(await aembed_with_retry(ScriptedEmbeddings(error, error), ["a", "b"]), want)
    np.testing.assert_array_equal(embed_query_with_retry(ScriptedEmbeddings(error), "a"), want[0])
    np.testing.assert_array_equal(await aembed_query_with_retry(ScriptedEmbeddings(error), "a"), want[0])
    assert len(pauses) == 6


def test_pauses_double_with_jitter(pauses):
    with pytest.raises(ModelUnavailable):
        embed_with_retry(ScriptedEmbeddings(*[ApiError(status_code=500)] * 9), ["a"], attempts=9)
    ceilings = [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert len(pauses) == len(ceilings)
    assert all(ceiling / 2 <= pause <= ceiling for pause, ceiling in zip(pauses, ceilings, strict=True))


IN_AN_HOUR = format_datetime(datetime.now(UTC) + timedelta(hours=1))


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [("7", 7, 7), (IN_AN_HOUR, 60, 60), ("soon", 0, 0.5), ("nan", 0, 0.5)],
    ids=["seconds", "a date", "a word", "nan"],
)
def test_the_server_says_when_but_not_for_ever(asked, low, high, pauses):
    embed_with_retry(ScriptedEmbeddings(ApiError(status_code=429, headers={"retry-after": asked})), ["a"])
    (pause,) = pauses
    assert low <= pause <= high


def test_what_goes_on_failing_says_what_and_how_often_without_the_key(pauses):
    error = ApiError("Rate limit\nfor key sk-proj-abcDEF123456789 at https://me:pw@host/?key=abc", status_code=500)
    with pytest.raises(ModelUnavailable) as caught:
        embed_with_retry(ScriptedEmbeddings(*[error] * 4), ["a", "b", "c"])
    assert caught.value.message.startswith(
        "embedding 3 texts with 'scripted-1' failed after 4 attempts: ApiError: Rate"
    )
    assert caught.value.__cause__ is error
    assert [secret for secret in ("\n", "abcDEF", "me:pw", "key=abc") if secret in str(caught.value)] == []
    assert len(pauses) == 3


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (ApiError(status_code=401), ModelUnavailable, "check the key"),
        (ApiError(status_code=403), ModelUnavailable, "check the key"),
        (ApiError(status_code=404), ModelUnavailable, "model's name"),
        (ApiError(status_code=429, code="insufficient_quota"), ModelUnavailable, "quota"),
        (ApiError(status_code=400), InvalidInput, "refused this input"),
        (ApiError("who knows"), ModelUnavailable, "who knows"),
        (TypeError("a bug of the class"), TypeError, "a bug of the class"),
    ],
    ids=repr,
)
async def test_what_does_not_pass_is_not_tried_again(error, kind, said, pauses):
    with pytest.raises(kind, match=said):
        embed_with_retry(ScriptedEmbeddings(error), ["a"])
    with pytest.raises(kind, match=said):
        await aembed_with_retry(ScriptedEmbeddings(error), ["a"])
    assert pauses == []


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ([[1.0, 2.0]], "1 vectors for 2 texts"),
        ([[1.0, 2.0], [1.0]], r"vectors of \[1, 2\] numbers"),
        ([[], []], r"vectors of \[0\] numbers"),
        ([[1.0, 2.0], [float("nan"), 1.0]], "NaN or infinite numbers for 1 of 2 texts.*'second'"),
    ],
)
async def test_output_that_is_not_vectors_is_named(output, said):
    with pytest.raises(ModelUnavailable, match=said):
        embed_with_retry(ScriptedEmbeddings(output), ["first", "second"])
    with pytest.raises(ModelUnavailable, match=said):
        await aembed_with_retry(ScriptedEmbeddings(output), ["first", "second"])


def test_a_failure_costs_one_request_not_all(pauses):
    model = ScriptedEmbeddings([[1.0, 2.0]] * 256, ApiError(status_code=500))
    assert embed_with_retry(model, ["text"] * 300).shape == (300, 2)
    assert model.calls == [256, 44, 44]
    with pytest.raises(ModelUnavailable, match="changed the length"):
        embed_with_retry(ScriptedEmbeddings([[1.0]] * 256), ["text"] * 300)
    assert embed_with_retry(model, []).shape == (0, 0)


@pytest.mark.skipif(not local_models.model_installed(local_models.BGE_SMALL), reason="the extra `local` is missing")
async def test_the_local_model_goes_the_short_way():
    model, texts = LocalEmbeddings(), ["one", "two"]
    np.testing.assert_array_equal(embed_with_retry(model, texts), model.embed_array(texts))
    np.testing.assert_array_equal(await aembed_with_retry(model, texts), model.embed_array(texts))
    assert embed_query_with_retry(model, "one").tolist() == model.embed_query("one")
