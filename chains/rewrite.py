"""A follow-up question made to stand alone: by rule, or by the model where it is one that can."""

import re
import time
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from howdah.chains.followups import stands_alone, telling
from howdah.chains.language import language_of
from howdah.chains.markers import without_markers
from howdah.chains.phrases import REFUSALS
from howdah.chains.sentences import sentences
from howdah.chains.smalltalk import smalltalk
from howdah.chains.turn import Turn
from howdah.chains.wordlists import STOP_WORDS
from howdah.chains.words import proper_names

_MOST = 24  # words put before a question
_LONGEST = 400  # characters of a rewritten question; more is an answer, not a question
_REMEMBERED = 6  # messages that the model sees


def standalone(question: str, history: Sequence[BaseMessage]) -> str:
    """`question`, and before it the words that it leans on.

    These are the content words of the questions back to the last one that stands alone, and the names that begin the
    answers to them. Small talk and refusals lend nothing.
    """
    spoken = language_spoken(history)
    if stands_alone(question, spoken=spoken):
        return question
    words: list[str] = []
    for asked, answered in reversed(exchanges(history)):
        words = telling(_meaningful(asked), spoken) + _answer_names(answered) + words
        if stands_alone(asked, spoken=spoken):
            break
    said = {word.casefold() for word in _meaningful(question)}
    kept = [word for word in dict.fromkeys(words) if word.casefold() not in said][:_MOST]
    return f"{' '.join(kept)}: {question}" if kept else question


def exchanges(history: Sequence[BaseMessage]) -> list[tuple[str, str]]:
    """Questions with what was answered, oldest first; without small talk, and with "" for a refusal."""
    found: list[tuple[str, str]] = []
    small = False
    for message in history:
        if isinstance(message, HumanMessage):
            small = smalltalk(message.text) is not None
            found += [] if small else [(message.text, "")]
        elif isinstance(message, AIMessage) and found and not small and message.text not in REFUSALS.values():
            found[-1] = (found[-1][0], found[-1][1] or message.text)
    return found


def language_spoken(history: Sequence[BaseMessage]) -> str | None:
    """The language of the last question that tells one."""
    asked = (message.text for message in reversed(history) if isinstance(message, HumanMessage))
    return next((language for text in asked if (language := language_of(text))), None)


def rewriting(model: Runnable[Any, Any] | None, prompt: ChatPromptTemplate) -> Runnable[Turn, Turn]:
    """Fills `Turn.query`. The model is asked only where there is history and the question does not stand alone."""
    ask = prompt | model | StrOutputParser() if model is not None else None

    def rewrite(turn: Turn, config: RunnableConfig) -> Turn:
        since = time.perf_counter()
        if ask is None or not _asks(turn):
            return turn.timed("rewrite", since, query=standalone(turn.question, turn.history))
        try:
            said = ask.invoke(_variables(turn), config)
        except Exception:  # noqa: BLE001 - a provider's client raises what it likes; the rule needs no provider
            said = ""
        return turn.timed("rewrite", since, query=_checked(said, turn))

    async def arewrite(turn: Turn, config: RunnableConfig) -> Turn:
        since = time.perf_counter()
        if ask is None or not _asks(turn):
            return turn.timed("rewrite", since, query=standalone(turn.question, turn.history))
        try:
            said = await ask.ainvoke(_variables(turn), config)
        except Exception:  # noqa: BLE001 - as above
            said = ""
        return turn.timed("rewrite", since, query=_checked(said, turn))

    return RunnableLambda(rewrite, arewrite, name="rewrite")


def _asks(turn: Turn) -> bool:
    return bool(turn.history) and not stands_alone(turn.question, spoken=language_spoken(turn.history))


def _checked(said: str, turn: Turn) -> str:
    """The model's question if it is one line of sensible length, else the rule's."""
    question = said.strip().strip("\"'“”")
    usable = 0 < len(question) <= _LONGEST and "\n" not in question
    return question if usable else standalone(turn.question, turn.history)


def _variables(turn: Turn) -> dict[str, Any]:
    lines = [f"{message.type}: {' '.join(message.text.split())[:500]}" for message in turn.history[-_REMEMBERED:]]
    return {"history": "\n".join(lines).replace("<", "&lt;"), "question": turn.question}


def _meaningful(text: str) -> list[str]:
    return [word for word in re.findall(r"\w[\w'’-]*", text) if word.casefold() not in STOP_WORDS]


def _answer_names(text: str) -> list[str]:
    """Up to four names of the answer's first sentence: "Goethe.", then "When did he die?"."""
    first = next(iter(sentences(text)), None)
    return proper_names(without_markers(text[first.start : first.end]))[:4] if first else []
