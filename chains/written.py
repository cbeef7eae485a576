"""A text that a model has written already, checked and streamed as if it were being written now."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

from langchain_core.messages import AIMessage
from langchain_core.prompt_values import PromptValue, StringPromptValue
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from howdah.chains.answering import Answering
from howdah.chains.turn import Turn
from howdah.chains.verify import USUAL
from howdah.retrieval.rerank import Reranker


def checking(said: str, error: Exception | None, *, name: str, reranker: Reranker | None = None) -> Answering:
    """From a turn with its hits to the answer that they hold of `said`, by the model `name`, which then failed by `error`."""
    return Answering(prompting=_nothing(), model=_replay(said, error), name=name, reranker=reranker, bar=USUAL)


def _nothing() -> Runnable[Turn, PromptValue]:
    return RunnableLambda(lambda _turn: StringPromptValue(text=""), name="written")


def _replay(said: str, error: Exception | None) -> Runnable[Any, AIMessage]:
    def tokens(asked: Iterator[Any]) -> Iterator[AIMessage]:
        for _ in asked:
            yield AIMessage(said)
            if error is not None:
                raise error

    async def atokens(asked: AsyncIterator[Any]) -> AsyncIterator[AIMessage]:
        async for _ in asked:
            yield AIMessage(said)
            if error is not None:
                raise error

    return RunnableGenerator(cast("Any", tokens), cast("Any", atokens), name="written")
