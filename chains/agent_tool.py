"""The retriever as the agent's tool: a query in, numbered and escaped passages out, the passages themselves as artifact."""

from typing import Any

from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, StructuredTool

from howdah.chains.found import NO_MORE, Run
from howdah.chains.turn import Turn
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.types import Hit

NAME = "search_documents"
_LONGEST = 1_000  # characters of a query
_DESCRIPTION = "Search the documents for one thing, asked as a full question. Returns numbered passages."

Found = tuple[str, list[Hit]]


def search_tool(search: Runnable[Turn, Turn], limit: int) -> BaseTool:
    """`search` as a tool of an agent whose context is a Run. A search that fails is said to the model, and kept there."""
    from langchain.tools import ToolRuntime  # with langgraph a second that importing Howdah need not wait

    def search_documents(query: str, runtime: ToolRuntime[Run, Any]) -> Found:
        run = runtime.context
        if not run.begin():
            return NO_MORE, []
        try:
            turn = search.invoke(_asked(run, query), runtime.config)
        except InvalidInput:
            raise  # the caller's own mistake, which no other query would mend
        except Exception as error:  # noqa: BLE001 - a retriever raises what it likes
            return run.failed(error), []
        return run.found(turn, limit), _shown(turn)

    async def asearch_documents(query: str, runtime: ToolRuntime[Run, Any]) -> Found:
        run = runtime.context
        if not run.begin():
            return NO_MORE, []
        try:
            turn = await search.ainvoke(_asked(run, query), runtime.config)
        except InvalidInput:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return run.failed(error), []
        return run.found(turn, limit), _shown(turn)

    return StructuredTool.from_function(
        search_documents,
        coroutine=asearch_documents,
        name=NAME,
        description=_DESCRIPTION,
        response_format="content_and_artifact",
    )


def _asked(run: Run, query: str) -> Turn:
    """The search that the model wants, with the caller's own filter and k."""
    asked = query.strip()[:_LONGEST] or run.turn.question
    return Turn(question=asked, query=asked, filter=run.turn.filter, k=run.turn.k)


def _shown(turn: Turn) -> list[Hit]:
    return [] if turn.refused else list(turn.hits[: turn.shown])
