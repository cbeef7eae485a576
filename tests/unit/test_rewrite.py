"""Follow-ups: which questions point back, and what they are made into."""

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from howdah.chains.followups import stands_alone
from howdah.chains.prompts import load_prompt
from howdah.chains.rewrite import exchanges, rewriting, standalone
from howdah.chains.turn import Turn
from tests.scripted import Scripted

FAUST: list[BaseMessage] = [
    HumanMessage("Who wrote Faust?"),
    AIMessage("Goethe wrote Faust in Weimar. [1] It is long. [2]"),
]


@pytest.mark.parametrize(
    "question",
    [
        "Who wrote Faust?",
        "How do I install Howdah on Linux?",
        "What is HNSW and how does it work?",
        "Does FastAPI close its connections?",
        "Is it possible to filter by year?",
        "How long does it take to build the index?",
        "Are there any limits on metadata?",
        "Which function returns the scores that PostgreSQL computes?",
        "Wie viele Verbindungen öffnet der Pool?",
        "Gibt es eine Obergrenze für Metadaten?",
        "索引是什么？",
    ],
)
def test_stands_alone(question: str) -> None:
    assert stands_alone(question)


@pytest.mark.parametrize(
    "question",
    [
        "When did he die?",
        "Does it support Windows?",
        "What about Windows?",
        "And the second part?",
        "Why?",
        "How many?",
        "Which database does it use?",
        "Does Howdah support it?",
        "Who lives in that city?",
        "How long are these passages?",
        "Is the other one faster?",
        "Und wann ist er gestorben?",
        "¿Y cuándo murió?",
    ],
)
def test_points_back(question: str) -> None:
    assert not stands_alone(question)


def test_the_last_question_and_the_answers_names_come_before() -> None:
    assert standalone("When did he die?", FAUST) == "wrote Faust Goethe Weimar: When did he die?"


def test_a_chain_of_follow_ups_goes_back_to_one_that_stands() -> None:
    history = [*FAUST, HumanMessage("When did he die?"), AIMessage("In 1832.")]
    assert standalone("And where?", history).startswith("wrote Faust Goethe Weimar die:")


@pytest.mark.parametrize("history", [[], FAUST])
def test_what_stands_alone_stays(history: list[BaseMessage]) -> None:
    assert standalone("Who founded the Weimar theatre?", history) == "Who founded the Weimar theatre?"


def test_small_talk_and_refusals_lend_no_words() -> None:
    history = [*FAUST, HumanMessage("merci"), AIMessage("Je vous en prie."), HumanMessage("Where was he born?")]
    history.append(AIMessage("I found nothing in the documents that answers this."))
    assert exchanges(history) == [("Who wrote Faust?", FAUST[1].text), ("Where was he born?", "")]
    assert standalone("When did he die?", history) == "wrote Faust Goethe Weimar born: When did he die?"


def test_a_question_in_another_script_stands_or_leans_by_its_words() -> None:
    assert stands_alone("索引是什么？")
    assert not stands_alone("？")


def test_the_conversation_tells_the_language_where_the_question_does_not() -> None:
    assert standalone("Wirklich?", [HumanMessage("Wie lange gilt die Garantie?"), AIMessage("Zwei Jahre.")]).startswith(
        "gilt Garantie"
    )


def turn(question: str, history: list[BaseMessage]) -> Turn:
    return Turn(question=question, query=question, history=tuple(history))


async def test_the_model_is_asked_only_for_a_follow_up() -> None:
    model = Scripted(text='"When did Goethe die?"\n')
    step = rewriting(model, load_prompt("rewrite"))
    assert step.invoke(turn("Who wrote Faust?", FAUST)).query == "Who wrote Faust?"
    assert step.invoke(turn("When did he die?", [])).query == "When did he die?"
    assert model.asked == []
    assert step.invoke(turn("When did he die?", FAUST)).query == "When did Goethe die?"
    assert (await step.ainvoke(turn("When did he die?", FAUST))).query == "When did Goethe die?"
    assert "human: Who wrote Faust?" in model.prompt


@pytest.mark.parametrize(
    "model",
    [Scripted(error=RuntimeError("down")), Scripted(text=" "), Scripted(text="One.\nTwo."), Scripted(text="x" * 900)],
    ids=["fails", "empty", "two lines", "endless"],
)
async def test_a_model_that_is_no_help_leaves_it_to_the_rule(model: Scripted) -> None:
    step = rewriting(model, load_prompt("rewrite"))
    expected = standalone("When did he die?", FAUST)
    assert step.invoke(turn("When did he die?", FAUST)).query == expected
    assert (await step.ainvoke(turn("When did he die?", FAUST))).query == expected
