"""A chain whose answers are traced: the trace is written when the answer is out, and never in its way."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import merge_configs
from langchain_core.runnables.graph import Graph

from howdah.chains.trace import Recorder, about, prompt_version
from howdah.chains.types import Answer, AnswerChunk
from howdah.retrieval.errors import DependencyMissing
from howdah.retrieval.rerank import Reranker
from howdah.retrieval.tracing import Traces
from howdah.retrieval.values import MAX_ID_BYTES

if TYPE_CHECKING:
    from howdah.retrieval.store import Store
    from howdah.retrieval.vectorstore import PGVector

Given = str | Mapping[str, Any]


def keeping(
    chain: Runnable[Given, Answer], trace: "PGVector | Store | Traces | None", *, name: str, retriever: Runnable[Any, Any],
    prompt: tuple[str, ChatPromptTemplate], model: str | None, reranker: Reranker | None, **options: Any,
) -> Runnable[Given, Answer]:  # fmt: skip
    """`chain`, called `name`, with a trace of each answer where there is somewhere to keep it.

    `prompt` goes by a name of its own; `options` are what else its searches go by.
    """
    named = chain.with_config(run_name=name)
    if trace is None:
        return named
    said, template = prompt
    common = about(
        retriever,
        prompt={"name": said, "version": prompt_version(template)},
        model=model,
        rerank=None if reranker is None else type(reranker).__name__,
        **options,
    )
    return Traced(named, trace if isinstance(trace, Traces) else Traces(trace), common, name=name)


class Traced(Runnable[Given, Answer]):
    """`chain`, with a trace of each answer in `traces`; `about` is what they have in common.

    The conversation is told as LangChain tells it: `config={"configurable": {"session_id": …}}`.
    """

    def __init__(self, chain: Runnable[Given, Answer], traces: Traces, about: Mapping[str, Any], *, name: str) -> None:
        self._chain, self._traces, self._about = chain, traces, about
        self.name = name

    def get_graph(self, config: RunnableConfig | None = None) -> Graph:
        return self._chain.get_graph(config)

    def invoke(self, input: Given, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        recorder, watched = self._watched(config)
        try:
            answer = self._chain.invoke(input, watched, **kwargs)
        except BaseException as error:
            self._keep_broken(recorder, AnswerChunk(), error)
            raise
        return replace(answer, **self._keep(recorder, answer))

    async def ainvoke(self, input: Given, config: RunnableConfig | None = None, **kwargs: Any) -> Answer:
        recorder, watched = self._watched(config)
        try:
            answer = await self._chain.ainvoke(input, watched, **kwargs)
        except BaseException as error:
            await self._akeep_broken(recorder, AnswerChunk(), error)
            raise
        return replace(answer, **await self._akeep(recorder, answer))

    def stream(self, input: Given, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Answer]:
        recorder, watched = self._watched(config)
        said = AnswerChunk()
        try:
            with closing(cast("Any", self._chain.stream(input, watched, **kwargs))) as chunks:
                for chunk in chunks:
                    said += chunk
                    yield chunk
        except BaseException as error:
            self._keep_broken(recorder, said, error)
            raise
        yield AnswerChunk(**self._keep(recorder, said))

    async def astream(self, input: Given, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Answer]:
        recorder, watched = self._watched(config)
        said = AnswerChunk()
        try:
            async with aclosing(cast("Any", self._chain.astream(input, watched, **kwargs))) as chunks:
                async for chunk in chunks:
                    said += chunk
                    yield chunk
        except BaseException as error:
            await self._akeep_broken(recorder, said, error)
            raise
        yield AnswerChunk(**await self._akeep(recorder, said))

    def _watched(self, config: RunnableConfig | None) -> tuple[Recorder, RunnableConfig]:
        session = ((config or {}).get("configurable") or {}).get("session_id")
        usable = isinstance(session, str) and 0 < len(session.encode(errors="replace")) <= MAX_ID_BYTES
        recorder = Recorder(self._about, session if usable else None)
        return recorder, merge_configs(config, {"callbacks": [recorder]})

    # -- writing

    def _keep(self, recorder: Recorder, answer: Answer) -> dict[str, Any]:
        return _told(recorder, answer, self._traces.keep(recorder.trace(answer)))

    async def _akeep(self, recorder: Recorder, answer: Answer) -> dict[str, Any]:
        return _told(recorder, answer, await self._traces.akeep(recorder.trace(answer)))

    def _keep_broken(self, recorder: Recorder, said: AnswerChunk, error: BaseException) -> None:
        if _worth(recorder, error):
            self._traces.keep(recorder.trace(said, broken=None if _whole(said) else error))

    async def _akeep_broken(self, recorder: Recorder, said: AnswerChunk, error: BaseException) -> None:
        if _worth(recorder, error):
            await self._traces.akeep(recorder.trace(said, broken=None if _whole(said) else error))


def _told(recorder: Recorder, answer: Answer, note: str | None) -> dict[str, Any]:
    """What the answer says of its trace: under which id it is, or once why there is none."""
    if note is None:
        return {"trace": recorder.id}
    return {"note": f"{answer.note}; {note}" if answer.note else note} if note else {}


def _worth(recorder: Recorder, error: BaseException) -> bool:
    """A database that just failed the search would make the failure wait once more."""
    return recorder.began and not isinstance(error, DependencyMissing)


def _whole(said: AnswerChunk) -> bool:
    """Whether the reader had all of it, and only did not wait for the end of the stream."""
    return "total" in said.timings
