"""A long conversation cut to what a model can bear: whole exchanges, the newest ones. Pure but for the user's counter."""

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, trim_messages
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.runnables import Runnable, RunnableLambda

from howdah.chains.turn import Turn
from howdah.chains.words import UNSPACED
from howdah.retrieval.errors import InvalidInput

HISTORY_TOKENS = 2_000
_FRAME = 4  # tokens around a message
_TRIES = 20
Counter = Callable[[list[BaseMessage]], int]


def trimming(model: Runnable[Any, Any] | None, tokens: int) -> Runnable[Turn, Turn]:
    """Cuts `Turn.history` to `tokens`, as `model` counts them where that takes no network."""
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
        raise InvalidInput(
            f"history_tokens is {tokens!r} and must be a whole number from 0", hint="0 forgets the history"
        )
    count = counter(model)

    def trim(turn: Turn) -> Turn:
        return turn.with_history(trimmed(turn.history, tokens, count))

    return RunnableLambda(trim, name="trim")


def trimmed(history: Sequence[BaseMessage], tokens: int, count: Counter) -> list[BaseMessage]:
    """The newest exchanges of at most `tokens` together, and a system message that begins them.

    They begin with a question, so that no answer and no tool's result comes without what it answers. Where the last
    exchange alone is too long, its texts are cut.
    """
    messages = list(history)
    if not messages or not tokens:
        return []
    if count(messages) <= tokens:
        return messages
    kept = trim_messages(messages, max_tokens=tokens, token_counter=count, start_on="human", include_system=True)
    if any(isinstance(message, HumanMessage) for message in kept):
        return kept
    return _cut(messages, tokens, count)


def counter(model: Runnable[Any, Any] | None) -> Counter:
    """Counts by the encoder that the model was given (`custom_get_token_ids`), else approximately.

    The counters that providers' classes come with ask a server, or download a vocabulary first.
    """
    inner: Any = model
    while inner is not None and not isinstance(inner, BaseLanguageModel):
        inner = getattr(inner, "bound", None) or getattr(inner, "runnable", None)
    if inner is None or inner.custom_get_token_ids is None:
        return approximately
    encode = inner.custom_get_token_ids
    return lambda messages: sum(len(encode(message.text)) + _FRAME for message in messages)


def approximately(messages: list[BaseMessage]) -> int:
    """Three characters a token, which is more than English takes; in scripts without spaces one."""
    unspaced = sum(len(run) for message in messages for run in UNSPACED.findall(message.text))
    return count_tokens_approximately(messages, chars_per_token=3.0) + unspaced * 2 // 3


def _cut(messages: list[BaseMessage], tokens: int, count: Counter) -> list[BaseMessage]:
    """The last question and the last answer to it, both cut to what fits; nothing where not even a few words do."""
    place = max((n for n, message in enumerate(messages) if isinstance(message, HumanMessage)), default=None)
    if place is None:
        return []
    answers = [each for each in messages[place + 1 :] if isinstance(each, AIMessage) and each.text.strip()]
    texts = [messages[place].text, *(each.text for each in answers[-1:])]
    system = [each for each in messages[:1] if isinstance(each, SystemMessage) and count([each]) <= tokens // 2]
    length = max(map(len, texts))
    for _ in range(_TRIES):
        kinds = (HumanMessage, AIMessage)
        cut = [*system, *(kind(text[:length]) for kind, text in zip(kinds, texts, strict=False))]
        if count(cut) <= tokens:
            return cut
        length = length * 2 // 3
    return []
