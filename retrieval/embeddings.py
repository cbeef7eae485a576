"""Texts to vectors: the local model, any LangChain provider, which model made a vector, and calls that fail."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from langchain_core.embeddings import Embeddings

from howdah.retrieval import calls_async, calls_sync
from howdah.retrieval.calls import Plan, Request, Vectors
from howdah.retrieval.collection import UNKNOWN_MODEL
from howdah.retrieval.errors import InvalidInput, ModelUnavailable
from howdah.retrieval.local_models import BGE_SMALL, MAX_TOKENS, checked_texts, engine, spread, usable_cores
from howdah.retrieval.pace import IN_FLIGHT, Pace, checked_in_flight, pace_of
from howdah.retrieval.providers import build
from howdah.retrieval.types import Array

LOCAL = f"local:{BGE_SMALL.name}"
LOCAL_IDENTITY = f"{LOCAL}@{BGE_SMALL.fingerprint}"
WORKS = "'local', or a LangChain name such as 'openai:text-embedding-3-small', 'ollama:…', 'mistralai:…', 'cohere:…'"
QUERY_INSTRUCTION = "Represent this sentence for searching relevant passages: "
"""BAAI's model card: before a query, never before a passage."""
SLICE = 16
"""Texts a thread between two chances to cancel."""
REQUEST = 256
"""Texts of the local model between two writes to the cache."""


class LocalEmbeddings(Embeddings):
    """bge-small-en-v1.5 (int8) on this machine's cores: unit vectors of 384 numbers; no key, no network.

    A text's vector depends on that text alone, to the last bit, never on what is embedded with it.
    The constructor does no I/O; threads may share one, forks and pickles get their own model.
    """

    dimensions = 384
    max_tokens = MAX_TOKENS
    """Tokens read of a text, its two special ones included; the rest has no say in the vector."""

    def __init__(self, *, threads: int | None = None) -> None:
        """`threads` embed at once (None: one for each core that this process may use)."""
        if threads is not None and threads < 1:
            raise InvalidInput(f"threads is {threads}, wanted at least 1", hint="leave it out to use every core")
        self._threads = threads

    def embed_array(self, texts: Sequence[str]) -> Array:
        """The vectors of passages, in the order of `texts`: shape (n, 384), float32, unit length.

        Raises PackageMissing or ModelUnavailable without the model's files, InvalidInput for what is not text.
        """
        listed = checked_texts(texts)
        vectors = np.empty((len(listed), self.dimensions), dtype=np.float32)
        # The longest first: else one of them runs alone at the end.
        order = sorted(range(len(listed)), key=lambda number: -len(listed[number]))
        found = spread(_unit_vector, [listed[number] for number in order], threads=self._threads or usable_cores())
        for number, vector in zip(order, found, strict=True):
            vectors[number] = vector
        return vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return cast("list[list[float]]", self.embed_array(texts).tolist())

    def embed_query(self, text: str) -> list[float]:
        (text,) = checked_texts([text])
        return cast("list[float]", _unit_vector(QUERY_INSTRUCTION + text).tolist())

    async def aembed_array(self, texts: Sequence[str]) -> Array:
        """As `embed_array`, off the event loop; a cancelled call stops after the slice that it is in."""
        listed, step = checked_texts(texts), SLICE * (self._threads or usable_cores())
        slices = [listed[start : start + step] for start in range(0, len(listed), step)] or [[]]
        return np.concatenate([await asyncio.to_thread(self.embed_array, part) for part in slices])

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return cast("list[list[float]]", (await self.aembed_array(texts)).tolist())

    async def aembed_query(self, text: str) -> list[float]:
        return await asyncio.to_thread(self.embed_query, text)

    def count_tokens(self, text: str) -> int:
        """Tokens of the whole `text`, special ones not counted: up to `max_tokens - 2` of them are read."""
        return len(engine(BGE_SMALL).tokens(text).ids)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end, in code points, of each token that `count_tokens` counts; ascending, gaps are white space."""
        return engine(BGE_SMALL).tokens(text).offsets


def _unit_vector(text: str) -> Array:
    # The hidden state of [CLS], the first token, is what bge was trained on.
    state = engine(BGE_SMALL).run(text)[0]
    # A new array: the row alone would keep the states of all tokens in memory.
    unit: Array = state / np.float32(np.linalg.norm(state))
    return unit


def load_embeddings(name: str) -> Embeddings:
    """The model of that name: "local", or any "provider:model" that LangChain's init_embeddings knows.

    A stored identity ("local:bge-small-en-v1.5@…") is a name too. Nothing is downloaded or called yet.
    Raises InvalidInput listing what works, PackageMissing with the install command, ModelUnavailable for a missing key.
    """
    asked = name.strip()
    provider, _, model = asked.partition(":")
    if provider == "local":
        return _load_local(asked)
    if not provider or not model:
        raise InvalidInput(f"the embedding model is {name!r}, without a provider", hint=f"wanted {WORKS}")
    return build(lambda: _init(asked), name=asked, kind="embedding model", works=WORKS)


def _init(name: str) -> Embeddings:
    from langchain.embeddings import init_embeddings  # half a second that local models need not wait

    # One retry, ours: a client that sleeps and tries again by itself hides a rate limit from the other requests.
    own: dict[str, Any] = {"max_retries": 0} if name.partition(":")[0] in {"openai", "azure_openai"} else {}
    return init_embeddings(name, **own)


def _load_local(name: str) -> LocalEmbeddings:
    if name in {"local", LOCAL, LOCAL_IDENTITY}:
        return LocalEmbeddings()
    if name.startswith(f"{LOCAL}@"):
        message = f"the embedding model {name!r} is another build than the installed {LOCAL_IDENTITY!r}"
        raise ModelUnavailable(message, hint="embed the collection anew, or use the version of Howdah that made it")
    raise InvalidInput(f"there is no embedding model {name!r}", hint=f"wanted {WORKS}")


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Which model made a vector. Not `strong`: the name is only a class, which may hold any model."""

    name: str
    strong: bool


