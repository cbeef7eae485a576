"""What a trace is made of, and what of it a deletion takes away."""

import asyncio
from contextlib import aclosing, closing
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, message_to_dict
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.prompts import ChatPromptTemplate

from howdah.chains import Answer, rag_chain
from howdah.chains.memory import as_message
from howdah.chains.trace import prompt_version
from howdah.chains.traced import Traced
from howdah.chains.types import Citation
from howdah.retrieval import quoted
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput
from howdah.retrieval.traces import Trace, insert
from tests.scripted import ListRetriever, Scripted, WordReranker
from tests.unit.test_chain import CREW, QUESTION, SHIP, TRUE, document

FALSE = "The mast is 99 metres tall [1]. The mast is 31 metres tall [1]."


USAGE: Any = {"input_tokens": 90, "output_tokens": 7, "total_tokens": 97}


class Counted(Scripted):
    """Says how many tokens it took, as providers do: with the last piece."""

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        result = super()._generate(*args, **kwargs)
        result.generations[0].message.usage_metadata = USAGE  # type: ignore[attr-defined]
        return result

    def _tokens(self, messages: Any) -> Any:
        yield from super()._tokens(messages)
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=USAGE))


class Broken(ListRetriever):
    error: Any

    def _get_relevant_documents(self, query: str, **kwargs: Any) -> Any:
        raise self.error


class Kept:
    """Keeps traces in a list; a database's are in tests/integration/test_traces.py."""

    def __init__(self, note: str | None = None) -> None:
        self.rows: list[Trace] = []
        self.note = note

    def keep(self, trace: Trace) -> str | None:
        self.rows.append(trace)
        return self.note

    async def akeep(self, trace: Trace) -> str | None:
        return self.keep(trace)


def ships() -> ListRetriever:
    crew = document(CREW, id="c2", start=2000, source="docs/crew.md", scores={"dense": 0.7, "lexical": 0.2})
    return ListRetriever(documents=[crew, document(SHIP, id="c1", scores={"dense": 0.6, "lexical": 0.9})])


def traced(model: Any, kept: Kept, retriever: Any = None, **options: Any) -> Any:
    plain = rag_chain(retriever or ships(), model, reranker=WordReranker(), **options)
    about = {"collection": "docs", "search": {"type": "hybrid", "k": 8}, "prompt": {}, "model": "scripted"}
    return Traced(plain, kept, about, name="rag_chain")  # type: ignore[arg-type]


def test_a_trace_tells_how_the_answer_came_about() -> None:
    kept = Kept()
    answer = traced(Counted(text=FALSE), kept).invoke({"question": QUESTION, "k": 5, "filter": None})
    [trace] = kept.rows
    assert answer.trace == trace.id
    assert (trace.outcome, trace.question, trace.rewritten, trace.collection) == ("answered", QUESTION, None, "docs")
    assert trace.answer == answer.text == "The mast is 31 metres tall. [1]"
    ship, crew = trace.hits
    assert (ship["id"], ship["shown"], ship["cited"]) == ("c1", True, True)
    assert ship["ranks"] == {"retrieved": 2, "dense": 2, "lexical": 1, "rerank": 1}
    assert (crew["id"], crew["cited"]) == ("c2", False)
    assert crew["ranks"] == {"retrieved": 1, "dense": 1, "lexical": 2, "rerank": 2}
    assert "content" not in ship
    assert [(check["status"], check["reason"], check["n"]) for check in trace.checks] == [
        ("dropped", "number", []), ("supported", "", [1]),
    ]  # fmt: skip
    assert [cited["quote"] for cited in trace.citations] == ["The mast is 31 metres tall"]
    details = trace.details
    assert details["tokens"] == {"answer": {"input_tokens": 90, "output_tokens": 7, "total_tokens": 97}}
    assert details["search"] == {"type": "hybrid", "k": 5}
    assert {"rewrite", "retrieve", "rerank", "model", "total"} <= set(details["timings_ms"])


async def test_all_ways_of_asking_give_one_trace_each_and_the_same_answer() -> None:
    kept = Kept()
    chain = traced(Scripted(text=TRUE), kept)
    answers = [
        chain.invoke(QUESTION),
        await chain.ainvoke(QUESTION),
        Answer.from_chunks(chain.stream(QUESTION)),
        Answer.from_chunks([chunk async for chunk in chain.astream(QUESTION)]),
        *chain.batch([QUESTION]),
        *await chain.abatch([QUESTION]),
        (chain | (lambda answer: answer)).invoke(QUESTION),
    ]
    assert answers == [rag_chain(ships(), Scripted(text=TRUE), reranker=WordReranker()).invoke(QUESTION)] * 7
    assert [answer.trace for answer in answers] == [trace.id for trace in kept.rows]
    assert len(set(map(str, (trace.id for trace in kept.rows)))) == 7
    assert {trace.outcome for trace in kept.rows} == {"answered"}
    names = {event["name"] async for event in chain.astream_events(QUESTION, version="v2")}
    assert {"rag_chain", "rewrite", "retrieve", "select", "answer"} <= names


