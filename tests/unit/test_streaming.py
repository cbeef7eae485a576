"""Streams: what is in no chunk, what may be taken back, and that whoever leaves stops the model."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.runnables import RunnableGenerator, RunnableLambda

from howdah.chains import Answer, AnswerChunk, Citation, rag_chain
from howdah.chains.answering import REFUSAL
from howdah.chains.models import EXTRACTIVE
from howdah.chains.types import Check
from howdah.retrieval.errors import InvalidInput
from tests.scripted import ListRetriever, Scripted

SHIP = "The mast is 31 metres tall, by Dr. Smith. The keel was laid in 1859 at Poplar. She made 14.5 knots."
CREW = "The crew numbered 28 sailors. The cook was not a sailor."
TRUE = "The mast is 31 metres tall [1]. The crew numbered 28 sailors [2]."
QUESTION = "How tall is the mast?"
QUOTE = "The mast is 31 metres tall, by Dr. Smith. [1]"


def chain(model: Any, **options: Any) -> Any:
    documents = [Document(page_content=text, id=name) for name, text in (("ship", SHIP), ("crew", CREW))]
    return rag_chain(ListRetriever(documents=documents), model, **options)


FALSE = {
    "sentence": "The mast is 47 metres tall [1].",
    "no full stop": "The mast is 47 metres tall",
    "decimal point": "She made 14.47 knots [1].",
    "its end": "She made 14.5 knots, or 47.",
    "abbreviation": "The mast is, by Dr. Smith, 47 metres tall [1].",
    "initial": "J. 47 metres tall is the mast [1].",
    "list": "- The mast is 31 metres tall [1]\n- The keel is 47 metres long [1]",
    "numbered list": "47. The mast is tall [1]\n47) The mast is tall",
    "table": "| what | metres |\n|---|---|\n| mast | 47 |\n",
    "code": "```\nmast = 47\n```\n",
    "code in a line": "The mast is `47` metres tall [1].",
    "heading": "# The mast: 47 metres\n\nThe mast is tall.",
    "quotation": 'They say "the mast is 47 metres tall" [1].',
    "footnote": "The mast is tall [47].",
    "marker inside": "The mast is 4[1]7 metres tall.",
    "emphasis inside": "The mast is 4**7** metres tall [1].",
    "entity": "The mast is 4&#55; metres tall [1].",
    "zero width": "The mast is 4\u200b7 metres tall [1].",
    "tags inside": "The mast is 4<b>7</b> metres tall [1].",
    "other digits": "The mast is ٤٧ metres tall [1].",
    "wide digits": "The mast is ４７ metres tall [1].",
    "in words": "The mast is forty-seven metres tall [1].",
    "link": "[The mast is 47 metres tall](https://evil.example/47) [1].",
    "chinese": "桅杆高47米。桅杆高47米。",
    "ellipsis": "The mast is 31 metres tall... 47 in truth [1].",
    "unit": "The mast is 47 m tall [1].",
    "range": "The mast is 31–47 metres tall [1].",
    "date": "The keel was laid on 1847-04-07 at Poplar [1].",
    "json": '{"mast": 47}',
}


@pytest.mark.parametrize("unsupported", ["repair", "drop", "mark"])
@pytest.mark.parametrize("name", FALSE)
async def test_a_false_number_is_in_no_chunk_however_slowly_it_comes(name: str, unsupported: str) -> None:
    for text in (FALSE[name], f"{TRUE} {FALSE[name]}", f"{FALSE[name]}\n\n{TRUE}"):
        made = chain(Scripted(text=text, size=1), unsupported=unsupported)
        chunks = [*made.stream(QUESTION), *[chunk async for chunk in made.astream(QUESTION)]]
        shown = "".join(chunk.text + "".join(cited.quote for cited in chunk.citations) for chunk in chunks)
        assert not any(digits in shown for digits in ("47", "٤", "７", "forty", "[1]7", "4**", "04")), shown
        assert "31 metres" in shown


@given(st.lists(st.sampled_from([*FALSE.values(), TRUE, "\n\n", " "]), max_size=5).map(" ".join), st.integers(1, 11))
def test_nor_in_any_mixture(text: str, size: int) -> None:
    chunks = list(chain(Scripted(text=text, size=size)).stream(QUESTION))
    assert not any("47" in chunk.text for chunk in chunks)


async def test_after_streams_tokens_and_takes_them_back() -> None:
    made = chain(Scripted(text=f"{TRUE} The mast is 47 metres tall [1].", size=4), verify="after")
    for chunks in (list(made.stream(QUESTION)), [chunk async for chunk in made.astream(QUESTION)]):
        shown = screens(chunks)
        assert len(shown) > 20
        assert "47" in shown[-2]
        assert shown[-1] == "The mast is 31 metres tall. [1] The crew numbered 28 sailors. [2]"
        assert [chunk.retracts for chunk in chunks].count(True) == 1
        answer = Answer.from_chunks(chunks)
        assert answer.text == shown[-1]
        assert [check.status for check in answer.checks] == ["supported", "supported", "dropped"]
        assert answer == chain(Scripted(text=f"{TRUE} The mast is 47 metres tall [1].")).invoke(QUESTION)
        assert answer == made.invoke(QUESTION) == await made.ainvoke(QUESTION)


def screens(chunks: list[AnswerChunk]) -> list[str]:
    """What someone who shows the stream shows, after each chunk with text."""
    shown: list[str] = []
    for chunk in chunks:
        if chunk.text or chunk.retracts:
            shown.append(chunk.text if chunk.retracts or not shown else shown[-1] + chunk.text)
    return shown


@pytest.mark.parametrize(
    ("text", "expected", "refused"),
    [
        ("The mast is 47 metres tall.", QUOTE, False),
        ("UNANSWERABLE", REFUSAL, True),
        ("", QUOTE, False),
        ("\x1b[31mThe mast is 31 metres tall [1].", "The mast is 31 metres tall. [1]", False),
    ],
)
def test_after_ends_as_before_does(text: str, expected: str, *, refused: bool) -> None:
    chunks = list(chain(Scripted(text=text), verify="after").stream(QUESTION))
    answer = Answer.from_chunks(chunks)
    assert (answer.text, answer.refused) == (expected, refused)
    assert answer == chain(Scripted(text=text)).invoke(QUESTION)
    assert screens(chunks)[-1] == expected
    assert "\x1b" not in "".join(chunk.text for chunk in chunks)
    assert any(chunk.retracts for chunk in chunks) == bool(text)


def test_after_without_a_model_takes_nothing_back() -> None:
    chunks = list(chain(EXTRACTIVE, verify="after").stream(QUESTION))
    assert not any(chunk.retracts for chunk in chunks)
    assert Answer.from_chunks(chunks) == chain(EXTRACTIVE).invoke(QUESTION)


@pytest.mark.parametrize(("option", "value"), [("verify", "never"), ("unsupported", "keep")])
def test_an_unknown_choice_is_named(option: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"{option} is '{value}' and must be one of '"):
        chain(EXTRACTIVE, **{option: value})


CHUNKS = st.builds(
    AnswerChunk,
    text=st.text(max_size=3),
    refused=st.booleans(),
    retracts=st.booleans(),
    citations=st.lists(st.builds(Citation, n=st.integers(1, 3), id=st.just("x"), quote=st.just("q")), max_size=2).map(
        tuple
    ),
    checks=st.lists(st.builds(Check, status=st.just("quoted")), max_size=2).map(tuple),
)


@given(st.lists(CHUNKS, min_size=3, max_size=3))
def test_adding_is_associative_with_retractions(chunks: list[AnswerChunk]) -> None:
    a, b, c = chunks
    left, right = (a + b) + c, a + (b + c)
    assert (left, left.retracts) == (right, right.retracts)
    assert Answer.from_chunks(chunks).text == (screens(chunks) or [""])[-1]


async def test_events_tell_what_happens() -> None:
    made = chain(Scripted(text=f"{TRUE} The mast is 47 metres tall [1].", size=5))
    events = [event async for event in made.astream_events(QUESTION, version="v2")]
    ended = [event["name"] for event in events if event["event"] == "on_chain_end"]
    assert [name for name in ended if name in STEPS] == STEPS
    streamed = [
        event["data"]["chunk"]
        for event in events
        if (event["event"], event["name"]) == ("on_chain_stream", "rag_chain")
    ]
    assert Answer.from_chunks(streamed) == made.invoke(QUESTION)
    assert not any("47" in chunk.text for chunk in streamed)
    kinds = {event["event"] for event in events}
    assert {
        "on_retriever_start",
        "on_retriever_end",
        "on_chat_model_start",
        "on_chat_model_stream",
        "on_prompt_end",
    } <= kinds
    final = next(event for event in events if (event["event"], event["name"]) == ("on_chain_end", "rag_chain"))
    assert final["data"]["output"].text == "The mast is 31 metres tall. [1] The crew numbered 28 sailors. [2]"


STEPS = ["read", "rewrite", "retrieve", "select", "answer", "rag_chain"]


def passing(chunks: Iterator[AnswerChunk]) -> Iterator[AnswerChunk]:
    yield from chunks


async def apassing(chunks: AsyncIterator[AnswerChunk]) -> AsyncIterator[AnswerChunk]:
    async for chunk in chunks:
        yield chunk


COMPOSED = {
    "alone": lambda made: made,
    "generator": lambda made: made | RunnableGenerator(passing, apassing),
    "generators": lambda made: made | RunnableGenerator(passing, apassing) | RunnableGenerator(passing, apassing),
    "configured": lambda made: made.with_config(tags=["x"]),
    "bound": lambda made: made.bind(),
    "first": lambda made: RunnableLambda(lambda question: question) | made,
    "named": lambda made: {"answer": made},
}


def composed(name: str, model: Scripted) -> Any:
    made = COMPOSED[name](chain(model))
    return RunnableLambda(lambda question: question) | made if isinstance(made, dict) else made


@pytest.mark.parametrize("name", COMPOSED)
def test_closing_the_stream_stops_the_model(name: str) -> None:
    model = Scripted(text=TRUE * 40, size=1)
    stream = composed(name, model).stream(QUESTION)
    for chunk in stream:
        if getattr(chunk, "text", "") or (isinstance(chunk, dict) and chunk["answer"].text):
            break
    stream.close()
    assert model.closed == [True]
    assert len(model.said) < 100


@pytest.mark.parametrize("name", COMPOSED)
async def test_closing_the_async_stream_stops_the_model(name: str) -> None:
    model = Scripted(text=TRUE * 40, size=1)
    async with aclosing(composed(name, model).astream(QUESTION)) as stream:
        async for chunk in stream:
            if getattr(chunk, "text", "") or (isinstance(chunk, dict) and chunk["answer"].text):
                break
    await asyncio.sleep(0.05)
    assert model.closed == [True]
    assert len(model.said) < 100


async def test_leaving_the_loop_alone_stops_the_model() -> None:
    model = Scripted(text=TRUE * 40, size=1, pause=0.001)
    async for chunk in chain(model).astream(QUESTION):
        if chunk.text:
            break
    for _ in range(20):
        await asyncio.sleep(0.05)
    assert model.closed == [True]
    assert len(model.said) < 200


@pytest.mark.parametrize("call", ["ainvoke", "abatch", "astream", "astream_events", "composed"])
async def test_cancelling_a_task_stops_the_model(call: str) -> None:
    model = Scripted(text=TRUE * 5, size=1, pause=0.03)
    made = chain(model) | RunnableLambda(lambda answer: answer.text) if call == "composed" else chain(model)

    async def run() -> None:
        if call == "abatch":
            await made.abatch([QUESTION])
        elif call == "astream":
            _ = [chunk async for chunk in made.astream(QUESTION)]
        elif call == "astream_events":
            _ = [event async for event in made.astream_events(QUESTION, version="v2")]
        else:
            await made.ainvoke(QUESTION)

    task = asyncio.create_task(run())
    while not model.said:  # noqa: ASYNC110 - the model knows no events
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    said = len(model.said)
    await asyncio.sleep(0.15)
    assert (model.closed, len(model.said)) == ([True], said)


@pytest.mark.parametrize("name", ["generator", "generators"])
def test_a_step_behind_the_chain_gets_all_of_it(name: str) -> None:
    made = chain(Scripted(text=TRUE))
    assert Answer.from_chunks(COMPOSED[name](made).stream(QUESTION)) == made.invoke(QUESTION)


def test_one_of_a_batch_that_fails_stops_none_of_the_others() -> None:
    model = Scripted(text=TRUE)
    first, second = chain(model).batch([QUESTION, {"question": " "}], return_exceptions=True)
    assert first.text.startswith("The mast")
    assert isinstance(second, InvalidInput)


def test_chunks_come_while_the_model_still_writes() -> None:
    class Dawdling(Scripted):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
            for token in super()._stream(*args, **kwargs):
                time.sleep(0.005)
                yield token

    model = Dawdling(text=TRUE * 2, size=2)
    for chunk in chain(model).stream(QUESTION):
        if chunk.text:
            assert len(model.said) < 30
            break
