"""What a cached embedding is found by: the model with its settings, and the text's hash."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

from langchain_core.embeddings import Embeddings

from howdah.retrieval.embeddings import QUERY_INSTRUCTION, LocalEmbeddings, identity
from howdah.retrieval.local_models import MAX_TOKENS

NO_SAY = frozenset(
    {
        "batch_size",
        "chunk_size",
        "max_retries",
        "max_workers",
        "n_jobs",
        "request_timeout",
        "retry_max_seconds",
        "retry_min_seconds",
        "show_progress",
        "show_progress_bar",
        "timeout",
    }
)
"""Settings that change how a model is called but not what it answers."""
DEEPEST = 6
"""Levels of settings within settings; an object may hold itself."""
SECRETS = ("api_key", "token", "password", "secret", "credentials", "headers")


def model_key(embeddings: Embeddings) -> str:
    """The model's name and a digest: of its identity, its class and every setting that may change a vector.

    Settings that are not known to be harmless count: a needless miss costs one embedding, a wrong hit spoils a search.
    """
    inner = getattr(embeddings, "underlying_embeddings", None)  # LangChain's cache
    if isinstance(inner, Embeddings):
        return model_key(inner)
    name, kind = identity(embeddings).name, type(embeddings)
    settings: object = _settings(embeddings)
    if isinstance(embeddings, LocalEmbeddings):
        settings = [QUERY_INSTRUCTION, MAX_TOKENS]
    described = json.dumps([f"{kind.__module__}.{kind.__qualname__}", name, settings], sort_keys=True)
    return f"{name[:80]}#{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def _settings(thing: object, depth: int = 0) -> dict[str, object]:
    attributes = getattr(thing, "__dict__", {}).items()
    found = {str(name): _plain(value, depth + 1) for name, value in attributes if _counts(str(name))}
    # What is not set has no say: a new version of a provider's package adds such settings.
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def _counts(name: str) -> bool:
    return name not in NO_SAY and not name.endswith(SECRETS)


def _plain(value: object, depth: int) -> Any:
    """A value as JSON has it; a function or class by its name, another object by its class."""
    if depth <= DEEPEST:
        match value:
            case None | bool() | int() | float() | str():
                return value
            case Enum():
                return _plain(value.value, depth)
            case Mapping():
                return {str(key): _plain(item, depth + 1) for key, item in value.items() if _counts(str(key))}
            case list() | tuple():
                return [_plain(item, depth + 1) for item in value]
        if is_dataclass(type(value)) or hasattr(type(value), "model_fields"):
            return _settings(value, depth)
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"<{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', '')}>"


def text_hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
