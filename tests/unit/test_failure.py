"""A model that is down, slow, rate-limited, overfed, or talks nonsense: the question and the sources are never lost."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from langchain_core.documents import Document
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field

from howdah.chains import Answer, rag_chain
from howdah.chains.models import EXTRACTIVE
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.providers import failure
from tests.scripted import ListRetriever, Scripted

SHIP = "The mast is 31 metres tall. The keel was laid in 1859 at Poplar."
CREW = "The crew numbered 28 sailors. The cook was not a sailor."
TRUE = "The mast is 31 metres tall [1]. The crew numbered 28 sailors [2]."
QUESTION = "How tall is the mast?"
QUOTE = "The mast is 31 metres tall. [1]"
WHOLE = "The mast is 31 metres tall. [1] The crew numbered 28 sailors. [2]"
REQUEST = httpx.Request("POST", "http://127.0.0.1/v1/chat/completions")


def refused(kind: type[openai.APIStatusError], status: int, code: str | None = None, **headers: str) -> Exception:
    """As the openai package makes it of a response."""
    body = {"message": "key sk-secret123 is wrong", "code": code, "type": code}
    response = httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()}, request=REQUEST)
    return kind("key sk-secret123 is wrong", response=response, body=body)


class Fickle(Scripted):
    """Each call takes the next of `replies`: an error that it begins with, or a text; the last one for ever."""

    replies: list[Any] = Field(default_factory=list)

    def _tokens(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        reply = self.replies[min(len(self.asked), len(self.replies) - 1)]
        self.error, self.text = (reply, "") if isinstance(reply, Exception) else (None, reply)
        yield from super()._tokens(messages)


class Slow(Scripted):
    """Sleeps `waits[n]` seconds before token n."""

    waits: dict[int, float] = Field(default_factory=dict)

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        try:
            for n, token in enumerate(self._tokens(messages)):
                time.sleep(self.waits.get(n, 0.0))
                yield token
        finally:
            self.closed.append(True)

    async def _astream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        try:
            for n, token in enumerate(self._tokens(messages)):
                await asyncio.sleep(self.waits.get(n, 0.0))
                yield token
        finally:
            self.closed.append(True)


async def answers(model: Any, question: str = QUESTION, **options: Any) -> list[Answer]:
    """Sync and async; `model` makes one a call."""
    found = []
    for native in (False, True):
        made = rag_chain(
            ListRetriever(documents=[Document(page_content=text, id=text[:8]) for text in (SHIP, CREW)]),
            model(),
            **options,
        )
        found.append(await made.ainvoke(question) if native else made.invoke(question))
    for answer in found:
        assert [hit.content for hit in answer.hits] == [SHIP, CREW]
        assert "secret" not in json.dumps(answer.to_dict())
    return found


LATER = [
    refused(openai.RateLimitError, 429, retry_after="0.01"),
    refused(openai.InternalServerError, 503, retry_after="0"),
    refused(openai.InternalServerError, 500, retry_after="0"),
]
NEVER = [
    refused(openai.AuthenticationError, 401),
    refused(openai.NotFoundError, 404),
    refused(openai.PermissionDeniedError, 403),
    refused(openai.RateLimitError, 429, "insufficient_quota"),
    refused(openai.RateLimitError, 429, retry_after="3600"),
    refused(openai.BadRequestError, 400, "content_filter"),
    openai.APITimeoutError(request=REQUEST),
    ValueError("sk-secret123"),
    KeyError("sk-secret123"),
]


@pytest.mark.parametrize("error", LATER, ids=lambda error: type(error).__name__)
async def test_what_passes_is_waited_for(error: Exception) -> None:
    models: list[Fickle] = []
    for answer in await answers(lambda: made(models, [error, error, TRUE])):
        assert (answer.text, answer.note, answer.model) == (WHOLE, None, "scripted")
    assert [len(model.asked) for model in models] == [3, 3]


def made(models: list[Fickle], replies: list[Any]) -> Fickle:
    models.append(Fickle(replies=replies))
    return models[-1]


async def test_a_lost_connection_is_tried_again() -> None:
    for answer in await answers(lambda: Fickle(replies=[openai.APIConnectionError(request=REQUEST), TRUE])):
        assert answer.text == WHOLE


@pytest.mark.parametrize("error", LATER, ids=lambda error: type(error).__name__)
async def test_what_lasts_is_given_up(error: Exception) -> None:
    models: list[Fickle] = []
    for answer in await answers(lambda: made(models, [error])):
        assert (answer.text, answer.model, answer.refused) == (QUOTE, "extractive", False)
        assert answer.note == f"scripted failed ({type(error).__name__}); these are quotes"
    assert [len(model.asked) for model in models] == [3, 3]


@pytest.mark.parametrize("error", NEVER, ids=lambda error: f"{type(error).__name__}-{getattr(error, 'code', '')}")
async def test_what_no_waiting_mends_is_given_up_at_once(error: Exception) -> None:
    models: list[Fickle] = []
    began = time.perf_counter()
    for answer in await answers(lambda: made(models, [error])):
        assert (answer.text, answer.note) == (QUOTE, f"scripted failed ({type(error).__name__}); these are quotes")
    assert [len(model.asked) for model in models] == [1, 1]
    assert time.perf_counter() - began < 5


async def test_the_servers_pause_is_kept() -> None:
    began = time.perf_counter()
    await answers(lambda: Fickle(replies=[refused(openai.RateLimitError, 429, retry_after="0.3"), TRUE]))
    assert 0.6 <= time.perf_counter() - began < 5


class Small(Scripted):
    """Refuses a prompt of more than `most` characters, as a provider does."""

    most: int = 0
    refusal: Any = None

    def _tokens(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        self.error = self.refusal if sum(len(message.text) for message in messages) > self.most else None
        yield from super()._tokens(messages)


TOO_LONG = [
    refused(openai.BadRequestError, 400, "context_length_exceeded"),
    openai.BadRequestError(
        "This model's maximum context length is 4096 tokens", response=httpx.Response(400, request=REQUEST), body=None
    ),
    openai.APIStatusError("Payload too large", response=httpx.Response(413, request=REQUEST), body=None),
    ContextOverflowError("prompt is too long"),
    failure(
        openai.BadRequestError(
            "the request exceeds the available context size", response=httpx.Response(400, request=REQUEST), body=None
        ),
        what="asking the local chat model",
    ),
]
TOO_LONG[4].__cause__ = TOO_LONG[0]


@pytest.mark.parametrize("error", TOO_LONG, ids=range(5))
async def test_a_prompt_too_long_is_tried_with_less(error: Exception) -> None:
    text = SHIP + " The deck is wide." * 500
    for native in (False, True):
        model = Small(text="The mast is 31 metres tall [1].", most=3_500, refusal=error)
        chain = rag_chain(ListRetriever(documents=[Document(page_content=text), Document(page_content=CREW)]), model)
        answer = await chain.ainvoke(QUESTION) if native else chain.invoke(QUESTION)
        assert (answer.text, answer.note, answer.model) == (QUOTE, None, "scripted")
        lengths = [sum(len(message.text) for message in asked) for asked in model.asked]
        assert lengths == sorted(lengths, reverse=True)
        assert 2 <= len(lengths) <= 4
        assert "Question: " + QUESTION in model.prompt


async def test_one_that_is_always_too_long_is_given_up() -> None:
    for answer in await answers(lambda: Small(text=TRUE, most=10, refusal=TOO_LONG[0])):
        assert (answer.text, answer.note) == (QUOTE, "scripted failed (BadRequestError); these are quotes")


@pytest.mark.parametrize("waits", [{0: 1.0}, {3: 1.0}], ids=["first token", "before a sentence"])
async def test_a_model_that_is_too_slow_is_left(waits: dict[int, float]) -> None:
    began = time.perf_counter()
    for answer in await answers(lambda: Slow(text=TRUE, waits=waits), timeout=0.1):
        assert (answer.text, answer.note) == (QUOTE, "scripted failed (TimeoutError); these are quotes")
    assert time.perf_counter() - began < 1.5


async def test_what_a_slow_model_has_said_is_kept() -> None:
    for answer in await answers(lambda: Slow(text=TRUE, waits={15: 1.0}), timeout=0.2):
        assert (answer.text, answer.model) == (QUOTE, "scripted")
        assert answer.note == "scripted failed (TimeoutError); the answer may be incomplete"


@pytest.mark.parametrize("text", [TRUE, "when " * 5_000])
async def test_a_rewriting_model_that_is_slow_or_endless_is_left_too(text: str) -> None:
    began = time.perf_counter()
    for native in (False, True):
        found = ListRetriever(documents=[Document(page_content=SHIP)])
        chain = rag_chain(found, Slow(text=text, size=50, waits={0: 1.0} if text == TRUE else {}), timeout=0.1)
        asked = {"question": "When was its keel laid?", "history": [("human", QUESTION), ("ai", "31 metres.")]}
        answer = await chain.ainvoke(asked) if native else chain.invoke(asked)
        assert found.asked == ["tall mast: When was its keel laid?"]
        assert "The keel was laid in 1859 at Poplar." in answer.text
    assert time.perf_counter() - began < 3


def test_a_model_that_was_left_is_stopped_when_it_comes_back() -> None:
    model = Slow(text=TRUE, waits={2: 0.5})
    rag_chain(ListRetriever(documents=[Document(page_content=SHIP)]), model, timeout=0.1).invoke(QUESTION)
    assert model.closed == []
    time.sleep(0.7)
    assert model.closed == [True]
    assert len(model.said) == 3


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_seconds(timeout: float) -> None:
    with pytest.raises(InvalidInput, match="must be seconds"):
        rag_chain(ListRetriever(documents=[]), EXTRACTIVE, timeout=timeout)


async def test_no_timeout_waits() -> None:
    for answer in await answers(lambda: Slow(text=TRUE, waits={1: 0.2}), timeout=None):
        assert answer.text == WHOLE


NONSENSE = {
    "nothing": "",
    "white space": " \n\n ",
    "markers": "[1][2] [1]",
    "only punctuation": "... --- !!!",
    "json": '{"answer": "The mast is 31 metres tall.", "sources": [1]}',
    "fenced json": '```json\n{"answer": "The mast is 31 metres tall."}\n```',
    "cut json": '{"answer": "The mast is 31',
    "html": "<html><body></body></html>",
    "nul": "\x00\x00\ufffd\ufffd",
    "thinking": "<think></think>",
    "other language": "Je ne sais pas du tout quoi dire de ces documents.",
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_becomes_quotes(name: str) -> None:
    for answer in await answers(lambda: Scripted(text=NONSENSE[name])):
        assert (answer.text, answer.model) == (QUOTE, "extractive")
        assert answer.note == "no passage held what scripted wrote; these are quotes"


@pytest.mark.parametrize("text", ["The mast is 31 metres tall", "the mast is 31 metres tall.\n\nHope this helps!"])
async def test_without_any_citation_it_is_found(text: str) -> None:
    for answer in await answers(lambda: Scripted(text=text)):
        assert answer.text.casefold().rstrip(". [1]") == "the mast is 31 metres tall"
        assert answer.checks[0].status == "repaired"


@pytest.mark.parametrize(
    "text", ["ha" * 50_000, "no idea " * 20_000, "tall. Tall! tall? " * 9_000, "word%d " * 20_000, "[1]" * 40_000]
)
async def test_endless_text_is_stopped(text: str) -> None:
    models: list[Scripted] = []

    def model() -> Scripted:
        models.append(Scripted(text=text, size=4))
        return models[-1]

    began = time.perf_counter()
    for answer in await answers(model):
        assert answer.text == QUOTE
    assert time.perf_counter() - began < 20
    assert all(len("".join(each.said)) <= 13_000 for each in models)
    assert all(each.closed == [True] for each in models)


@pytest.mark.parametrize("text", ["ha" * 50_000, "no idea " * 20_000])
async def test_going_in_circles_without_an_end_is_stopped_early(text: str) -> None:
    models: list[Scripted] = []

    def model() -> Scripted:
        models.append(Scripted(text=text, size=4))
        return models[-1]

    await answers(model)
    assert all(len("".join(each.said)) < 2_000 for each in models)


async def test_once_a_token_has_come_nothing_is_asked_again() -> None:
    models: list[Scripted] = []

    def model() -> Scripted:
        models.append(Scripted(text=TRUE, error=LATER[0], fails_after=2))
        return models[-1]

    for answer in await answers(model):
        assert answer.text == QUOTE
    assert [len(each.asked) for each in models] == [1, 1]


async def test_an_error_midway_keeps_what_was_verified() -> None:
    for answer in await answers(lambda: Scripted(text=TRUE, error=LATER[0], fails_after=14)):
        assert (answer.text, answer.model) == (QUOTE, "scripted")
        assert answer.note == "scripted failed (RateLimitError); the answer may be incomplete"


class Broken:
    """A reranker that fails after the passages are ranked."""

    def __init__(self, error: Exception | None = None, given: list[float] | None = None) -> None:
        self.calls, self.error, self.given = 0, error, given

    def scores(self, query: str, texts: Any) -> list[float]:
        self.calls += 1
        if self.calls == 1:
            return [0.9 for _ in texts]
        if self.error:
            raise self.error
        return self.given or []


@pytest.mark.parametrize("given", [{"error": RuntimeError("no")}, {"given": [float("nan")]}, {"given": [0.5]}], ids=str)
async def test_a_reranker_that_fails_loses_no_answer(given: Any) -> None:
    for native in (False, True):
        chain = rag_chain(
            ListRetriever(documents=[Document(page_content=SHIP), Document(page_content=CREW)]),
            EXTRACTIVE,
            reranker=Broken(**given),
        )
        answer = await chain.ainvoke(QUESTION) if native else chain.invoke(QUESTION)
        assert answer.text == QUOTE
