"""Which bound a chain refuses by, and what a collection remembers of it."""

import json

import pytest

from howdah.chains.questions import Question, read_questions
from howdah.chains.refusal import STANDARD, Bound, bound_for, fingerprint
from howdah.chains.signs import Signs
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.rerank import LocalReranker
from tests.scripted import WordReranker

OWN = Bound(weights={"passage": 1.0}, bias=0.0, threshold=0.5, reranker=LocalReranker.fingerprint, embeddings="local:a")


def test_a_bound_comes_back_from_json_as_it_was() -> None:
    assert Bound.of(json.loads(json.dumps(OWN.to_json()))) == OWN


@pytest.mark.parametrize(
    "saved",
    [None, {}, {**OWN.to_json(), "version": 99}, {**OWN.to_json(), "weights": {"a new sign": 1.0}}],
)
def test_what_another_version_saved_is_not_used(saved: object) -> None:
    assert Bound.of(saved) is None  # type: ignore[arg-type]


def test_the_collections_own_bound_comes_before_the_standard_one() -> None:
    assert bound_for(LocalReranker(), saved=OWN, embeddings="local:a") is OWN
    assert bound_for(LocalReranker(), saved=None, embeddings="local:a") is STANDARD


def test_a_bound_of_other_models_is_not_used() -> None:
    assert bound_for(LocalReranker(), saved=OWN, embeddings="local:b") is STANDARD
    assert bound_for(WordReranker(), saved=OWN, embeddings="local:a") is None
    assert bound_for(None, saved=OWN, embeddings="local:a") is None


def test_rerankers_of_other_classes_and_models_have_other_names() -> None:
    class Named:
        def __init__(self, model: str) -> None:
            self.model = model

    names = [fingerprint(each) for each in (LocalReranker(), WordReranker(), Named("a"), Named("b"))]
    assert len(set(names)) == 4
    assert fingerprint(LocalReranker(threads=1)) == fingerprint(LocalReranker())
    assert fingerprint(None) is None


def test_a_question_below_the_threshold_is_refused() -> None:
    assert OWN.refuses(Signs(passage=-0.1))
    assert not OWN.refuses(Signs(passage=0.1))


def test_questions_are_read_and_those_with_a_source_are_asked_without_it_too(tmp_path) -> None:
    path = tmp_path / "questions.jsonl"
    rows = [
        {"question": "How tall is the mast?", "answers": ["31 metres", "31"], "source": "docs/ship.md"},
        {"question": "Who was the cook?"},
        {"question": "Why is the sky blue?", "unanswerable": True},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    assert read_questions(path) == [
        Question(text="How tall is the mast?", kind="answerable", group=f"{path}, line 1"),
        Question(
            text="How tall is the mast?",
            kind="left out",
            group=f"{path}, line 1",
            filter={"source": {"$ne": "docs/ship.md"}},
            held=("31 metres",),
        ),
        Question(text="Who was the cook?", kind="answerable", group=f"{path}, line 2"),
        Question(text="Why is the sky blue?", kind="unanswerable", group=f"{path}, line 3"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1 is not JSON"),
        ("[]", "line 1 has no question"),
        ('{"question": " "}', "line 1 has no question"),
        ('{"question": "a", "anser": "b"}', "unknown key 'anser'"),
        ('{"question": "a", "answers": "b"}', "not a list of texts"),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path, line: str, said: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(InvalidInput, match=said) as caught:
        read_questions(path)
    assert '"question"' in caught.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.jsonl cannot be read"):
        read_questions(tmp_path / "none.jsonl")