def test_the_rewritten_question_and_the_tokens_of_rewriting_are_told() -> None:
    kept = Kept()
    history = [HumanMessage("Who commanded the ship?"), AIMessage("Captain Moodie.")]
    traced(Counted(text="How tall is the mast of the ship?"), kept).invoke(
        {"question": "How tall is it?", "history": history}
    )
    [trace] = kept.rows
    assert trace.rewritten == "How tall is the mast of the ship?"
    assert set(trace.details["tokens"]) == {"rewrite", "answer"}
    assert trace.details["history"] == 2


def test_the_conversation_is_told_by_the_config() -> None:
    kept = Kept()
    traced(Scripted(text=TRUE), kept).invoke(QUESTION, {"configurable": {"session_id": "talk"}})
    traced(Scripted(text=TRUE), kept).invoke(QUESTION, {"configurable": {"session_id": "x" * 2_000}})
    assert [trace.session for trace in kept.rows] == ["talk", None]


def test_a_refusal_says_what_was_not_good_enough() -> None:
    kept = Kept()
    answer = traced(Scripted(text=TRUE), kept, min_score=0.99).invoke(QUESTION)
    [trace] = kept.rows
    assert answer.refused
    assert (trace.outcome, trace.citations, [hit["shown"] for hit in trace.hits]) == ("refused", [], [False, False])
    assert "model" not in trace.details


def test_an_answer_that_is_left_is_traced_as_far_as_it_came() -> None:
    kept, model = Kept(), Scripted(text=TRUE * 9)
    with closing(traced(model, kept).stream(QUESTION)) as chunks:
        for chunk in chunks:
            if chunk.text:
                break
    [trace] = kept.rows
    assert (trace.outcome, trace.answer) == ("cancelled", "The mast is 31 metres tall. [1]")
    assert [(hit["id"], hit["shown"]) for hit in trace.hits] == [("c1", True), ("c2", True)]
    assert "error" not in trace.details
    assert model.closed == [True]  # before it was written


async def test_an_answer_that_is_interrupted_is_traced_with_what_was_chosen() -> None:
    kept, model = Kept(), Scripted(text=TRUE * 9, error=KeyboardInterrupt(), fails_after=12)
    with pytest.raises(KeyboardInterrupt):
        list(traced(model, kept).stream(QUESTION))
    slow = traced(Scripted(text=TRUE, pause=5), kept).astream(QUESTION)
    await anext(slow)
    task = asyncio.ensure_future(anext(slow))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [trace.outcome for trace in kept.rows] == ["cancelled", "cancelled"]
    for trace in kept.rows:
        assert [(hit["id"], hit["shown"]) for hit in trace.hits] == [("c1", True), ("c2", True)]


async def test_an_answer_that_is_cancelled_is_traced_as_far_as_it_came() -> None:
    kept = Kept()
    async with aclosing(traced(Scripted(text=TRUE * 9), kept).astream(QUESTION)) as chunks:
        async for chunk in chunks:
            if chunk.text:
                break
    slow = asyncio.ensure_future(traced(Scripted(text=TRUE, pause=5), kept).ainvoke(QUESTION))
    await asyncio.sleep(0.2)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert [trace.outcome for trace in kept.rows] == ["cancelled", "cancelled"]
    assert [hit["id"] for hit in kept.rows[1].hits] == ["c1", "c2"]


async def test_a_chain_that_fails_is_traced_and_fails_as_without() -> None:
    kept = Kept()
    chain = traced(Scripted(text=TRUE), kept, Broken(documents=[], error=ValueError("the secret text")))
    with pytest.raises(ValueError, match="secret"):
        chain.invoke(QUESTION)
    with pytest.raises(ValueError, match="secret"):
        await chain.ainvoke(QUESTION)
    with pytest.raises(ValueError, match="secret"):
        list(chain.stream(QUESTION))
    assert [trace.outcome for trace in kept.rows] == ["failed"] * 3
    assert {trace.details["error"] for trace in kept.rows} == {"ValueError"}


