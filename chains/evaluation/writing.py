"""Who writes questions: the rules, or a chat model whose questions are checked before anyone sees them."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from howdah.chains.evaluation import english, rules
from howdah.chains.evaluation.rules import Made, plain
from howdah.chains.evaluation.squad import contains
from howdah.chains.sentences import sentences
from howdah.chains.trace import prompt_version
from howdah.retrieval.errors import HowdahError
from howdah.retrieval.providers import failure
from howdah.retrieval.types import Hit

_WORD = re.compile(r"\w+")
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)
_RUN = 8  # words of the passage in a row, from which a question is a copy of it
_PART = 0.6  # the same as a part of the question
_LONGEST = 40  # words of a question; of an answer
_SHORTEST = 200  # characters of a passage that is worth a call


class Writer(Protocol):
    """Makes questions about a passage, the best first. `by`, `model` and `prompt` say who, for the provenance."""

    @property
    def by(self) -> str: ...
    @property
    def model(self) -> str | None: ...
    @property
    def prompt(self) -> str | None: ...

    def write(self, hit: Hit) -> list[Made]: ...


@dataclass(frozen=True)
class Rules:
    """English alone, and never wrong about where the answer stands."""

    by: str = "rule"
    model: str | None = None
    prompt: str | None = None

    def write(self, hit: Hit) -> list[Made]:
        return rules.made(hit)


@dataclass
class Model:
    """One call a passage. `rejected` counts replies by what was wrong with them."""

    chat: Runnable[LanguageModelInput, AIMessage]
    template: ChatPromptTemplate
    model: str | None
    by: str = "model"
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        return prompt_version(self.template)

    def write(self, hit: Hit) -> list[Made]:
        if len(hit.content) < _SHORTEST:
            return []
        question, answer = parsed(self._reply(hit.content))
        wrong = fault(question, answer, hit.content)
        quote = evidence(hit.content, answer) if not wrong else None
        if wrong or quote is None:
            wrong = wrong or "the answer lies in no one sentence"
            self.rejected[wrong] = self.rejected.get(wrong, 0) + 1
            return []
        start = hit.start or 0
        return [
            Made(
                question=question,
                answers=(answer,),
                quote=hit.content[slice(*quote)],
                start=start + quote[0],
                end=start + quote[1],
                form="model",
            )
        ]

    def _reply(self, passage: str) -> str:
        try:
            return self.chat.invoke(self.template.invoke({"passage": passage})).text
        except HowdahError:
            raise
        except Exception as error:  # a provider's client raises what it likes
            raise failure(error, what=f"asking {self.model} for a question") from error


def parsed(reply: str) -> tuple[str, str]:
    """Question and answer of a model's reply, a JSON object with these keys; "" for what is not there."""
    match = _OBJECT.search(reply)
    try:
        found: Any = json.loads(match[0]) if match else {}
    except ValueError:
        found = {}
    question, answer = (found.get(key) if isinstance(found, dict) else None for key in ("question", "answer"))
    return tuple(" ".join(each.split()) if isinstance(each, str) else "" for each in (question, answer))  # type: ignore[return-value]


def fault(question: str, answer: str, passage: str) -> str:
    """What is wrong with a model's question; "" where nothing is found.

    The answer has to stand in the passage and not in the question; the question must not be a piece of the passage with a
    question mark, which any search for the same words would find; and it must be understood without the passage.
    """
    if not question or not answer:
        return "no question and answer"
    if not question.endswith(("?", "？", "؟")) or max(len(question.split()), len(answer.split())) > _LONGEST:
        return "no question, or a long one"
    if not contains(plain(passage), [answer]):
        return "the answer is not in the passage"
    if contains(question, [answer]):
        return "the question gives the answer"
    if english.points_elsewhere(question) or re.search(
        r"\b(?:passage|text|document|author)\b", question, re.IGNORECASE
    ):
        return "it cannot stand alone"
    asked = _words(question)
    run = longest_run(asked, _words(passage))
    return "it copies the passage" if run >= min(_RUN, max(_PART * len(asked), 4)) else ""


def longest_run(asked: Sequence[str], passage: Sequence[str]) -> int:
    """How many words of `asked` stand in a row in `passage`, at most."""
    best, before = 0, [0] * (len(passage) + 1)
    for word in asked:
        row = [0] * (len(passage) + 1)
        for place, other in enumerate(passage, start=1):
            if word == other:
                row[place] = before[place - 1] + 1
                best = max(best, row[place])
        before = row
    return best


def evidence(passage: str, answer: str) -> tuple[int, int] | None:
    """Where the first sentence, or pair of sentences, stands that holds the answer."""
    found = sentences(passage)
    for size in (1, 2):
        for place in range(len(found) - size + 1):
            begin, end = found[place].start, found[place + size - 1].end
            if contains(plain(passage[begin:end]), [answer]):
                return begin, end
    return None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
