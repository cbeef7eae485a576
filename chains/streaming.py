"""A step that answers in pieces, as a Runnable."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar, cast

from langchain_core.runnables import RunnableConfig, RunnableGenerator

from howdah.chains.types import Answer, AnswerChunk

Input = TypeVar("Input")


class AnswerStream(RunnableGenerator[Input, Answer]):
    """Streams the AnswerChunks that `step` and `astep` give; invoked, gives the Answer that they add up to."""

    def __init__(
        self,
        step: Callable[[Iterator[Input], RunnableConfig], Iterator[AnswerChunk]],
        astep: Callable[[AsyncIterator[Input], RunnableConfig], AsyncIterator[AnswerChunk]],
        *,
        name: str,
    ) -> None:
        # RunnableGenerator passes `config` to a function that takes it, which its annotation doesn't say.
        super().__init__(cast("Any", step), cast("Any", astep), name=name)

    def invoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        return Answer.from_chunks(cast("Iterator[AnswerChunk]", self.stream(input, config, **kwargs)))

    async def ainvoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        return Answer.from_chunks([cast("AnswerChunk", chunk) async for chunk in self.astream(input, config, **kwargs)])