def test_what_is_no_question_is_not_traced_nor_what_the_database_refused() -> None:
    kept = Kept()
    with pytest.raises(InvalidInput):
        traced(Scripted(text=TRUE), kept).invoke("")
    with pytest.raises(DatabaseUnavailable):
        traced(Scripted(text=TRUE), kept, Broken(documents=[], error=DatabaseUnavailable("down"))).invoke(QUESTION)
    assert kept.rows == []


@pytest.mark.parametrize(
    ("model", "said"), [(Scripted(text=TRUE), "no room"), (Scripted(error=OSError("x")), "these are quotes; no room")]
)
def test_a_trace_that_was_not_kept_is_a_note(model: Scripted, said: str) -> None:
    answer = traced(model, Kept("no room")).invoke(QUESTION)
    assert (answer.note or "").endswith(said)
    assert answer.trace is None
    assert "31 metres" in answer.text


def test_a_prompt_s_version_changes_with_its_words() -> None:
    one, two = (
        ChatPromptTemplate.from_messages([("system", f"Be {how}."), ("user", "{question}")])
        for how in ("brief", "kind")
    )
    assert prompt_version(one) == prompt_version(one) != prompt_version(two)


def test_what_json_cannot_hold_is_stored_without_it() -> None:
    trace = Trace(id="a", outcome="answered", question="a\x00b", hits=[{"score": float("inf"), "ranks": {"dense": 1}}])
    params = insert("", trace, days=1).params
    assert (params["question"], params["hits"]) == ("a�b", '[{"score": null, "ranks": {"dense": 1}}]')


# -- what a deletion leaves

TEXT = "The launch code is kept by the keeper of the keys. It hangs in the tower."


@pytest.mark.parametrize(
    ("said", "quotes"),
    [
        ("I think: the LAUNCH code is kept\nby the keeper of the keys!", True),
        ("1. It hangs in the tower\n2. It is red", True),
        ("Its launch code is kept by a keeper of the keys.", False),
        ("I think that the launch  code is kept by the keeper.", True),
        ("It hangs in the tower [2].", True),
        ("It hangs in a tower.", False),
        ("The keys.", False),
        ("", False),
    ],
)
def test_a_quotation_is_six_words_or_a_sentence(said: str, quotes: bool) -> None:
    assert bool(set(quoted.runs(TEXT)) & set(quoted.runs(said))) is quotes


def test_text_without_spaces_is_compared_by_characters() -> None:
    assert set(quoted.runs("発射コードは七です")) & set(quoted.runs("答えは、発射コードは七です"))


def row() -> dict[str, Any]:
    hits = [
        {"id": "a", "source": "f/a.md", "page": 3, "score": 0.9, "scores": {"dense": 0.9}, "ranks": {}, "shown": True},
        {"id": "b", "source": "f/b.md", "also_in": ["f/a.md", "f/c.md"], "score": 0.8, "scores": {}, "ranks": {}},
    ]
    cited = [{"n": 1, "id": "b", "source": "f/b.md", "quote": "Of b."}]
    return {"answer": "Of b. [1]", "hits": hits, "citations": cited}


def test_a_trace_that_only_found_it_keeps_its_answer() -> None:
    left = quoted.erased_trace(row(), {"a"}, {"f/a.md"}, quotes=False)
    assert left["answer"] == "Of b. [1]"
    assert left["hits"][0] == {"score": 0.9, "scores": {"dense": 0.9}, "ranks": {}, "shown": True, "erased": True}
    assert left["hits"][1]["also_in"] == ["f/c.md"]
    assert left["citations"] == row()["citations"]


def test_a_trace_that_cites_it_keeps_no_answer() -> None:
    left = quoted.erased_trace(row(), {"b"}, set(), quotes=False)
    assert (left["answer"], left["citations"]) == (None, [{"n": 1, "erased": True}])
    assert left["hits"][0]["source"] == "f/a.md"


def test_an_answer_s_message_says_what_it_cites() -> None:
    answer = Answer(text="Of b. [1]", citations=(Citation(n=1, id="b", source="f/b.md", quote="Of b."),), trace="t1")
    message = as_message(answer)
    stored = message_to_dict(message)
    assert message.text == "Of b. [1]"
    links = quoted.links_of_message(stored)
    assert (links.ids, links.sources, links.told) == ({"b"}, {"f/b.md"}, True)
    assert quoted.collection_of_message(stored) is None
    assert quoted.links_of_message(message_to_dict(AIMessage("Hello"))).told is False
