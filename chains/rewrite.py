"""A follow-up question made to stand alone: by rule, or by the model where it is one that can."""

import re
import time
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from howdah.chains.markers import without_markers
from howdah.chains.sentences import sentences
from howdah.chains.turn import Turn
from howdah.chains.wordlists import STOP_WORDS
from howdah.chains.words import content_words, proper_names

_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|er|ihm|ihn|sein|seine|dessen|deren|davon|darüber|dazu"
    r"|él|ella|ellos|ellas|lo|il|elle|ils|elles|leur|leurs)\b",
    re.IGNORECASE,
)
_POINTS_AT = re.compile(
    r"\b(?:this|these|those|diese[mnrs]?|jene[mnrs]?|est[aeo]s?|es[ao]s?|cette|ces)\b"
    r"|\b(?:in|of|for|with|about|at|on|to|from|by|do|does|is|was|did|than) that\b|^that\b"
    r"|\bthe (?:other|same|former|latter|first|second|third|last) (?:one|two|ones)\b"
    r"|\b(?:there|else|instead)\b(?!\s+(?:is|are|was|were|any|a|an)\b)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"^(?:and|but|or|so|then|also|what about|how about|what else|und|aber|oder|was ist mit|y|e|pero|o|qué tal|et|mais|ou)\b",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"\b(?:is|was|does|did|will|would|can|could) it (?:take|cost|mean|rain|snow|possible|necessary|true|safe|legal|worth"
    r"|hard|easy|better|best|make sense|matter)\b|\bit (?:is|was) (?:possible|necessary|true)\b|\bthere (?:is|are|was|were)\b"
    r"|\b(?:is|are|was|were) there\b|\bgibt es\b|\bist es\b|\best-il\b|\by a-t-il\b",
    re.IGNORECASE,
)
_OWNS = re.compile(r"its|their|theirs|his|her|hers|seine?|deren|dessen|leurs?", re.IGNORECASE)
_CLAUSE = re.compile(
    r",|\b(?:and|or|but|when|while|if|because|that|so|und|oder|wenn|weil|y|si|cuando|et|quand)\b", re.IGNORECASE
)
_LONGEST = 400  # characters of a rewritten question; more is an answer, not a question
_REMEMBERED = 6  # messages that the model sees


def stands_alone(question: str) -> bool:
    """Whether `question` can be understood by itself: no word in it points back, and it has words of its own."""
    text = _NOBODY.sub(" ", question.strip(" \t\n¿¡"))
    if _GOES_ON.match(text) or _POINTS_AT.search(text):
        return False
    if not content_words(question):
        return False
    back = _POINTS_BACK.search(text)
    return back is None or _named_before(text[: back.start()], back[0])


def _named_before(text: str, pronoun: str) -> bool:
    """Whether `text`, the question up to `pronoun`, names what it stands for: in another clause, or as the owner."""
    named = bool(proper_names(text)) or len(content_words(text)) >= 2
    return named and (_OWNS.fullmatch(pronoun) or _CLAUSE.search(text)) is not None


def standalone(question: str, history: Sequence[BaseMessage]) -> str:
    """`question`, and before it what it points back to: the last questions' content words and the last answer's names."""
    if stands_alone(question):
        return question
    words: list[str] = []
    for message in reversed(history):
        if isinstance(message, AIMessage) and not words:
            words = _answer_names(message.text)
        elif isinstance(message, HumanMessage):
            words = _meaningful(message.text) + words
            if stands_alone(message.text):
                break
    said = {word.casefold() for word in _meaningful(question)}
    kept = [word for word in dict.fromkeys(words) if word.casefold() not in said]
    return f"{' '.join(kept)}: {question}" if kept else question


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
    return bool(turn.history) and not stands_alone(turn.question)


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
