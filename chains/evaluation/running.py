"""Questions through the chain, one after another: each answer with what the chain knew when it gave or refused it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import Runnable

from howdah.chains.evaluation.cases import Case
from howdah.chains.evaluation.outcome import Outcome, Refusal, outcome
from howdah.chains.refusal import Bound, best_score
from howdah.chains.signs import read_signs
from howdah.chains.turn import Turn
from howdah.chains.types import Answer

WARM_UP = "What is a warm-up?"  # models are loaded by the first question, whose time says nothing of the others'


@dataclass(frozen=True, kw_only=True)
class Chains:
    """The chain to measure, and the same one without a bound for refusals. `bound` is what the first goes by.

    None: it goes by scores and shared words (select.py), and a passage's score stands for the chance.
    """

    asked: Runnable[Any, Answer]
    unbounded: Runnable[Any, Answer]
    bound: Bound | None
    filter: Mapping[str, Any] | None = None


class Watch(BaseCallbackHandler):
    """Keeps the last state of a question on its way, as the chain's steps hand it on."""

    run_inline = True

    def __init__(self) -> None:
        self.turn: Turn | None = None

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        if isinstance(outputs, Turn):
            self.turn = outputs


def run(chains: Chains, cases: Sequence[Case]) -> Iterator[Outcome]:
    """The outcome of each case in turn. What a chain raises ends it."""
    if cases:
        chains.asked.invoke({"question": WARM_UP, "filter": chains.filter})
    for case in cases:
        yield _one(chains, case)


def _one(chains: Chains, case: Case) -> Outcome:
    watch, began = Watch(), time.perf_counter()
    given = {"question": case.question, "filter": chains.filter}
    chunks: list[Any] = list(chains.asked.stream(given, config={"callbacks": [watch]}))
    ms = (time.perf_counter() - began) * 1000
    return outcome(case, chunks, ms=ms, refusal=_refusal(chains, case, given, watch.turn))


def _refusal(chains: Chains, case: Case, given: dict[str, Any], turn: Turn | None) -> Refusal:
    """What an answerable question that was refused would have been answered is asked for: the curve needs to know."""
    if turn is None or not turn.hits:
        return Refusal(by_bound=turn is not None and turn.refused)
    forced = chains.unbounded.invoke(given) if turn.refused and not case.unanswerable else None
    return Refusal(chance=chance(turn, chains.bound), by_bound=turn.refused, forced=forced)


def chance(turn: Turn, bound: Bound | None) -> float:
    """What decides on refusal: the bound's chance, else the best passage's score; higher speaks for an answer."""
    if bound is None:
        return best_score(turn.hits)
    return bound.chance(read_signs(turn.query, turn.hits, turn.quotable, turn.quote_scores))
