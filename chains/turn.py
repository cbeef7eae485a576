"""What travels through the chain: the question as it came in, and what each step has found out about it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_messages

from howdah.chains.extractive import Candidate, candidates, quotes
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.types import Hit

_KEYS = frozenset({"question", "history", "filter", "k"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One question on its way. `query` is it standing alone; `hits` are best first, and the first `shown` of them are
    what a model sees; `began` is the clock when it came in. `narrowed`: how often the model has said that this is too long.
    `quotable` are sentences of the hits with the reranker's scores, where there is one.
    """

    question: str
    history: tuple[BaseMessage, ...] = ()
    filter: Mapping[str, Any] | None = None
    k: int | None = None
    query: str = ""
    hits: tuple[Hit, ...] = ()
    shown: int = 0
    refused: bool = False
    narrowed: int = 0
    quotable: tuple[Candidate, ...] = ()
    quote_scores: tuple[float, ...] = ()
    began: float = field(default_factory=time.perf_counter)
    timings: Mapping[str, float] = field(default_factory=dict)

    def timed(self, step: str, since: float, **found: Any) -> "Turn":
        """This turn with what `step`, begun at `since`, has found, and its time."""
        return replace(self, timings={**self.timings, step: milliseconds(since)}, **found)

    def with_history(self, history: Sequence[BaseMessage]) -> "Turn":
        return replace(self, history=tuple(history))

    def to_quote(self) -> list[Candidate]:
        """The sentences that an answer without a model's words is made of."""
        return quotes(self.query, self.quotable or candidates(self.hits), self.quote_scores, self.hits)

    def with_hits(self, hits: Sequence[Hit]) -> "Turn":
        return replace(self, hits=tuple(hits), shown=len(hits))


def read(given: str | Mapping[str, Any]) -> Turn:
    """The chain's input as a turn. Raises InvalidInput, naming what is wrong."""
    if isinstance(given, str):
        given = {"question": given}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"a question is a str or a dict, got {type(given).__name__}")
    if unknown := sorted(set(map(str, given)) - _KEYS):
        raise InvalidInput(f"unknown input {unknown[0]!r}", hint=f"a question takes {', '.join(sorted(_KEYS))}")
    question, k = given.get("question"), given.get("k")
    if not isinstance(question, str) or not question.strip():
        raise InvalidInput(f"the question is empty or no text, got {question!r}")
    if k is not None and (not isinstance(k, int) or isinstance(k, bool) or k < 1):
        raise InvalidInput(f"k is a whole number from 1, got {k!r}")
    history = tuple(convert_to_messages(given.get("history") or []))
    return Turn(question=question.strip(), query=question.strip(), history=history, filter=given.get("filter"), k=k)


def milliseconds(since: float) -> float:
    return (time.perf_counter() - since) * 1000
