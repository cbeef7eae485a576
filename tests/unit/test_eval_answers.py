"""What `howdah eval answers` counts: gold answers, citations, support, refusals, the curve, and the comparison of two runs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from howdah.chains.evaluation import saved
from howdah.chains.evaluation.cases import Case, chosen, read_cases
from howdah.chains.evaluation.freshness import placed
from howdah.chains.evaluation.outcome import MEASURES, Outcome, Refusal, outcome
from howdah.chains.evaluation.squad import contains
from howdah.chains.evaluation.summary import refusals, summarise
from howdah.chains.evaluation.support import repeated
from howdah.chains.types import Answer, AnswerChunk, Check, Citation
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.ranking import Gold
from howdah.retrieval.evaluation.verdict import Gate
from howdah.retrieval.types import Hit

TEXT = "The mast of the Fram is 31 metres tall. She was built in Larvik."
QUOTE = "The mast of the Fram is 31 metres tall."


def hit(id: str = "a", source: str = "fram.md", content: str = TEXT, start: int = 100) -> Hit:
    return Hit(id=id, content=content, metadata={}, score=1.0, source=source, start=start, end=start + len(content))


def said(text: str, *, status: Any = "quoted", n: tuple[int, ...] = (1,)) -> AnswerChunk:
    marks = "".join(f"[{each}]" for each in n)
    return AnswerChunk(text=f"{text} {marks}", checks=(Check(status=status, n=n),))


def cited(n: int = 1, id: str = "a", source: str = "fram.md", quote: str = QUOTE) -> AnswerChunk:
    return AnswerChunk(citations=(Citation(n=n, id=id, source=source, start=100, end=139, quote=quote),))


def answered(case: Case, *chunks: AnswerChunk, hits: tuple[Hit, ...] = (hit(),), **more: Any) -> Outcome:
    return outcome(case, [AnswerChunk(hits=hits), *chunks], ms=10.0, **more)


CASE = Case(id="1", question="How tall is the mast of the Fram?", answers=("31 metres",))
REFUSED = AnswerChunk(text="The documents do not say.", refused=True)


def test_a_right_answer_counts_in_every_measure() -> None:
    found = answered(CASE, said(QUOTE), cited())
    # "mast of fram is 31 metres tall" are 7 words of SQuAD's normalisation, 2 of them the gold answer's.
    precision, recall = 2 / 7, 1.0
    assert found.values == {
        "right": 1.0,
        "contains_answer": 1.0,
        "f1": pytest.approx(2 * precision * recall / (precision + recall)),
        "citation_precision": 1.0,
        "citation_recall": 1.0,
        "passage_found": 1.0,
        "unsupported_quoted": 0.0,
        "false_refusals": 0.0,
    }
    assert set(found.values) <= set(MEASURES)


def test_a_refused_question_has_no_answer_and_no_citation() -> None:
    found = answered(CASE, REFUSED)
    assert found.values == {
        "right": 0.0,
        "contains_answer": 0.0,
        "f1": 0.0,
        "citation_recall": 0.0,
        "passage_found": 1.0,
        "false_refusals": 1.0,
    }


def test_an_unanswerable_question_is_right_where_it_is_refused() -> None:
    case = Case(id="2", question="How tall is the mast of the Gauss?", unanswerable=True)
    assert answered(case, REFUSED).values == {"right": 1.0, "correct_refusals": 1.0}
    assert answered(case, said(QUOTE), cited()).values == {
        "right": 0.0,
        "unsupported_quoted": 0.0,
        "correct_refusals": 0.0,
    }


@pytest.mark.parametrize(
    ("gold", "right"),
    [
        ("fram.md", 1.0),
        ("fram.md#120-130", 1.0),
        ("fram.md#0-100", 0.0),  # the passage begins at 100
        ("fram.md#164-170", 0.0),  # and ends at 164, which is not part of it
        ("gauss.md#120-130", 0.0),
    ],
)
def test_a_citation_is_right_where_its_passage_overlaps_the_gold_place(gold: str, right: float) -> None:
    assert len(TEXT) == 64
    case = Case(id="1", question="How tall?", gold=Gold.of(gold, ()))
    found = answered(case, said(QUOTE), cited())
    assert found.values["citation_precision"] == found.values["citation_recall"] == found.values["right"] == right
    assert "contains_answer" not in found.values


def test_precision_counts_citations_and_recall_asks_for_one() -> None:
    other = hit("b", "gauss.md", "The Gauss had no mast.")
    chunks = (
        said(QUOTE),
        cited(),
        said("The Gauss had no mast.", n=(2,)),
        cited(2, "b", "gauss.md", "The Gauss had no mast."),
    )
    found = answered(CASE, *chunks, hits=(hit(), other))
    assert found.values["citation_precision"] == 0.5
    assert found.values["citation_recall"] == 1.0
    assert [each.right for each in found.citations] == [True, False]


def test_sentences_of_a_model_and_quotes_are_judged_apart() -> None:
    invented = said("The mast of the Fram is 13 metres tall.", status="supported")
    found = answered(CASE, said(QUOTE), cited(), invented)
    assert found.values["unsupported_generated"] == 1.0
    assert found.values["unsupported_quoted"] == 0.0
    assert (
        answered(CASE, said("The mast is 31 metres tall.", status="supported"), cited()).values["unsupported_generated"]
        == 0
    )


def test_a_chunk_that_retracts_takes_back_its_sentences() -> None:
    raw = AnswerChunk(text="The mast is 99 metres tall. [1]", checks=(Check(status="supported", n=(1,)),))
    last = replace(said(QUOTE), retracts=True)
    assert [each.text for each in answered(CASE, raw, last, cited()).sentences] == [QUOTE]


@pytest.mark.parametrize(
    ("shown", "quote", "held"),
    [
        ("See the guide at example.org/docs.", "See [the guide](https://a.b/c) at `https://example.org/docs`.", True),
        ("Masts are tall.", "**Masts** are <b>tall</b>.", True),
        ("Masts are tall.", "Masts are not tall.", False),
        ("Masts are tall.", "Masts were tall.", False),
        ("", "Masts", False),
    ],
)
def test_a_quote_is_its_passages_words_but_for_what_is_never_shown(shown: str, quote: str, held: bool) -> None:
    assert repeated(shown, quote) is held


@pytest.mark.parametrize(("text", "gold", "held"), [("首都は東京です", "東京", True), ("Rollos", "Rollo", False)])
def test_whole_words_are_asked_for_where_there_are_spaces(text: str, gold: str, held: bool) -> None:
    assert contains(text, [gold]) is held


# -- refusals


def graded(chance: float, right: bool | None, *, refused: bool = False) -> Outcome:
    made = answered(CASE, REFUSED if refused else said(QUOTE), refusal=Refusal(chance=chance))
    return replace(made, would_be_right=right, values={"right": float(bool(right) and not refused)})


def test_the_curve_counts_answers_that_are_not_right() -> None:
    # By falling chance: right, wrong, right; the fourth has no answer at any threshold.
    rows = [graded(0.9, True), graded(0.5, False), graded(0.3, True, refused=True), graded(0.2, None, refused=True)]
    found = refusals(rows, threshold=0.4)
    assert [tuple(point) for point in found.points] == [
        (0.9, pytest.approx(1 / 4), 0.0),
        (0.5, pytest.approx(2 / 4), pytest.approx(1 / 2)),
        (0.3, pytest.approx(3 / 4), pytest.approx(1 / 3)),
    ]
    assert (found.coverage, found.risk) == (0.5, 0.5)


def test_what_the_bound_held_back_is_asked_without_it() -> None:
    forced = Answer.from_chunks([AnswerChunk(hits=(hit(),)), said(QUOTE), cited()])
    held = Refusal(chance=0.1, by_bound=True, forced=forced)
    assert answered(CASE, REFUSED, refusal=held).would_be_right is True
    assert answered(CASE, REFUSED, refusal=Refusal(chance=0.7)).would_be_right is None  # the model's own refusal
    unanswerable = Case(id="2", question="Why?", unanswerable=True)
    assert answered(unanswerable, REFUSED, refusal=Refusal(chance=0.1, by_bound=True)).would_be_right is False


def test_a_summary_has_means_and_percentiles() -> None:
    rows = [replace(graded(0.5, True), ms=float(ms), values={"right": ms % 2}) for ms in range(1, 101)]
    found = summarise(rows, threshold=None)
    assert found.metrics["right"].mean == 0.5
    assert found.metrics["right"].low < 0.5 < found.metrics["right"].high
    assert found.latency_ms == {"p50": 50, "p95": 95, "p99": 99}  # nearest rank, of 1 to 100
    assert "f1" not in found.metrics


# -- files


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_cases_are_read_with_what_is_known_of_them(tmp_path: Path) -> None:
    file = write(
        tmp_path / "questions.jsonl",
        {"question": " How tall? ", "answers": ["31 metres", " "], "source": "fram.md#1-20", "quote": "The mast"},
        {"id": "u1", "question": "Why?", "unanswerable": True},
    )
    first, second = read_cases(tmp_path)
    assert (first.question, first.answers, first.quote) == ("How tall?", ("31 metres",), "The mast")
    assert first.gold == Gold("fram.md#1-20", "fram.md", (1, 20))
    assert second == Case(id="u1", question="Why?", unanswerable=True)
    assert read_cases(file) == [first, second]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{", "line 2 is not JSON"),
        ({"answers": []}, "line 2 has no question"),
        ({"question": "How tall?", "answers": "31"}, "line 2 has answers"),
        ({"question": "How tall?", "source": 3}, "line 2 has a source"),
        ({"question": "How tall?", "colour": "red"}, "unknown key 'colour'"),
        ({"question": "First?"}, "line 2 has the id"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, row: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_cases(write(tmp_path / "q.jsonl", {"question": "First?"}, row))


def test_a_sample_is_drawn_by_its_seed_and_keeps_the_order() -> None:
    cases = [Case(id=str(number), question="?") for number in range(50)]
    assert chosen(cases, limit=5, seed=None) == cases[:5]
    drawn = chosen(cases, limit=5, seed=1)
    assert drawn == chosen(cases, limit=5, seed=1) != chosen(cases, limit=5, seed=2)
    assert [int(case.id) for case in drawn] == sorted(int(case.id) for case in drawn)
    assert chosen(cases, limit=99, seed=1) == cases


def test_a_gold_place_moves_with_its_text_or_is_stale() -> None:
    case = Case(id="1", question="?", gold=Gold.of("a#4-9", ()), quote="tall.")
    assert placed([case], {"a": "The tall."}).cases == [case]
    moved = placed([case], {"a": "Now the tall."})
    assert (moved.moved, moved.cases[0].gold) == (1, Gold("a#8-13", "a", (8, 13)))
    assert placed([case], {"a": "By now tall. So tall."}).stale == ["1"]  # which of the two is not known
    assert placed([case], {"a": "The tall. So tall."}).cases == [case]  # where it was
    assert placed([case], {"a": "short"}).stale == ["1"]
    assert placed([case], {"a": ""}).stale == ["1"]
    assert placed([case], {"a": None}).cases == [case]  # its text was not stored


def run(tmp_path: Path, name: str, values: list[dict[str, float]]) -> tuple[list[Outcome], Path]:
    rows = [replace(graded(0.5, True), id=str(n), values=its) for n, its in enumerate(values)]
    saved.save(tmp_path / name, {}, {}, rows)
    return rows, tmp_path / name


def test_fewer_refusals_are_a_gain_and_more_a_regression(tmp_path: Path) -> None:
    few, base = run(tmp_path, "few.json", [{"false_refusals": 0.0}] * 40)
    many, other = run(tmp_path, "many.json", [{"false_refusals": 1.0}] * 40)
    gate = Gate(metric="false_refusals")
    assert saved.compare(many, saved.load(base), gate).result == "regressed"
    found = saved.compare(few, saved.load(other), gate)
    assert (found.result, found.delta, found.n) == ("pass", 1.0, 40)


def test_runs_are_compared_on_the_questions_of_both(tmp_path: Path) -> None:
    rows, base = run(tmp_path, "base.json", [{"right": 1.0}] * 5)
    asked = [replace(rows[0], question="Another question under an old id?"), *rows[1:3], replace(rows[3], id="new")]
    assert saved.compare(asked, saved.load(base), Gate(metric="right")).n == 2
    with pytest.raises(InvalidInput, match="in common"):
        saved.compare(asked[:1], saved.load(base), Gate(metric="right"))
    with pytest.raises(InvalidInput, match="no measure"):
        saved.compare(rows, saved.load(base), Gate(metric="speed"))


@pytest.mark.parametrize("text", ["", "[]", '{"format": "another"}'])
def test_a_baseline_is_what_save_has_written(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"baseline|no saved evaluation"):
        saved.load(write(tmp_path / "base.json", text))
