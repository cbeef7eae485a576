"""One document in a few sentences: its own most central ones, or a model's, each held by a passage of it.

A model reads the document in parts that fit it, several at once. What it says is checked as an answer is.
"""

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import merge_configs

from howdah.chains.answering import Answering
from howdah.chains.central import MOST, central_chunks, summary_sentences
from howdah.chains.citations import citation
from howdah.chains.context import format_context, shown
from howdah.chains.extractive import Candidate
from howdah.chains.numbered import renumbered
from howdah.chains.phrases import no_summary
from howdah.chains.showable import quotable
from howdah.chains.turn import Turn, milliseconds
from howdah.chains.types import Answer, AnswerChunk, Check
from howdah.chains.written import checking
from howdah.retrieval.holdings import Parts
from howdah.retrieval.types import Hit

MOST_PARTS = 6  # calls of the model for one document
_AT_ONCE = 4  # of them at a time
_A_PART = 3  # sentences of one, where there are several

Model = Runnable[LanguageModelInput, AIMessage]
Replies = Sequence[AIMessage | Exception]


class Summarising:
    """Sums up a document for a turn, in AnswerChunks. Without a model the summary is quotes.

    `limit` is how many characters of passages the model gets in one call.
    """

    def __init__(self, model: Model | None, name: str | None, prompt: ChatPromptTemplate, *, limit: int) -> None:
        self._model, self._name, self._prompt, self._limit = model, name, prompt, limit

    def stream(self, turn: Turn, parts: Parts, config: RunnableConfig) -> Iterator[AnswerChunk]:
        since = time.perf_counter()
        if self._model is None:
            return self._quoted(turn, parts, since)
        hits = _readable(parts, self._limit)
        replies = self._model.batch(self._asked(hits), _bounded(config), return_exceptions=True)
        chunks = self._checking(replies).stream(turn.with_hits(hits), config)
        return self._told(turn, parts, list(cast("Iterator[AnswerChunk]", chunks)), since, _failure(replies))

    async def astream(self, turn: Turn, parts: Parts, config: RunnableConfig) -> Iterator[AnswerChunk]:
        """The chunks, once the model has answered."""
        since = time.perf_counter()
        if self._model is None:
            return self._quoted(turn, parts, since)
        hits = _readable(parts, self._limit)
        replies = await self._model.abatch(self._asked(hits), _bounded(config), return_exceptions=True)
        stream = cast("AsyncIterator[AnswerChunk]", self._checking(replies).astream(turn.with_hits(hits), config))
        return self._told(turn, parts, [chunk async for chunk in stream], since, _failure(replies))

    def _asked(self, hits: Sequence[Hit]) -> list[LanguageModelInput]:
        contexts = _contexts(hits, self._limit)
        sentences = MOST if len(contexts) == 1 else min(_A_PART, max(2, MOST // len(contexts)))
        return [self._rendered(context, sentences) for context in contexts]

    def _rendered(self, context: str, sentences: int) -> PromptValue:
        return self._prompt.invoke({"context": context, "sentences": sentences})

    def _quoted(self, turn: Turn, parts: Parts, since: float, note: str | None = None) -> Iterator[AnswerChunk]:
        yield AnswerChunk(hits=parts.hits)
        sentences = summary_sentences(parts.hits, parts.embeddings)
        yield from quoted(parts.hits, sentences) if sentences else [AnswerChunk(text=no_summary(turn.question))]
        yield _closing(turn, since, model="extractive", note=note)

    def _checking(self, replies: Replies) -> Answering:
        """All that the model wrote as one text; its failure where it wrote nothing."""
        texts = [each.text for each in replies if not isinstance(each, Exception)]
        return checking("\n\n".join(texts), None if texts else _failure(replies), name=str(self._name))

    def _told(
        self, turn: Turn, parts: Parts, chunks: Sequence[AnswerChunk], since: float, failed: Exception | None
    ) -> Iterator[AnswerChunk]:
        """Up to MOST sentences of what the document holds of the model's; its own sentences where that is nothing."""
        whole = Answer.from_chunks(chunks)
        if whole.model != self._name or whole.refused or not whole.text:
            yield from self._quoted(turn, parts, since, whole.note)
            return
        count = 0
        for chunk in chunks:
            count += bool(chunk.text)
            if count <= MOST or not chunk.text:
                yield chunk
        if failed is not None:
            yield AnswerChunk(note=f"{self._name} failed ({type(failed).__name__}); the summary may be incomplete")


def quoted(hits: Sequence[Hit], candidates: Sequence[Candidate]) -> Iterator[AnswerChunk]:
    """A line for each sentence, as it stands in the document."""
    for n, candidate in enumerate(candidates, start=1):
        yield AnswerChunk(
            text=f"{'' if n == 1 else chr(10)}- {' '.join(quotable(candidate.text).split())} [{n}]",
            citations=(citation(hits[candidate.place], candidate.span, n=n),),
            checks=(Check(status="quoted", n=(n,)),),
        )


def _failure(replies: Replies) -> Exception | None:
    return next((each for each in replies if isinstance(each, Exception)), None)


def _closing(turn: Turn, since: float, *, model: str | None, note: str | None) -> AnswerChunk:
    timings = {"summary": milliseconds(since), "total": milliseconds(turn.began)}
    return AnswerChunk(model=model, note=note, timings=timings)


def _readable(parts: Parts, limit: int) -> list[Hit]:
    """The chunks in order, or of a longer document the most central ones that MOST_PARTS calls hold."""
    length = sum(len(hit.content) for hit in parts.hits)
    most = len(parts.hits) * limit * MOST_PARTS // (length * 5 // 4 + 1)
    return [parts.hits[number] for number in central_chunks(parts.embeddings, max(most, 1))]


def _contexts(hits: Sequence[Hit], limit: int) -> list[str]:
    """The passages in parts of at most `limit` characters, numbered through."""
    contexts: list[str] = []
    begin = 0
    while begin < len(hits) and len(contexts) < MOST_PARTS:
        context = format_context(hits[begin:], question="", limit=limit)
        count = shown(context)
        if not count:
            break
        contexts.append(renumbered(context, begin))
        begin += count
    return contexts


def _bounded(config: RunnableConfig) -> RunnableConfig:
    return merge_configs(config, {"max_concurrency": min(config.get("max_concurrency") or _AT_ONCE, _AT_ONCE)})
