"""How well a passage answers a question, by a cross-encoder that reads both at once, and hits in the order of that."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.local_models import MS_MARCO, checked_texts, engine, spread, usable_cores
from howdah.retrieval.types import Hit

SLICE = 8
"""Texts a thread between two chances to cancel."""


@runtime_checkable
class Reranker(Protocol):
    """Anything that scores texts for a query, in [0, 1] and higher for better, one score a text.

    One that has `ascores` too, an async method of the same signature, is awaited; another works in a thread.
    """

    def scores(self, query: str, texts: Sequence[str]) -> list[float]: ...


class LocalReranker:
    """ms-marco-MiniLM-L-12-v2 (int8) on this machine's cores; no network.

    A pair's score depends on that pair alone, so a threshold on it means the same in every list.
    The constructor does no I/O; threads may share one, forks and pickles get their own model.
    """

    fingerprint = MS_MARCO.fingerprint
    """Changes with the model: bounds on its scores are not used with another's."""

    def __init__(self, *, threads: int | None = None) -> None:
        self._threads = threads

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """The relevance of each text to `query`, in the order of `texts`: the logit's sigmoid, in [0, 1].

        A query and text of more than 512 tokens together are cut, the longer one first.
        Raises PackageMissing or ModelUnavailable without the model's files, InvalidInput for what is not text.
        """
        (query,), listed = checked_texts([query]), checked_texts(texts)
        if not listed:
            return []
        model = engine(MS_MARCO)
        logits = spread(lambda text: float(model.run(query, text)[0]), listed, threads=self._threads or usable_cores())
        return [_sigmoid(logit) for logit in logits]

    async def ascores(self, query: str, texts: Sequence[str]) -> list[float]:
        """As `scores`, off the event loop; a cancelled call stops after the slice that it is in."""
        listed, step = checked_texts(texts), SLICE * (self._threads or usable_cores())
        found: list[float] = []
        for start in range(0, len(listed), step):
            found += await asyncio.to_thread(self.scores, query, listed[start : start + step])
        return found


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


async def ascores(reranker: Reranker, query: str, texts: Sequence[str]) -> list[float]:
    """By the reranker's own `ascores`, else in a thread: the arithmetic would hold the loop."""
    own = getattr(reranker, "ascores", None)
    found: list[float] = await (own(query, texts) if own else asyncio.to_thread(reranker.scores, query, texts))
    return found


def by_scores(hits: Sequence[Hit], scores: Sequence[float]) -> list[Hit]:
    """The hits with these scores as `score` and `scores["rerank"]`, best first; equal ones stay in the order of `hits`.

    Raises InvalidInput for anything but one number a hit.
    """
    scored = [
        replace(hit, score=score, scores={**hit.scores, "rerank": score})
        for hit, score in zip(hits, checked_scores(scores, len(hits)), strict=True)
    ]
    return sorted(scored, key=lambda hit: -hit.score)


def checked_scores(scores: Sequence[float], count: int) -> list[float]:
    """A reranker's scores as numbers, one for each of `count` texts; else InvalidInput."""
    numbers = [float(score) for score in scores]
    if len(numbers) != count or any(map(math.isnan, numbers)):
        raise InvalidInput(
            f"the reranker gave {len(numbers)} scores for {count} texts, {sum(map(math.isnan, numbers))} of them NaN",
            hint="scores(query, texts) returns one number a text, in the order of the texts",
        )
    return numbers
