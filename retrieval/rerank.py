"""How well a passage answers a question, by a cross-encoder that reads both at once."""

import asyncio
import math
from collections.abc import Sequence

from howdah.retrieval.local_models import MS_MARCO, checked_texts, engine, spread, usable_cores

SLICE = 8
"""Texts a thread between two chances to cancel."""


class LocalReranker:
    """ms-marco-MiniLM-L-12-v2 (int8) on this machine's cores; no network.

    A pair's score depends on that pair alone, so a threshold on it means the same in every list.
    The constructor does no I/O; threads may share one, forks and pickles get their own model.
    """

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
