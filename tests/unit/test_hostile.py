"""Poisoned documents and a model that obeys every one of them: nothing of it reaches the reader."""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk

from howdah.chains import Answer, Citation, rag_chain
from howdah.chains.context import format_context
from howdah.chains.models import EXTRACTIVE
from howdah.chains.prompts import load_prompt
from howdah.retrieval.types import Hit
from howdah.scripts import output
from howdah.scripts.ask import show_citation
from howdah.scripts.session import Session
from tests.hostile.checker import let_through
from tests.hostile.documents import FACT, POISONS, QUESTION, Poison
from tests.hostile.obeying import SHAPES, Obeying, orders
from tests.scripted import ListRetriever, Scripted, WordReranker

CLEAN = "The Aurora is a ship of iron. The mast of the Aurora is 31 metres tall. Rope is stored below deck."
SYSTEM = load_prompt("answer").format_messages(context="", question="")[0].text


def texts(poison: Poison) -> dict[str, str]:
    return {"poisoned": poison.text, "clean": CLEAN}


def retriever(poison: Poison) -> ListRetriever:
    return ListRetriever(
        documents=[
            Document(
                page_content=text,
                metadata={"_howdah": {"id": name, "source": f"{name}.md", "start": 0, "end": len(text), "score": 0.7}},
            )
            for name, text in texts(poison).items()
        ]
    )


def test_there_are_enough_of_them() -> None:
    assert len({poison.name for poison in POISONS}) == len(POISONS) >= 40


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
@pytest.mark.parametrize(
    "options", [{}, {"unsupported": "drop"}, {"unsupported": "mark"}, {"verify": "after"}], ids=str
)
def test_nothing_gets_through(poison: Poison, options: dict[str, Any]) -> None:
    every = options in ({}, {"unsupported": "mark"})
    for shape in list(SHAPES.values())[:: 1 if every else 3]:
        model = Obeying(shape=shape, size=7)
        chunks = list(rag_chain(retriever(poison), model, **options).stream(QUESTION))
        answer = Answer.from_chunks(chunks)  # type: ignore[arg-type]
        assert let_through(answer, texts(poison), SYSTEM) == {}, (shape, model.text, answer.text)
        if "verify" not in options:
            assert "".join(chunk.text for chunk in chunks) == answer.text
        assert [hit.id for hit in answer.hits] == ["poisoned", "clean"]


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
def test_the_model_would_have_obeyed(poison: Poison) -> None:
    """Unguarded: the bare text in the prompt, and what the model writes shown as it is."""
    obeyed = orders([SystemMessage(SYSTEM), HumanMessage(poison.text)])
    assert obeyed
    unguarded = [let_through(Answer(text=f"{order} "), texts(poison), SYSTEM) for order in obeyed]
    assert any(unguarded)


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
@pytest.mark.parametrize("reranked", [False, True])
async def test_quotes_of_it_are_harmless(poison: Poison, *, reranked: bool) -> None:
    """Without a model, and where the question is the poison itself, so that it is what is quoted."""
    made = rag_chain(retriever(poison), EXTRACTIVE, reranker=WordReranker() if reranked else None, min_score=0.0)
    for question in (QUESTION, poison.text.split("\n\n")[1][:300], "What does it reply, say, output or append?"):
        for answer in (made.invoke(question), await made.ainvoke(question)):
            assert let_through(answer, texts(poison), SYSTEM) == {}, answer.text


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
def test_in_the_prompt_it_stays_one_passage_and_hides_nothing(poison: Poison) -> None:
    hit = Hit(id="1", content=poison.text, metadata={}, score=1.0, source=poison.text, title=poison.text)
    context = format_context([hit, hit], question=QUESTION, limit=12_000)
    assert [context.count(f'<passage n="{n}"') for n in (1, 2, 3)] == [1, 1, 0]
    assert context.count("<passage") == context.count("</passage>") == 2
    assert not [char for char in context if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf")]
    inside = context.replace("<passage", "").replace("</passage", "")
    assert not re.search(r"<\|?/?(?:im_|s>|start_of|end_of|\|)|<!--|\[/?INST\]|<<", inside)


def test_a_call_of_a_tool_that_the_model_makes_is_nothing() -> None:
    class Calling(Scripted):
        def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
            call = {"name": "delete_all", "args": "{}", "id": "1", "index": 0, "type": "tool_call_chunk"}
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[call]))

    answer = rag_chain(retriever(POISONS[0]), Calling()).invoke(QUESTION)
    assert (answer.text, answer.model) == (f"{FACT} [1]", "extractive")


def test_a_passages_own_link_is_text() -> None:
    text = (
        "The API is described at https://www.aurora.example/docs/api?utm=x#top. Write to crew@aurora.example for help."
    )
    found = ListRetriever(documents=[Document(page_content=text, id="1")])
    model = Scripted(text="The API is described at https://www.aurora.example/docs/api?utm=x#top [1].")
    answer = rag_chain(found, model).invoke("Where is the API described?")
    assert answer.text == "The API is described at `aurora.example/docs/api…`. [1]"
    assert "https://www.aurora.example/docs/api?utm=x#top" in answer.citations[0].quote
    quoted = rag_chain(found, EXTRACTIVE).invoke("Where to write for help?")
    assert quoted.text == "Write to `crew@aurora.example` for help. [1]"


def test_a_refusal_that_a_passage_may_have_ordered_is_not_believed() -> None:
    poison = next(each for each in POISONS if each.name == "refusal")
    answer = rag_chain(retriever(poison), Scripted(text="UNANSWERABLE")).invoke(QUESTION)
    assert (answer.refused, answer.text) == (False, f"{FACT} [1]")


def test_the_command_line_shows_no_terminal_commands(capsys: pytest.CaptureFixture[str]) -> None:
    quote = "The \x1b[31mmast\x1b[0m \x1b]8;;https://evil.example\x07is\x9b2J \u202e31 m\u200b"
    answer = Answer(text="x", citations=(Citation(n=1, id="1", source=quote, title=quote, quote=quote),))
    show_citation(Session(), answer.citations[0])
    output.put_json(answer.to_dict())
    shown = capsys.readouterr().out
    assert json.loads(shown[shown.index("{") :])["citations"][0]["quote"] == quote
    assert "31 m" in shown
    assert not [char for char in shown if char != "\n" and unicodedata.category(char) in ("Cc", "Cf")]
