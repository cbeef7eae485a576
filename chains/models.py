"""Chat models by name."""

from dataclasses import dataclass
from typing import Final

from langchain_core.language_models import BaseChatModel

from howdah.chains.local_server import check_installed, local_model_available
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.providers import build

__all__ = ["EXTRACTIVE", "Extractive", "load_chat_model", "local_model_available"]

WORKS = "'extractive', 'local', or a LangChain name such as 'openai:gpt-5-mini', 'anthropic:…', 'ollama:…'"


@dataclass(frozen=True)
class Extractive:
    """No model: the chain answers with the passages' own sentences."""


EXTRACTIVE: Final = Extractive()


def is_small(name: str | None) -> bool:
    """Whether the model of that name is the small local one, which is asked, checked and warned of in its own way."""
    return name is not None and "smollm2" in name.casefold()


def load_chat_model(name: str) -> BaseChatModel | Extractive:
    """The model of that name: "extractive", "local", or what LangChain's init_chat_model knows.

    Nothing is started or called yet. Raises InvalidInput listing what works, PackageMissing with the install command,
    ModelUnavailable for a missing key.
    """
    asked = name.strip()
    if asked == "extractive":
        return EXTRACTIVE
    if asked == "local":
        check_installed()
        return _local()
    if not asked or asked.startswith("local:"):
        raise InvalidInput(f"there is no chat model {name!r}", hint=f"wanted {WORKS}")
    return build(lambda: _init(asked), name=asked, kind="chat model", works=WORKS)


# Imported when used: a second that 'extractive' need not wait.
def _local() -> BaseChatModel:
    from howdah.chains.local_chat import local_chat

    return local_chat()


def _init(name: str) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    return init_chat_model(name)