UNKNOWN = ModelIdentity(name=UNKNOWN_MODEL, strong=False)
"""The identity of a store whose vectors all come from outside: nothing is known of it, and nothing is compared."""

PROVIDER_OF_CLASS = {"AzureOpenAIEmbeddings": "azure_openai", "BedrockEmbeddings": "bedrock"}
"""Classes whose provider is not in the name of their package."""
CALLED_AT_ONCE = frozenset(
    {
        "aws",
        "azure_ai",
        "azure_openai",
        "bedrock",
        "cohere",
        "fireworks",
        "google_genai",
        "google_vertexai",
        "ibm",
        "mistralai",
        "nvidia_ai_endpoints",
        "ollama",
        "openai",
        "together",
        "voyageai",
        "HuggingFaceEndpointEmbeddings",
    }
)
"""Providers, and one class, that do nothing but call an API. Others may run a model in this process, which threads would
spoil: tokenizers and llama.cpp do not bear two callers at once."""
ADDRESSES = ("openai_api_base", "base_url", "azure_endpoint", "endpoint_url", "endpoint")
NOT_PROVIDERS = frozenset({"core", "classic", "community", "tests"})


def identity(embeddings: Embeddings) -> ModelIdentity:
    """What a collection remembers of its model: "local:…@digest", "provider:model", the model's name, or the class.

    "provider:model" is the same whether the object was built by `load_embeddings` or by hand.
    """
    if isinstance(embeddings, LocalEmbeddings):
        return ModelIdentity(name=LOCAL_IDENTITY, strong=True)
    said = getattr(embeddings, "model_identity", None)
    if isinstance(said, ModelIdentity):
        return said
    inner = getattr(embeddings, "underlying_embeddings", None)  # LangChain's cache
    if isinstance(inner, Embeddings):
        return identity(inner)
    named = (getattr(embeddings, attribute, None) for attribute in ("model", "model_name", "model_id"))
    model = next((value for value in named if isinstance(value, str) and value), None)
    if model is None:
        kind = type(embeddings)
        return ModelIdentity(name=f"{kind.__module__}.{kind.__qualname__}", strong=False)
    provider = _provider(type(embeddings))
    return ModelIdentity(name=f"{provider}:{model}" if provider else model, strong=True)


def _provider(kind: type) -> str | None:
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        name = package.removeprefix("langchain_")
        if name != package and name not in NOT_PROVIDERS:
            return PROVIDER_OF_CLASS.get(base.__name__, name)
    return None


def same_model(a: ModelIdentity, b: ModelIdentity) -> bool:
    """Whether two identities surely name one model: False where either is only a class."""
    return a.strong and b.strong and a.name == b.name


def embed_with_retry(embeddings: Embeddings, texts: Sequence[str], *, attempts: int = 4) -> Array:
    """The vectors of passages, in the order of `texts`: shape (n, d), float32, finite; (0, 0) for no texts.

    Sent as `embed_each` sends them, and raises as that does.
    """
    if isinstance(embeddings, LocalEmbeddings):
        return embeddings.embed_array(texts)
    vectors = Vectors(len(texts))
    embed_each(embeddings, texts, vectors.keep, attempts=attempts)
    return vectors.array


