"""Texts to vectors: the local model, any LangChain provider, which model made a vector, and calls that fail."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from langchain_core.embeddings import Embeddings

from howdah.retrieval.collection import UNKNOWN_MODEL
from howdah.retrieval.errors import InvalidInput, ModelUnavailable
from howdah.retrieval.local_models import BGE_SMALL, MAX_TOKENS, checked_texts, engine, spread, usable_cores
from howdah.retrieval.providers import Attempts, aretried, build, retried
from howdah.retrieval.types import Array

LOCAL = f"local:{BGE_SMALL.name}"
LOCAL_IDENTITY = f"{LOCAL}@{BGE_SMALL.fingerprint}"
WORKS = "'local', or a LangChain name such as 'openai:text-embedding-3-small', 'ollama:…', 'mistralai:…', 'cohere:…'"
QUERY_INSTRUCTION = "Represent this sentence for searching relevant passages: "
"""BAAI's model card: before a query, never before a passage."""
SLICE = 16
"""Texts a thread between two chances to cancel."""
REQUEST = 256
"""Texts of one call to an API: what a failure costs to send again."""


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

    return init_embeddings(name)


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

    Sent 256 at a time; a call that fails for a passing reason is made again after 0.5 s, 1 s, 2 s …, or when the
    server says. Raises ModelUnavailable when it goes on failing, refuses the key, or returns what are not n vectors;
    InvalidInput when the API refuses the texts. A TypeError and its like, a bug in the class, pass as they are.
    """
    if isinstance(embeddings, LocalEmbeddings):
        return embeddings.embed_array(texts)
    parts: list[Array] = []
    for part in _requests(texts):
        call = partial(embeddings.embed_documents, part)
        parts.append(_matrix(retried(call, _attempts(embeddings, part, attempts)), part))
    return _stacked(parts)


async def aembed_with_retry(embeddings: Embeddings, texts: Sequence[str], *, attempts: int = 4) -> Array:
    """As `embed_with_retry`, by the model's own async method."""
    if isinstance(embeddings, LocalEmbeddings):
        return await embeddings.aembed_array(texts)
    parts: list[Array] = []
    for part in _requests(texts):
        call = partial(embeddings.aembed_documents, part)
        parts.append(_matrix(await aretried(call, _attempts(embeddings, part, attempts)), part))
    return _stacked(parts)


def embed_query_with_retry(embeddings: Embeddings, text: str, *, attempts: int = 4) -> Array:
    """The vector of one query, shape (d,), float32, finite; fails as `embed_with_retry` does."""
    (text,) = checked_texts([text])
    vector = retried(lambda: embeddings.embed_query(text), _attempts(embeddings, [text], attempts))
    return cast("Array", _matrix([vector], [text])[0])


async def aembed_query_with_retry(embeddings: Embeddings, text: str, *, attempts: int = 4) -> Array:
    """As `embed_query_with_retry`, by the model's own async method."""
    (text,) = checked_texts([text])
    vector = await aretried(lambda: embeddings.aembed_query(text), _attempts(embeddings, [text], attempts))
    return cast("Array", _matrix([vector], [text])[0])


def _requests(texts: Sequence[str]) -> list[list[str]]:
    listed = checked_texts(texts)
    return [listed[start : start + REQUEST] for start in range(0, len(listed), REQUEST)]


def _attempts(embeddings: Embeddings, texts: list[str], limit: int) -> Attempts:
    count = "1 text" if len(texts) == 1 else f"{len(texts)} texts"
    return Attempts(what=f"embedding {count} with {identity(embeddings).name!r}", limit=limit)


def _matrix(vectors: Sequence[Sequence[float]], texts: list[str]) -> Array:
    if len(vectors) != len(texts):
        raise ModelUnavailable(f"the embedding model returned {len(vectors)} vectors for {len(texts)} texts")
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1 or 0 in lengths:
        raise ModelUnavailable(f"the embedding model returned vectors of {sorted(lengths)} numbers, wanted one length")
    matrix = np.asarray(vectors, dtype=np.float32)
    wrong = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if wrong.size:
        message = f"the embedding model returned NaN or infinite numbers for {wrong.size} of {len(texts)} texts"
        raise ModelUnavailable(message, hint=f"the first is {texts[wrong[0]][:60]!r}")
    return matrix


def _stacked(parts: list[Array]) -> Array:
    if len({part.shape[1] for part in parts}) > 1:
        raise ModelUnavailable("the embedding model changed the length of its vectors between two calls")
    return np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
