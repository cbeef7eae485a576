"""The retriever as a step of the chain: any LangChain retriever's Documents become hits."""

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from howdah.chains.turn import Turn
from howdah.retrieval.asked import prose
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.plans import OURS
from howdah.retrieval.types import Hit


def retrieving(retriever: Runnable[str, list[Document]]) -> Runnable[Turn, Turn]:
    """Fills `Turn.hits`. `k` and `filter` go to the retriever; one that takes no filter is an error, never ignored."""

    def retrieve(turn: Turn, config: RunnableConfig) -> Turn:
        since = time.perf_counter()
        documents = retriever.invoke(prose(turn.query), config, **_options(retriever, turn, "_get_relevant_documents"))
        return turn.timed("retrieve", since, hits=_hits(documents, turn))

    async def aretrieve(turn: Turn, config: RunnableConfig) -> Turn:
        since = time.perf_counter()
        documents = await retriever.ainvoke(
            prose(turn.query), config, **_options(retriever, turn, "_aget_relevant_documents")
        )
        return turn.timed("retrieve", since, hits=_hits(documents, turn))

    return RunnableLambda(retrieve, aretrieve, name="retrieve")


def as_hit(document: Document) -> Hit:
    """A Document as a hit. Without our metadata the source, page and offset are LangChain's own keys, where they are."""
    metadata = {key: value for key, value in document.metadata.items() if key != OURS}
    ours = document.metadata.get(OURS)
    found = ours if isinstance(ours, Mapping) else _foreign(document)
    return Hit(
        id=str(found.get("id") or document.id or ""),
        content=document.page_content,
        metadata=metadata,
        score=float(found.get("score") or 0.0),
        scores=dict(found.get("scores") or {}),
        source=found.get("source"),
        title=found.get("title"),
        section=found.get("section"),
        page=found.get("page"),
        start=found.get("start"),
        end=found.get("end"),
        also_in=tuple(found.get("also_in") or ()),
    )


def _foreign(document: Document) -> dict[str, Any]:
    metadata = document.metadata
    texts = {key: str(metadata[key]) for key in ("source", "title", "section") if metadata.get(key) is not None}
    start = _whole_number(metadata.get("start_index"))  # text splitters give it with add_start_index=True
    end = None if start is None else start + len(document.page_content)
    return {**texts, "page": _whole_number(metadata.get("page")), "start": start, "end": end}


def _whole_number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _hits(documents: Sequence[Document], turn: Turn) -> tuple[Hit, ...]:
    return tuple(as_hit(document) for document in documents if document.page_content.strip())[: turn.k]


def _options(retriever: Runnable[str, list[Document]], turn: Turn, method: str) -> dict[str, Any]:
    takes = _accepted(getattr(retriever, method, None))
    if turn.filter is not None and not takes & {"filter", "*"}:
        raise InvalidInput(
            f"{type(retriever).__name__} takes no filter with a question",
            hint="use a vector store's retriever, or set the filter where the retriever is made",
        )
    asked = {"k": turn.k, "filter": turn.filter}
    return {key: value for key, value in asked.items() if value is not None and takes & {key, "*"}}


def _accepted(search: Callable[..., Any] | None) -> set[str]:
    """Names of the options that a retriever's search takes; "*" for any. BaseRetriever drops others silently."""
    if search is None:
        return set()
    parameters = inspect.signature(search).parameters.values()
    return {"*" if each.kind is each.VAR_KEYWORD else each.name for each in parameters}
