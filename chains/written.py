"""A text that a model has written already, checked and streamed as if it were being written now."""

from collections.abc import AsyncGenerator, Generator
from typing import Any

from howdah.chains.answering import Answering
from howdah.chains.asking import Asking
from howdah.chains.searched import Searched
from howdah.chains.verify import USUAL
from howdah.retrieval.rerank import Reranker


def checking(
    said: str, error: Exception | None, *, name: str, reranker: Reranker | None = None, searched: Searched | None = None
) -> Answering:
    """From a turn with its hits to the answer that they hold of `said`, by the model `name`, which then failed by `error`."""
    asking = _Written(said, error)
    return Answering(
        asking=asking, name=name, reranker=reranker, searched=searched, bar=USUAL, policy="repair", verify="before"
    )


class _Written(Asking):
    """Nobody is asked: the answer is there."""

    def __init__(self, said: str, error: Exception | None) -> None:
        self._said, self._error = said, error

    def tokens(self, *_turn: Any, **_told: Any) -> Generator[str]:
        yield self._said
        if self._error is not None:
            raise self._error

    async def atokens(self, *_turn: Any, **_told: Any) -> AsyncGenerator[str]:
        yield self._said
        if self._error is not None:
            raise self._error
