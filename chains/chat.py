"""A chain for conversations: small talk, "what is in here?" and "summarise SOURCE" answered, every question passed on."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableConfig

from howdah.chains import phrases
from howdah.chains.memory import last_answer
from howdah.chains.models import Extractive, is_small
from howdah.chains.naming import Named, looks_like_a_file, named
from howdah.chains.prompts import load_prompt
from howdah.chains.rag import CONTEXT, model_name
from howdah.chains.smalltalk import SmallTalk, reply, smalltalk
from howdah.chains.streaming import AnswerStream
from howdah.chains.summarise import Summarising
from howdah.chains.summary_request import SummaryRequest, points_back, summary_request
from howdah.chains.turn import Turn, milliseconds, read
from howdah.chains.types import Answer, AnswerChunk
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.foreign_store import PGVectorTable
from howdah.retrieval.holdings import Holdings, Name, Parts, aholdings, anames, aparts, holdings, names, parts
from howdah.retrieval.vectorstore import PGVector

Given = str | Mapping[str, Any]


def chat_chain(
    chain: Runnable[Given, Answer],
    vectorstore: PGVector,
    model: Runnable[LanguageModelInput, AIMessage] | Extractive,
    *,
    prompts: str | Path | None = None,
    context: int | None = None,
) -> Runnable[Given, Answer]:
    """`chain` with manners: the same input and output, and whatever is no small talk and no summary goes to it.

    Args:
        chain: `rag_chain`'s or `rag_agent`'s.
        vectorstore: The collection that it answers from; what it holds, and its documents, are looked up there.
        model: What sums up a document; EXTRACTIVE, or the small local model, for the document's own sentences.
        prompts: A folder whose summarise.md comes before our own.
        context: Characters of passages that the model gets in one call. Default: 12,000.

    """
    if not isinstance(vectorstore, PGVector):
        raise InvalidInput(f"vectorstore is {type(vectorstore).__name__} and must be a PGVector")
    name = None if isinstance(model, Extractive) else model_name(model)
    writes = None if isinstance(model, Extractive) or is_small(name) else model
    summary = Summarising(writes, name, load_prompt("summarise", folder=prompts), limit=context or CONTEXT)
    return Chatting(chain, vectorstore, summary).with_config(run_name="chat_chain")


class Chatting(AnswerStream[Given]):
    """Streams AnswerChunks; invoked, gives the Answer that they add up to."""

    def __init__(self, chain: Runnable[Given, Answer], vectorstore: PGVector, summary: Summarising) -> None:
        self._chain, self._vectorstore, self._summary = chain, vectorstore, summary
        self._holds = not isinstance(vectorstore, PGVectorTable)  # a table of somebody else's has no documents
        super().__init__(self._reply, self._areply, name="chat")

    def _reply(self, inputs: Iterator[Given], config: RunnableConfig) -> Iterator[AnswerChunk]:
        for given in inputs:
            turn = read(given)
            if (small := self._small(turn)) is not None:
                yield _said(turn, reply(small) or _contents(small, holdings(self._vectorstore)))
            elif (asked := self._asked(turn)) is not None and (found := self._found(asked)) is not None:
                yield from (
                    self._summary.stream(turn, found, config) if isinstance(found, Parts) else [_said(turn, found)]
                )
            else:
                yield from cast("Iterator[AnswerChunk]", self._chain.stream(given, config))

    async def _areply(self, inputs: AsyncIterator[Given], config: RunnableConfig) -> AsyncIterator[AnswerChunk]:
        async for given in inputs:
            turn = read(given)
            if (small := self._small(turn)) is not None:
                yield _said(turn, reply(small) or _contents(small, await aholdings(self._vectorstore)))
            elif (asked := self._asked(turn)) is not None and (found := await self._afound(asked)) is not None:
                chunks = (
                    await self._summary.astream(turn, found, config)
                    if isinstance(found, Parts)
                    else [_said(turn, found)]
                )
                for chunk in chunks:
                    yield chunk
            else:
                async with aclosing(cast("Any", self._chain.astream(given, config))) as stream:
                    async for chunk in stream:
                        yield chunk

    def _small(self, turn: Turn) -> SmallTalk | None:
        small = smalltalk(turn.question)
        return small if small is not None and (self._holds or reply(small)) else None

    def _asked(self, turn: Turn) -> SummaryRequest | None:
        return _asked(turn) if self._holds else None

    def _found(self, asked: SummaryRequest) -> Parts | str | None:
        """The document; what to say where there is none, or are several; None where it is a question after all."""
        which = _which(asked, names(self._vectorstore))
        if which.source is None:
            return which.said
        found = parts(self._vectorstore, which.source)
        return found if found.hits else which.said

    async def _afound(self, asked: SummaryRequest) -> Parts | str | None:
        which = _which(asked, await anames(self._vectorstore))
        if which.source is None:
            return which.said
        found = await aparts(self._vectorstore, which.source)
        return found if found.hits else which.said


@dataclass(frozen=True, kw_only=True, slots=True)
class Which:
    """The source to sum up, and what to say where it has no chunks; without a source, what to say at once."""

    source: str | None = None
    said: str | None = None


def _which(asked: SummaryRequest, known: list[Name]) -> Which:
    found: Named = named(asked.name, known, titles=asked.sure)
    if len(found.sources) > 1:
        return Which(said=phrases.several(asked.name, found.sources, asked.language))
    if found.sources:
        return Which(source=found.sources[0], said=phrases.unknown(asked.name, (), asked.language))
    bare = asked.name.strip("\"'`“”„«»‘’")
    missing = phrases.unknown(bare, found.nearest, asked.language) if looks_like_a_file(asked.name) else None
    if not asked.sure:
        return Which(said=missing if found.nearest else None)
    return Which(source=bare, said=missing)  # rows added through the API have no document, but may name this source


def _asked(turn: Turn) -> SummaryRequest | None:
    """The request for a summary; "summarise it" is of the document that the last answer cites first."""
    asked = summary_request(turn.question)
    if asked is None or not points_back(asked):
        return asked
    last = last_answer(turn.history)
    cited = next((each.source for each in last.citations if each.source), None) if last else None
    return SummaryRequest(name=cited, language=asked.language, sure=True) if cited else None


def _said(turn: Turn, text: str) -> AnswerChunk:
    return AnswerChunk(text=phrases.printable(text), timings={"total": milliseconds(turn.began)})


def _contents(small: SmallTalk, held: Holdings) -> str:
    return phrases.contents(held.collection, held.documents, held.chunks, held.sources, small.language)
