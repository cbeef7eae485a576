"""The agent: a model that searches as often as it needs, and whose answer is held by what it found, as the chain's is."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from howdah.chains.agent_tool import search_tool
from howdah.chains.found import Run
from howdah.chains.history import HISTORY_TOKENS, trimming
from howdah.chains.models import is_small
from howdah.chains.prompts import checked, load_prompt
from howdah.chains.rag import chosen, model_name
from howdah.chains.retrieve import retrieving
from howdah.chains.searched import Searched
from howdah.chains.select import Selection, selecting
from howdah.chains.streaming import AnswerStream
from howdah.chains.traced import keeping
from howdah.chains.turn import Turn, read
from howdah.chains.types import Answer, AnswerChunk
from howdah.chains.written import checking
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.rerank import Reranker
from howdah.retrieval.tracing import Traces

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from howdah.retrieval.store import Store
    from howdah.retrieval.vectorstore import PGVector

    Graph = CompiledStateGraph[Any, Any, Any, Any]

SHOWN = 4_000  # characters of passages that one search shows


def rag_agent(
    retriever: Runnable[str, list[Document]],
    model: BaseChatModel,
    *,
    prompt: ChatPromptTemplate | None = None,
    prompts: str | Path | None = None,
    reranker: Reranker | None = None,
    min_score: float | None = None,
    searches: int = 6,
    passages: int = 4,
    context: int = SHOWN,
    history_tokens: int = HISTORY_TOKENS,
    trace: "PGVector | Store | Traces | None" = None,
) -> Runnable[str | Mapping[str, Any], Answer]:
    """A Runnable with `rag_chain`'s input and output, for questions that take several searches.

    The model calls a search tool until it knows enough. Its answer is checked against all passages of the run, and
    streams by checked sentence once the model has written it. Where it searches no more than it is told, or
    fails, the passages are quoted.

    Args:
        retriever: Any LangChain retriever.
        model: A chat model that calls tools.
        prompt: Takes `question`, and `history` (messages) if it likes. Default: prompts/agent.md.
        prompts: A folder whose agent.md comes before our own.
        reranker: Orders each search's passages, and decides whether they are good enough.
        min_score: A search whose best passage scores lower has found nothing. Default: as in `rag_chain`.
        searches: The most of one question; the model is called once more than that, and then told to answer.
        passages: The most that one search shows.
        context: Characters of them, markup included.
        history_tokens: The most of the history that the model gets, newest exchanges first.
        trace: Where each answer's trace is kept, as in `rag_chain`: the passages of all searches, in the order found.

    """
    if searches < 1:
        raise InvalidInput(f"searches is {searches} and must be at least 1")
    asked = checked(prompt, {"question"}, {"history"}) if prompt else load_prompt("agent", folder=prompts)
    selection = Selection(min_score=min_score, passages=passages, limit=context)
    searched = Searched(retriever)
    search = retrieving(retriever) | selecting(selection, reranker, searched)
    name = model_name(model)
    answering = Searching(
        graph=_graph(_calling(model), search, searches=searches, limit=context),
        search=search,
        prompt=asked,
        name=name,
        reranker=reranker,
        searched=searched,
        searches=searches,
        limit=context,
    )
    return keeping(
        RunnableLambda(read, name="read") | trimming(model, history_tokens) | answering,
        trace, name="rag_agent", retriever=retriever, prompt=("own" if prompt else "agent", asked), model=name,
        reranker=reranker, min_score=min_score, searches=searches,
    )  # fmt: skip


def _calling(model: BaseChatModel) -> BaseChatModel:
    if not isinstance(model, BaseChatModel) or is_small(model_name(model)):
        raise InvalidInput(
            f"model is {type(model).__name__} and must be a chat model that calls tools",
            hint="rag_chain takes any model, and EXTRACTIVE",
        )
    return model


def _graph(model: BaseChatModel, search: Runnable[Turn, Turn], *, searches: int, limit: int) -> "Graph":
    # A second that importing Howdah need not wait.
    from langchain.agents import create_agent
    from langchain.agents.middleware import ModelCallLimitMiddleware

    # One call for each search, one that is told that there are no more, and one to answer.
    bound: Any = ModelCallLimitMiddleware(run_limit=searches + 2, exit_behavior="error")
    graph: Any = create_agent(
        model, [search_tool(search, limit)], middleware=[bound], context_schema=Run, name="rag_agent"
    )
    return cast("Graph", graph)


class Searching(AnswerStream[Turn]):
    """Lets the model search, then streams what it wrote as checked AnswerChunks; invoked, gives their Answer."""

    def __init__(
        self,
        *,
        graph: "Graph",
        search: Runnable[Turn, Turn],
        prompt: ChatPromptTemplate,
        name: str,
        reranker: Reranker | None,
        searched: Searched,
        searches: int,
        limit: int,
    ) -> None:
        self._graph, self._search, self._prompt, self._name = graph, search, prompt, name
        self._reranker, self._searched, self._searches, self._limit = reranker, searched, searches, limit
        super().__init__(self._answer, self._aanswer, name="search and answer")

    def _answer(self, turns: Iterator[Turn], config: RunnableConfig) -> Iterator[AnswerChunk]:
        for turn in turns:
            run, since = Run(turn, self._searches), time.perf_counter()
            try:
                said = _last_text(self._graph.invoke(self._inputs(turn), config, context=run))
                failure = None
            except InvalidInput:
                raise
            except Exception as error:  # noqa: BLE001 - a provider's client raises what it likes; quotes need none
                said, failure = "", error
            if not run.begun:  # it answered from memory, or not at all
                run.found(self._search.invoke(_first_search(turn), config), self._limit)
            found = self._found(run, since)
            yield from cast("Iterator[AnswerChunk]", self._checking(said, failure).stream(found, config))
            yield AnswerChunk(note=_note(run, self._name, failure))

    async def _aanswer(self, turns: AsyncIterator[Turn], config: RunnableConfig) -> AsyncIterator[AnswerChunk]:
        async for turn in turns:
            run, since = Run(turn, self._searches), time.perf_counter()
            try:
                said = _last_text(await self._graph.ainvoke(self._inputs(turn), config, context=run))
                failure = None
            except InvalidInput:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                said, failure = "", error
            if not run.begun:
                run.found(await self._search.ainvoke(_first_search(turn), config), self._limit)
            found = self._found(run, since)
            async with aclosing(cast("Any", self._checking(said, failure).astream(found, config))) as chunks:
                async for chunk in chunks:
                    yield chunk
            yield AnswerChunk(note=_note(run, self._name, failure))

    def _inputs(self, turn: Turn) -> dict[str, list[BaseMessage]]:
        """The prompt's messages, with the history before the last of them unless it has a place of its own."""
        given = {"question": turn.question, "history": list(turn.history)}
        messages = self._prompt.invoke(given).to_messages()
        if "history" not in {*self._prompt.input_variables, *self._prompt.optional_variables}:
            messages[-1:-1] = turn.history
        return {"messages": messages}

    def _found(self, run: Run, since: float) -> Turn:
        """The turn with all that was found. Raises the error of the search where none went through."""
        if run.error is not None and not run.done:
            raise run.error
        found = run.turn.with_hits(run.hits).timed("search", since)
        return replace(found, refused=not run.sufficient)

    def _checking(self, said: str, failure: Exception | None) -> Runnable[Turn, Answer]:
        return RunnableLambda(chosen, name="chosen") | checking(
            said, failure, name=self._name, reranker=self._reranker, searched=self._searched
        )


def _first_search(turn: Turn) -> Turn:
    return replace(turn, query=turn.question)


def _last_text(state: Mapping[str, Any]) -> str:
    last = state["messages"][-1]
    return last.text if isinstance(last, AIMessage) and not last.tool_calls else ""


def _note(run: Run, name: str, failure: Exception | None) -> str | None:
    """What Reply does not know: that there was no end to the searches, or that one failed. Else None, and its own holds."""
    if failure is not None and type(failure).__name__ == "ModelCallLimitExceededError":
        return f"{name} went on searching after {run.searches} searches; these are quotes"
    return f"a search failed ({type(run.error).__name__}); the answer may be incomplete" if run.error else None