async def aembed_with_retry(embeddings: Embeddings, texts: Sequence[str], *, attempts: int = 4) -> Array:
    """As `embed_with_retry`, by the model's own async method."""
    if isinstance(embeddings, LocalEmbeddings):
        return await embeddings.aembed_array(texts)
    vectors = Vectors(len(texts))
    await aembed_each(embeddings, texts, vectors.akeep, attempts=attempts)
    return vectors.array


def embed_each(embeddings: Embeddings, texts: Sequence[str], keep: calls_sync.Keep, *, attempts: int = 4) -> None:
    """Embed passages, and give each request's to `keep(places in texts, vectors)` as soon as it comes back.

    An API is asked for 256 texts at a time, four requests at once, and less when it says so: a rate limit makes all
    wait, a request that is too large is sent in halves. One that fails for a passing reason is made again after 0.5 s,
    1 s, 2 s … Raises ModelUnavailable when it goes on failing, is busy for ten minutes, refuses the key, or returns what
    are not n vectors; InvalidInput when it refuses the texts. A TypeError and its like, a bug in the class, pass as
    they are.
    """
    if not isinstance(embeddings, LocalEmbeddings):
        calls_sync.run(embeddings.embed_documents, _plan(embeddings, texts, attempts), keep)
        return
    for places in _parts(texts):
        keep(places, embeddings.embed_array([texts[place] for place in places]))


async def aembed_each(
    embeddings: Embeddings, texts: Sequence[str], keep: calls_async.Keep, *, attempts: int = 4
) -> None:
    """As `embed_each`, by the model's own async method."""
    if not isinstance(embeddings, LocalEmbeddings):
        await calls_async.run(embeddings.aembed_documents, _plan(embeddings, texts, attempts), keep)
        return
    for places in _parts(texts):
        await keep(places, await embeddings.aembed_array([texts[place] for place in places]))


def embed_query_with_retry(embeddings: Embeddings, text: str, *, attempts: int = 4) -> Array:
    """The vector of one query, shape (d,), float32, finite; fails as `embed_each` does, but waits for few rate limits."""
    request, pace = _query(embeddings, text, attempts), pace_of_model(embeddings)
    found = calls_sync.send(lambda texts: [embeddings.embed_query(texts[0])], request, pace, calls_sync.Waiting())
    return cast("Array", cast("Array", found)[0])  # one text is not sent in halves


async def aembed_query_with_retry(embeddings: Embeddings, text: str, *, attempts: int = 4) -> Array:
    """As `embed_query_with_retry`, by the model's own async method."""
    request, pace = _query(embeddings, text, attempts), pace_of_model(embeddings)

    async def call(texts: list[str]) -> list[list[float]]:
        return [await embeddings.aembed_query(texts[0])]

    found = await calls_async.send(call, request, pace, calls_async.Waiting())
    return cast("Array", cast("Array", found)[0])


def set_requests_in_flight(embeddings: Embeddings, count: int) -> None:
    """How many requests one call has under way at this model's API, in this process: 4 unless said, 64 at most.

    A class that is not known to call an API is called once at a time: it may not bear threads. Raises InvalidInput.
    """
    pace_of_model(embeddings).in_flight = checked_in_flight(count)


def pace_of_model(embeddings: Embeddings) -> Pace:
    """The pace that all calls of this process to the model share; that of another address is another."""
    addresses = (getattr(embeddings, attribute, None) for attribute in ADDRESSES)
    address = next((value for value in addresses if isinstance(value, str) and value), "")
    kind = type(embeddings)
    known = _provider(kind) in CALLED_AT_ONCE or kind.__name__ in CALLED_AT_ONCE
    return pace_of(f"{identity(embeddings).name} {address}", in_flight=IN_FLIGHT if known else 1)


def _plan(embeddings: Embeddings, texts: Sequence[str], attempts: int) -> Plan:
    model, pace = identity(embeddings).name, pace_of_model(embeddings)
    return Plan(model=model, texts=checked_texts(texts), pace=pace, attempts=attempts)


def _query(embeddings: Embeddings, text: str, attempts: int) -> Request:
    model = identity(embeddings).name
    return Request(model=model, texts=checked_texts([text]), places=[0], attempts=attempts, urgent=True)


def _parts(texts: Sequence[str]) -> list[range]:
    return [range(start, min(start + REQUEST, len(texts))) for start in range(0, len(texts), REQUEST)]
