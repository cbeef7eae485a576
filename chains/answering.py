"""The last step of the chain: refuse, write with a model and verify, or quote; always in pieces that add up."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing, closing
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator

from howdah.chains.draft import Draft
from howdah.chains.extractive import best, candidates, overlap_scores, weighted
from howdah.chains.phrases import REFUSALS, refusal
from howdah.chains.turn import Turn, milliseconds
from howdah.chains.types import Answer, AnswerChunk
from howdah.chains.verify import Bar
from howdah.retrieval.rerank import Reranker, ascores

REFUSAL = REFUSALS["en"]
EXTRACTIVE_NAME = "extractive"


class Answering(RunnableGenerator[Turn, Answer]):
    """Streams AnswerChunks; invoked, gives the Answer that they add up to.

    `prompting` gives what `model`, called `name`, is asked about a turn; without a model the answer is quotes.
    """

    def __init__(
        self,
        *,
        prompting: Runnable[Turn, PromptValue],
        model: Runnable[LanguageModelInput, AIMessage] | None,
        name: str | None,
        reranker: Reranker | None,
        bar: Bar,
    ) -> None:
        self._bar = bar
        self._prompting, self._model, self._name, self._reranker = prompting, model, name, reranker
        # RunnableGenerator passes `config` to a function that takes it, which its annotation doesn't say.
        super().__init__(cast("Any", self._answer), cast("Any", self._aanswer), name="answer")

    def invoke(self, input: Turn, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        return Answer.from_chunks(cast("Iterator[AnswerChunk]", self.stream(input, config, **kwargs)))

    async def ainvoke(self, input: Turn, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        return Answer.from_chunks([cast("AnswerChunk", chunk) async for chunk in self.astream(input, config, **kwargs)])

    def _answer(self, turns: Iterator[Turn], config: RunnableConfig) -> Iterator[AnswerChunk]:
        for turn in turns:
            reply = Reply(turn, self._name, self._bar)
            yield reply.opening()
            if self._model is not None and not turn.refused:
                # Not piped into a parser: on being left, LangChain's pipe reads its input, the model, to the end.
                prompt = self._prompting.invoke(turn, config)
                yield from reply.write(cast("Generator[AIMessage]", self._model.stream(prompt, config)))
            if reply.needs_quotes:
                yield from reply.quote(reply.scores(self._reranker))
            yield reply.closing()

    async def _aanswer(self, turns: AsyncIterator[Turn], config: RunnableConfig) -> AsyncIterator[AnswerChunk]:
        async for turn in turns:
            reply = Reply(turn, self._name, self._bar)
            yield reply.opening()
            if self._model is not None and not turn.refused:
                prompt = await self._prompting.ainvoke(turn, config)
                tokens = cast("AsyncGenerator[AIMessage]", self._model.astream(prompt, config))
                async with aclosing(reply.awrite(tokens)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            if reply.needs_quotes:
                for chunk in reply.quote(await reply.ascores(self._reranker)):
                    yield chunk
            yield reply.closing()


class Reply:
    """One answer on its way to the reader; what sync and async share of making it."""

    def __init__(self, turn: Turn, model: str | None, bar: Bar) -> None:
        self._turn, self._model = turn, model
        self._draft = Draft(turn, bar)
        self._timings: dict[str, float] = {}
        self._error: Exception | None = None
        self._wrote = False  # that the model did, rather than a quote

    @property
    def needs_quotes(self) -> bool:
        return not (self._turn.refused or self._draft.wrote or self._draft.declined)

    def opening(self) -> AnswerChunk:
        return AnswerChunk(hits=self._turn.hits, timings=self._turn.timings)

    def write(self, tokens: Generator[AIMessage]) -> Iterator[AnswerChunk]:
        since = time.perf_counter()
        with closing(tokens):
            while not self._draft.enough:
                try:
                    token = next(tokens)
                except StopIteration:
                    yield from self._seen(self._draft.finish())
                    break
                except Exception as error:  # noqa: BLE001 - a provider's client raises what it likes; quotes need none
                    self._error = error
                    break
                yield from self._seen(self._draft.feed(token.text))
        self._wrote, self._timings["model"] = self._draft.wrote, milliseconds(since)

    async def awrite(self, tokens: AsyncGenerator[AIMessage]) -> AsyncGenerator[AnswerChunk]:
        since = time.perf_counter()
        async with aclosing(tokens):
            while not self._draft.enough:
                try:
                    token = await anext(tokens)
                except StopAsyncIteration:
                    for chunk in self._seen(self._draft.finish()):
                        yield chunk
                    break
                except Exception as error:  # noqa: BLE001 - as above
                    self._error = error
                    break
                for chunk in self._seen(self._draft.feed(token.text)):
                    yield chunk
        self._wrote, self._timings["model"] = self._draft.wrote, milliseconds(since)

    def scores(self, reranker: Reranker | None) -> list[float] | None:
        """A reranker's, of the sentences that could be quoted."""
        return None if reranker is None else reranker.scores(self._turn.query, self._quotable())

    async def ascores(self, reranker: Reranker | None) -> list[float] | None:
        return None if reranker is None else await ascores(reranker, self._turn.query, self._quotable())

    def quote(self, scores: Sequence[float] | None) -> Iterator[AnswerChunk]:
        turn = self._turn
        found = candidates(turn.hits)
        plain = overlap_scores(turn.query, found) if scores is None else scores
        yield from self._seen(self._draft.quote(best(found, weighted(plain, found, turn.hits))))

    def _quotable(self) -> list[str]:
        return [each.text for each in candidates(self._turn.hits)]

    def closing(self) -> AnswerChunk:
        refused = self._turn.refused or self._draft.declined
        return AnswerChunk(
            text=refusal(self._turn.question) if refused else "",
            refused=refused,
            model=self._author(),
            note=self._note(),
            timings={**self._timings, "total": milliseconds(self._turn.began)},
        )

    def _seen(self, chunks: Iterator[AnswerChunk]) -> Iterator[AnswerChunk]:
        for chunk in chunks:
            if chunk.text and "first" not in self._timings:
                self._timings["first"] = milliseconds(self._turn.began)
            yield chunk

    def _author(self) -> str | None:
        if self._turn.refused:
            return None
        return self._model if self._wrote or self._draft.declined else EXTRACTIVE_NAME

    def _note(self) -> str | None:
        """The error's class alone: its text may hold keys, or the documents."""
        if self._model is None or self._turn.refused or self._draft.declined:
            return None
        if self._error is not None:
            failed = f"{self._model} failed ({type(self._error).__name__})"
            return f"{failed}; the answer may be incomplete" if self._wrote else f"{failed}; these are quotes"
        return None if self._wrote else f"no passage held what {self._model} wrote; these are quotes"
