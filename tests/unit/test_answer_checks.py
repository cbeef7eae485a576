"""What the benchmark of answers counts with: SQuAD's measures, limits of shares, and support by a rule of its own."""

import json
from types import ModuleType

import pytest

from tests.benchmark_modules import benchmark_module
from tests.project.tree import ROOT


@pytest.fixture(scope="module")
def checks() -> ModuleType:
    return benchmark_module("answer_checks")


QUOTE = "The mast, made of pine, is 31 metres tall, and it was raised in 1859."


def supported(
    checks: ModuleType, sentence: str, *, question: str = "", golds: tuple[str, ...] = (), gold: bool = False
) -> bool:
    return checks.supported(sentence, [QUOTE], question=question, golds=golds, is_gold=gold)


@pytest.mark.parametrize(
    ("text", "gold", "held"),
    [
        ("It has 136 sacks. [1]", "136", True),
        ("It has 1,360 sacks.", "136", False),
        ("It took two.", "two.", True),
        ("In the Golden Gate Bridge", "Golden Gate bridge", True),
        ("A six-time winner", "Six", True),
        ("Rollo's men", "Rollo", True),
        ("Rollos", "Rollo", False),
        ("A cat.", "the", False),
    ],
)
def test_a_gold_answer_stands_there_as_squad_normalises(checks, text: str, gold: str, held: bool) -> None:
    assert checks.contains(text, [gold]) is held


def test_f1_is_that_of_the_words(checks) -> None:
    # "cat sat" and "cat sat down": precision 1, recall 2/3.
    assert checks.token_f1("The cat sat.", ["a cat sat down"]) == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
    assert checks.token_f1("dog", ["cat", "dog"]) == 1
    assert checks.token_f1("dog", ["cat"]) == 0


def test_a_percentile_is_a_value_that_was_measured(checks) -> None:
    # Nearest rank, the textbook's example: 5 numbers, the 30th is the second.
    assert checks.percentile([15, 20, 35, 40, 50], 30) == 20
    assert checks.percentile([15, 20, 35, 40, 50], 100) == 50


def test_a_share_has_wilsons_limits(checks) -> None:
    found = checks.share([True] * 8 + [False] * 2)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=5e-5)


@pytest.mark.parametrize(
    "sentence", ["The mast is 31 metres tall.", "The mast was raised in 1859.", "It was made of pine."]
)
def test_a_sentence_of_the_quotes_own_words_in_order_is_supported(checks, sentence: str) -> None:
    assert supported(checks, sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The mast is 32 metres tall.",  # a number
        "The mast of the Endurance is 31 metres tall.",  # a name
        "The mast is not 31 metres tall.",  # a denial
        "Metres of pine raised the tall mast.",  # another order
        "The mast is a fine one.",  # another word
        "It was.",  # nothing is said
    ],
)
def test_what_the_quotes_do_not_say_is_not_supported(checks, sentence: str) -> None:
    assert not supported(checks, sentence)


def test_a_gold_answer_from_the_gold_paragraph_may_use_the_questions_words(checks) -> None:
    asked = {"question": "How high does the mast reach?", "golds": ("31 metres",)}
    assert supported(checks, "The mast reaches 31 metres.", **asked, gold=True)
    assert not supported(checks, "The mast reaches 31 metres.", **asked, gold=False)
    assert not supported(checks, "The mast reaches 31 metres above Poplar.", **asked, gold=True)


def test_a_quotation_is_one_letter_by_letter(checks) -> None:
    assert checks.verbatim("is 31\nmetres tall", QUOTE)
    assert not checks.verbatim("is 31 meters tall", QUOTE)


def test_the_labelled_sample_holds_no_text(checks) -> None:
    path = ROOT / "benchmarks/answer_labels.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows
    assert len({(row["question"], row["sentence"]) for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == {"question", "sentence", "label", "reason"}
        assert len(row["sentence"]) == len(checks.digest("x")) == 16
        assert row["label"] in {"supported", "unsupported"}
        assert bool(row["reason"]) is (row["label"] == "unsupported")
