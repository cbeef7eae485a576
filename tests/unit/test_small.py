"""What the small model is shown, and which of its sentences stand before the quote."""

import pytest

from howdah.chains.extractive import candidates
from howdah.chains.models import EXTRACTIVE
from howdah.chains.small import excerpt
from howdah.chains.turn import Turn
from howdah.chains.wanted import offers, wanted
from howdah.retrieval.types import Hit
from tests.scripted import Scripted
from tests.unit.test_chain import chain

TEXT = (
    "The ship was built at Poplar. The mast, made of pine, is 31 metres tall. <b>It</b> was raised in 1859. Sails came."
)


def turn(query: str) -> Turn:
    hit = Hit(id="1", content=TEXT, metadata={}, score=1.0, scores={"rerank": 0.9})
    found = candidates([hit])
    scores = tuple(0.9 if "mast" in each.text else 0.1 for each in found)
    return Turn(question=query, query=query, hits=(hit,), quotable=tuple(found), quote_scores=scores)


def test_it_sees_the_best_sentence_and_as_many_neighbours_as_fit() -> None:
    best = "The mast, made of pine, is 31 metres tall."
    assert excerpt(turn("How tall is the mast?"), 50) == best
    assert excerpt(turn("How tall is the mast?"), 80) == f"The ship was built at Poplar. {best}"
    assert excerpt(turn("How tall is the mast?"), 300) == TEXT.replace("<", "&lt;")


def said(text: str, question: str = "How tall is the mast?") -> str:
    return (
        chain(Scripted(text=text, model_name="smollm2"), TEXT.replace("<b>", "").replace("</b>", ""))
        .invoke(question)
        .text
    )


def test_a_sentence_that_shortens_the_quote_stands_before_it() -> None:
    assert said("The mast is 31 metres tall.") == (
        "The mast is 31 metres tall. [1] The mast, made of pine, is 31 metres tall. [1]"
    )


def test_quotes_are_the_rule_and_want_no_note() -> None:
    assert (
        chain(Scripted(text="I like masts.", model_name="smollm2"), TEXT).invoke("How tall is the mast?").note is None
    )
    assert chain(Scripted(text="I like masts."), TEXT).invoke("How tall is the mast?").note is not None


def test_a_quote_is_shown_in_one_line_and_cited_as_it_stands() -> None:
    answer = chain(EXTRACTIVE, "The mast, made of\n  pine, is 31 metres tall.").invoke("How tall is the mast?")
    assert answer.text == "The mast, made of pine, is 31 metres tall. [1]"
    assert answer.citations[0].quote == "The mast, made of\n  pine, is 31 metres tall."


@pytest.mark.parametrize(
    "text",
    [
        "The mast is 32 metres tall.",
        "The mast is made of pine.",  # not what was asked for
        "31 metres tall is the mast made of pine.",  # another order
        "The mast of Poplar is 31 metres tall.",  # words of two sentences
    ],
)
def test_any_other_sentence_is_replaced_by_the_quote(text: str) -> None:
    assert not said(text).startswith(text.removesuffix("."))
    assert "The mast, made of pine, is 31 metres tall." in said(text)


@pytest.mark.parametrize(
    ("question", "kind", "right", "wrong"),
    [
        ("How many masts had she?", "number", "She had three.", "She had masts."),
        ("When was she launched?", "date", "She was launched in May 1859.", "She was launched by 300 men."),
        ("Who commanded her?", "person", "It was Captain Moodie.", "It was a sailor."),
        ("Where was she built?", "place", "At Poplar.", "At a yard."),
        ("In what year did she sink?", "date", "In 1915.", "In winter."),
    ],
)
def test_what_is_asked_for_is_seen(question: str, kind: str, right: str, wrong: str) -> None:
    assert wanted(question) == kind
    assert offers(kind, right, question)
    assert not offers(kind, wrong, question)


def test_what_the_question_says_itself_is_no_answer() -> None:
    assert not offers("number", "She had 3 masts.", "How long did her 3 masts stand?")
    assert wanted("Describe the ship") is None


def test_a_month_is_told_from_the_word() -> None:
    assert offers("date", "She sailed in May.", "When did she sail?")
    assert not offers("date", "She may march on.", "When did she sail?")
