"""A chat model that says what it is told to, and a retriever over a list: what tests of the chains stand on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from pydantic import Field


class Scripted(BaseChatModel):
    """Says `text`, `size` characters a token; fails with `error` after `fails_after` tokens; keeps what it was asked."""

    text: str = ""
    size: int = 3
    error: Any = None
    fails_after: int = 0
    pause: float = 0.0
    model_name: str = "scripted"
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    said: list[str] = Field(default_factory=list)
    closed: list[bool] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def prompt(self) -> str:
        return "\n".join(message.text for message in self.asked[-1])

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        message = "".join(chunk.text for chunk in self._tokens(messages))
        return ChatResult(generations=[ChatGeneration(message=AIMessageChunk(content=message))])

    def _tokens(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        self.asked.append(messages)
        for n, begin in enumerate(range(0, max(len(self.text), 1), self.size)):
            if self.error is not None and n >= self.fails_after:
                raise self.error
            self.said.append(self.text[begin : begin + self.size])
            yield ChatGenerationChunk(message=AIMessageChunk(content=self.said[-1]))

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        try:
            yield from self._tokens(messages)
        finally:
            self.closed.append(True)

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        try:
            for token in self._tokens(messages):
                await asyncio.sleep(self.pause)
                yield token
        finally:
            self.closed.append(True)


class ToolCalling(BaseChatModel):
    """Answers with `replies` in turn, the last one for ever: a text, or queries to search for at the same time."""

    replies: list[Any]
    tool: str = "search_documents"
    model_name: str = "scripted"
    asked: list[list[BaseMessage]] = Field(default_factory=list)
    tools: list[Any] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def results(self) -> list[str]:
        """What the tool gave back, in order."""
        return [message.text for message in self.asked[-1] if message.type == "tool"]

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        self.tools[:] = tools
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        asked = max(n for n, message in enumerate(messages) if message.type == "human")
        turn = sum(message.type == "ai" for message in messages[asked:])
        self.asked.append(list(messages))
        reply = self.replies[min(turn, len(self.replies) - 1)]
        if isinstance(reply, Exception):
            raise reply
        return ChatResult(generations=[ChatGeneration(message=self._message(reply, turn))])

    def _message(self, reply: Any, turn: int) -> AIMessage:
        if isinstance(reply, str):
            return AIMessage(reply)
        calls: list[Any] = [
            {"name": self.tool, "args": {"query": query}, "id": f"{turn}-{n}"} for n, query in enumerate(reply)
        ]
        return AIMessage("Let me look.", tool_calls=calls)


class NoEmbeddings(Embeddings):
    """For stores whose vectors are all given: asked for one, the test is wrong."""

    model = "none:given"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        raise AssertionError(texts)

    def embed_query(self, text: str) -> list[float]:
        raise AssertionError(text)


class ListRetriever(BaseRetriever):
    """Gives `documents`, whatever the question; keeps the questions."""

    documents: list[Document]
    asked: list[str] = Field(default_factory=list)

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        self.asked.append(query)
        return list(self.documents)


class OptionsRetriever(ListRetriever):
    """As a vector store's retriever, takes options with the question; keeps them."""

    options: list[dict[str, Any]] = Field(default_factory=list)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        self.options.append(kwargs)
        return super()._get_relevant_documents(query, run_manager=run_manager)[: kwargs.get("k")]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return self._get_relevant_documents(query, run_manager=run_manager.get_sync(), **kwargs)


class WordReranker:
    """Scores a text by the share of the query's words that it holds."""

    def scores(self, query: str, texts: Any) -> list[float]:
        words = set(query.lower().strip("?").split())
        return [len(words & set(text.lower().replace(".", " ").split())) / len(words) for text in texts]
