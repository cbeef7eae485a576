"""A conversation's memory: questions and answers kept as messages, citations with them, in any LangChain chat history."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import fields
from typing import Any, cast

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import merge_configs

from howdah.chains.smalltalk import smalltalk
from howdah.chains.types import Answer, AnswerChunk, Citation
from howdah.retrieval.messages import ANSWER_KEY

_STOPPED = "stopped before its end"
_FIELDS = tuple(each.name for each in fields(Citation))


class Conversation:
    """A chain that remembers: each question goes to it with the history, and question and answer are kept together.

    `chain` is `rag_chain`'s, `rag_agent`'s or `chat_chain`'s; `history` any LangChain chat history, PostgresHistory
    above all. `collection` is kept with the answers, as that which they are from. An answer that the caller stops
    reading is kept as far as it came; one that failed is not. The conversation's id, where the history has one, is the
    `session_id` of the run's configuration and metadata, by which LangSmith groups runs.
    """

    def __init__(
        self, chain: Runnable[Any, Answer], history: BaseChatMessageHistory, *, collection: str | None = None
    ) -> None:
        self.chain, self.history, self._collection = chain, history, collection
        session = getattr(history, "session_id", None)
        known = {"session_id": session} if session else {}
        self._config: RunnableConfig = {"configurable": dict(known), "metadata": dict(known)}

    def ask(self, question: str, *, config: RunnableConfig | None = None, **options: Any) -> Answer:
        """The answer; `options` are `filter` and `k`."""
        return Answer.from_chunks(self.stream(question, config=config, **options))

    async def aask(self, question: str, *, config: RunnableConfig | None = None, **options: Any) -> Answer:
        return Answer.from_chunks([chunk async for chunk in self.astream(question, config=config, **options)])

    def stream(self, question: str, *, config: RunnableConfig | None = None, **options: Any) -> Generator[AnswerChunk]:
        """As `ask`, in AnswerChunks."""
        given = {"question": question, "history": self.history.messages, **options}
        said: list[AnswerChunk] = []
        try:
            with closing(
                cast("Generator[AnswerChunk]", self.chain.stream(given, merge_configs(self._config, config)))
            ) as chunks:
                for chunk in chunks:
                    said.append(chunk)
                    yield chunk
        except Exception:
            said.clear()
            raise
        finally:
            if kept := self._exchange(question, said):
                self.history.add_messages(kept)

    async def astream(
        self, question: str, *, config: RunnableConfig | None = None, **options: Any
    ) -> AsyncGenerator[AnswerChunk]:
        given = {"question": question, "history": await self.history.aget_messages(), **options}
        said: list[AnswerChunk] = []
        try:
            async with aclosing(
                cast("AsyncGenerator[AnswerChunk]", self.chain.astream(given, merge_configs(self._config, config)))
            ) as chunks:
                async for chunk in chunks:
                    said.append(chunk)
                    yield chunk
        except Exception:
            said.clear()
            raise
        finally:
            if kept := self._exchange(question, said):
                await self.history.aadd_messages(kept)

    def _exchange(self, question: str, said: Sequence[AnswerChunk]) -> list[BaseMessage]:
        answer = Answer.from_chunks(said)
        if not answer.text.strip():
            return []
        whole = "total" in answer.timings
        # What is small talk gives a conversation no title.
        small = {ANSWER_KEY: {"small": True}} if smalltalk(question) else {}
        kept = as_message(answer if whole else _with_note(answer), collection=self._collection)
        return [HumanMessage(question, response_metadata=small), kept]


def remembering(chain: Runnable[Any, Answer]) -> Runnable[Any, AIMessage]:
    """`chain` with the answer as a message: for RunnableWithMessageHistory, and whatever else wants messages."""
    return chain | RunnableLambda(as_message, name="as_message")


def as_message(answer: Answer, *, collection: str | None = None) -> AIMessage:
    """The answer's text as a message that keeps its citations, where no provider looks."""
    kept: dict[str, Any] = {"refused": answer.refused, "model": answer.model}
    if collection is not None:
        kept["collection"] = collection
    if answer.citations:
        kept["citations"] = [citation.to_dict() for citation in answer.citations]
    if answer.note:
        kept["note"] = answer.note
    if answer.trace:
        kept["trace"] = answer.trace
    return AIMessage(answer.text, response_metadata={ANSWER_KEY: kept})


def as_answer(message: BaseMessage) -> Answer:
    """What `as_message` kept of an answer; of any other message its text."""
    kept = message.response_metadata.get(ANSWER_KEY)
    if not isinstance(kept, Mapping):
        return Answer(text=message.text)
    citations = tuple(_citation(each) for each in kept.get("citations", ()))
    return Answer(
        text=message.text,
        citations=citations,
        refused=bool(kept.get("refused")),
        model=kept.get("model"),
        note=kept.get("note"),
        trace=kept.get("trace"),
    )


def last_answer(history: Sequence[BaseMessage]) -> Answer | None:
    """The newest answer of a conversation that is no small talk: it cites something, or refuses."""
    answers = (as_answer(message) for message in reversed(history) if isinstance(message, AIMessage))
    return next((answer for answer in answers if answer.citations or answer.refused), None)


def _with_note(answer: Answer) -> Answer:
    return Answer.from_chunks([AnswerChunk(text=answer.text, citations=answer.citations, note=_STOPPED)])


def _citation(kept: Mapping[str, Any]) -> Citation:
    known = {name: kept[name] for name in _FIELDS if name in kept}
    return Citation(**{**known, "also_in": tuple(known.get("also_in", ()))})
