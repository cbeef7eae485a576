"""Chain and agent as LangChain's Runnables: every way to call them, and callbacks that see the whole run as one tree."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from howdah.chains import Answer, AnswerChunk, rag_agent, rag_chain
from tests.scripted import Scripted, ToolCalling
from tests.unit.test_chain import QUESTION, SHIP, retriever

SAID = "The mast is 31 metres tall [1]."
ANSWER = "The mast is 31 metres tall. [1]"


def chain() -> Runnable[Any, Answer]:
    return rag_chain(retriever(SHIP), Scripted(text=SAID))


def agent() -> Runnable[Any, Answer]:
    return rag_agent(retriever(SHIP), ToolCalling(replies=[[QUESTION], SAID]))


both = pytest.mark.parametrize("make", [chain, agent])
Make = Callable[[], Runnable[Any, Answer]]


class Seen(BaseCallbackHandler):
    """Notes what began, by kind, and what ended."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.parents: dict[UUID, UUID | None] = {}
        self.tags: list[str] = []

    def _note(
        self, kind: str, *, run_id: UUID, parent_run_id: UUID | None = None, tags: Any = None, **_other: Any
    ) -> None:
        self.begun.append(kind)
        self.parents[run_id] = parent_run_id
        self.tags += tags or []

    def on_chain_start(self, *given: Any, **run: Any) -> None:
        self._note("chain", **run)

    def on_retriever_start(self, *given: Any, **run: Any) -> None:
        self._note("retriever", **run)

    def on_chat_model_start(self, *given: Any, **run: Any) -> None:
        self._note("model", **run)

    def on_tool_start(self, *given: Any, **run: Any) -> None:
        self._note("tool", **run)

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.ended.append("chain")

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self.ended.append("retriever")

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.ended.append("model")

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self.ended.append("tool")


class SeenAsync(AsyncCallbackHandler):
    """That async handlers are awaited."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def on_retriever_start(self, *args: Any, **kwargs: Any) -> None:
        self.begun.append("retriever")

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.begun.append("model")


@both
async def test_every_way_to_call_gives_the_same(make: Make) -> None:
    made = make()
    answer = made.invoke(QUESTION)
    assert answer.text == ANSWER
    assert await made.ainvoke({"question": QUESTION}) == answer
    assert made.batch([QUESTION, QUESTION]) == [answer, answer]
    assert await made.abatch([QUESTION, QUESTION], config={"max_concurrency": 1}) == [answer, answer]
    chunks: list[Any] = list(made.stream(QUESTION))
    achunks: list[Any] = [chunk async for chunk in made.astream(QUESTION)]
    assert Answer.from_chunks(chunks) == Answer.from_chunks(achunks) == answer
    assert {type(chunk) for chunk in [*chunks, *achunks]} == {AnswerChunk}
    assert (made | RunnableLambda(str)).invoke(QUESTION) == ANSWER
    assert made.with_config(run_name="mine").with_retry(stop_after_attempt=2).invoke(QUESTION) == answer
    [failed] = made.batch([{"question": ""}], return_exceptions=True)
    assert "the question is empty" in str(failed)


@both
async def test_a_callback_sees_every_run_of_one_tree(make: Make) -> None:
    wanted = {"chain", "retriever", "model"} | ({"tool"} if make is agent else set())
    for way in ("invoke", "stream", "ainvoke", "astream"):
        seen, aseen = Seen(), SeenAsync()
        config: Any = {"callbacks": [seen], "tags": ["mine"]}
        if way == "invoke":
            make().invoke(QUESTION, config)
        elif way == "stream":
            list(make().stream(QUESTION, config))
        else:
            config["callbacks"].append(aseen)
            run = make().astream(QUESTION, config) if way == "astream" else make().ainvoke(QUESTION, config)
            _ = [each async for each in run] if hasattr(run, "__aiter__") else await run  # type: ignore[misc]
            assert set(aseen.begun) == {"retriever", "model"}
        assert set(seen.begun) == wanted, way
        assert sorted(seen.begun) == sorted(seen.ended), way
        assert sum(parent is None for parent in seen.parents.values()) == 1, way  # all below one root
        assert set(seen.parents.values()) - {None} <= set(seen.parents), way
        assert seen.tags.count("mine") >= len(wanted), way


@both
def test_a_tracer_gets_the_tree_with_inputs_and_outputs(make: Make) -> None:
    """RunCollector is the base of LangSmith's own tracer."""
    tracer = RunCollectorCallbackHandler()
    answer = make().invoke(QUESTION, {"callbacks": [tracer], "metadata": {"user": "7"}})
    [root] = tracer.traced_runs
    assert (root.name, root.error) == (make().config["run_name"], None)  # type: ignore[attr-defined]
    assert root.outputs is not None
    assert root.outputs["output"] == answer
    assert root.extra is not None
    assert root.extra["metadata"]["user"] == "7"

    def kinds(run: Any) -> list[str]:
        return [run.run_type, *(kind for child in run.child_runs for kind in kinds(child))]

    assert {"retriever", "llm"} <= set(kinds(root))


@both
async def test_events_are_streamed(make: Make) -> None:
    events = [event async for event in make().astream_events(QUESTION, version="v2")]
    names = {event["event"] for event in events}
    assert {
        "on_chain_start",
        "on_chain_stream",
        "on_retriever_end",
        "on_chat_model_start",
        "on_chat_model_end",
    } <= names
    pieces = [
        event["data"]["chunk"] for event in events if event["event"] == "on_chain_stream" and not event["parent_ids"]
    ]
    assert Answer.from_chunks(pieces).text == ANSWER


@both
def test_a_callback_that_raises_spoils_no_answer(make: Make) -> None:
    class Broken(BaseCallbackHandler):
        def on_retriever_start(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError

    assert make().invoke(QUESTION, {"callbacks": [Broken()]}).text == ANSWER
