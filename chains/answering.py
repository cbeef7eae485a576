"""The last step of the chain: refuse, write with a model and verify, or quote; always in pieces that add up."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

from langchain_core.runnables import RunnableConfig

from howdah.chains.asking import Asking
from howdah.chains.draft import Policy
from howdah.chains.leaving import Left
from howdah.chains.reply import REFUSAL, Reply, Steps, Verify
from howdah.chains.ruling import Question
from howdah.chains.searched import Searched
from howdah.chains.streaming import AnswerStream
from howdah.chains.turn import Turn
from howdah.chains.types import Answer, AnswerChunk
from howdah.chains.verify import Bar
from howdah.retrieval.rerank import Reranker, ascores, checked_scores

__all__ = ["REFUSAL", "Answering"]


class Answering(AnswerStream[Turn]):
    """Streams AnswerChunks; invoked, gives the Answer that they add up to.

    `asking` asks the model called `name`; without it the answer is quotes.
    """

    def __init__(
        self,
        *,
        asking: Asking | None,
        name: str | None,
        reranker: Reranker | None,
        bar: Bar,
        policy: Policy,
        verify: Verify,
        small: bool = False,
        searched: Searched | None = None,
    ) -> None:
        self._asking, self._name, self._reranker, self._searched = asking, name, reranker, searched
        self._bar, self._small = bar, small
        self._policy: Policy = policy
        self._verify: Verify = verify
        super().__init__(self._answer, self._aanswer, name="answer")

    def transform(self, input: Iterator[Turn], config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Answer]:
        return Left(super().transform(input, config, **kwargs))

    def _reply(self, turn: Turn) -> Reply:
        return Reply(turn, self._name, self._bar, policy=self._policy, verify=self._verify, small=self._small)

    def _answer(self, turns: Iterator[Turn], config: RunnableConfig) -> Iterator[AnswerChunk]:
        for turn in turns:
            reply = self._reply(turn)
            yield reply.opening()
            if self._asking is not None and not turn.refused:
                yield from self._written(reply, self._asking, turn, config)
            if reply.needs_quotes:
                yield from self._driven(reply.quote())
            yield from reply.closing(self._searched.described(turn.filter) if self._searched and reply.refused else {})

    def _written(self, reply: Reply, asking: Asking, turn: Turn, config: RunnableConfig) -> Iterator[AnswerChunk]:
        with closing(asking.tokens(turn, config, told=reply.told)) as tokens:
            while not reply.enough:
                try:
                    token = next(tokens)
                except StopIteration:
                    yield from self._driven(reply.finish())
                    break
                except Exception as error:  # noqa: BLE001 - a provider's client raises what it likes; quotes need none
                    reply.error = error
                    break
                yield from self._driven(reply.feed(token))
        reply.end()

    def _driven(self, steps: Steps) -> Iterator[AnswerChunk]:
        """The chunks of `steps`, whose questions the reranker answers."""
        given: list[float] | None = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration:
                return
            given = None if isinstance(step, AnswerChunk) else self._scores(step)
            if isinstance(step, AnswerChunk):
                yield step

    def _scores(self, question: Question) -> list[float]:
        sentence, texts = question
        if self._reranker is None or not texts:
            return []
        try:
            return checked_scores(self._reranker.scores(sentence, texts), len(texts))
        except Exception:  # noqa: BLE001 - anyone's reranker; what it would say can be done without
            return []

    async def _aanswer(self, turns: AsyncIterator[Turn], config: RunnableConfig) -> AsyncIterator[AnswerChunk]:
        async for turn in turns:
            reply = self._reply(turn)
            yield reply.opening()
            if self._asking is not None and not turn.refused:
                async with aclosing(self._awritten(reply, self._asking, turn, config)) as written:
                    async for chunk in written:
                        yield chunk
            if reply.needs_quotes:
                async with aclosing(self._adriven(reply.quote())) as quoted:
                    async for chunk in quoted:
                        yield chunk
            about = await self._searched.adescribed(turn.filter) if self._searched and reply.refused else {}
            for chunk in reply.closing(about):
                yield chunk

    async def _awritten(
        self, reply: Reply, asking: Asking, turn: Turn, config: RunnableConfig
    ) -> AsyncGenerator[AnswerChunk]:
        async with aclosing(asking.atokens(turn, config, told=reply.told)) as tokens:
            while not reply.enough:
                last = False
                try:
                    steps = reply.feed(await anext(tokens))
                except StopAsyncIteration:
                    steps, last = reply.finish(), True
                except Exception as error:  # noqa: BLE001 - as above
                    reply.error = error
                    break
                async for chunk in self._adriven(steps):
                    yield chunk
                if last:
                    break
        reply.end()

    async def _adriven(self, steps: Steps) -> AsyncGenerator[AnswerChunk]:
        given: list[float] | None = None
        while True:
            try:
                step = steps.send(given)
            except StopIteration:
                return
            given = None if isinstance(step, AnswerChunk) else await self._ascores(step)
            if isinstance(step, AnswerChunk):
                yield step

    async def _ascores(self, question: Question) -> list[float]:
        sentence, texts = question
        if self._reranker is None or not texts:
            return []
        try:
            return checked_scores(await ascores(self._reranker, sentence, texts), len(texts))
        except Exception:  # noqa: BLE001 - as above
            return []
