"""A conversation as a page: titles, quotes, notes, and nothing that a terminal would act on."""

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, messages_to_dict

from howdah.chains.memory import as_answer, as_message
from howdah.chains.transcript import markdown
from howdah.chains.types import Answer, Citation

QUOTE = "The mast is\n31 metres\x1b[31m tall\u202e."
ANSWER = Answer(
    text="The mast is 31 metres tall. [1]",
    citations=(
        Citation(n=1, id="c1", source="docs/ship.pdf", page=2, start=10, end=40, quote=QUOTE, also_in=("b.pdf",)),
    ),
    model="scripted",
    note="scripted failed (RuntimeError); the answer may be incomplete",
)


def exported(*messages: object, title: str | None = "How tall is\nthe mast?") -> dict:
    times = {"created_at": "2026-01-02T03:04:05+00:00", "updated_at": "2026-01-02T03:09:05+00:00"}
    return {"id": "3f2a", "title": title, "collection": "docs", "messages": messages_to_dict(messages), **times}  # type: ignore[arg-type]


def test_a_page_has_questions_answers_quotes_and_notes() -> None:
    page = markdown(exported(HumanMessage("How tall\nis it?"), as_message(ANSWER)))
    assert (
        page
        == """\
# How tall is the mast?

Conversation 3f2a, collection docs, 2 messages, 2026-01-02 03:04 to 2026-01-02 03:09

**You**

How tall
is it?

**Howdah**

The mast is 31 metres tall. [1]

> [1] docs/ship.pdf, page 2: “The mast is 31 metres[31m tall.”
>
> Note: scripted failed (RuntimeError); the answer may be incomplete
"""
    )


def test_messages_of_other_programs_have_a_page_too() -> None:
    page = markdown(
        exported(
            HumanMessage("Hi"), AIMessage("Hello\u00a010\u00a0km\x07"), ToolMessage("x", tool_call_id="1"), title=None
        )
    )
    assert page.startswith("# A conversation\n")
    assert "**Howdah**\n\nHello\u00a010\u00a0km\n\n**tool**\n\nx\n" in page


def test_an_answer_comes_back_from_its_message() -> None:
    kept = as_answer(as_message(ANSWER, collection="docs"))
    assert (kept.text, kept.citations, kept.note, kept.model) == (
        ANSWER.text,
        ANSWER.citations,
        ANSWER.note,
        "scripted",
    )
    assert as_answer(AIMessage("x", response_metadata={"howdah": "not ours"})) == Answer(text="x")
