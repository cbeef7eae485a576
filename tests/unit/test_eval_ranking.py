"""Hits to documents: by their best chunk, by source, and by the passage that they overlap."""

import pytest

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.ranking import BySource, Gold, by_corpus_id, firsts
from howdah.retrieval.types import Hit


def hit(source: str | None, start: int, end: int, score: float, **more: object) -> Hit:
    fields = {"id": f"{source}:{start}", "content": f"{start}-{end}", "metadata": {}, **more}
    return Hit(source=source, start=start, end=end, score=score, **fields)


def golds(*ids: str) -> dict[str, list[Gold]]:
    return {"q": [Gold.of(id_, set()) for id_ in ids]}


def test_a_document_scores_by_its_best_chunk() -> None:
    hits = [
        Hit(id=f"{n}#{id_}", content="", metadata={"_id": id_}, score=s)
        for n, id_, s in [(1, "a", 0.9), (0, "a", 0.8), (0, "b", 0.7)]
    ]
    assert firsts(by_corpus_id("q", hits)) == [("a", 0.9), ("b", 0.7)]


def test_a_source_is_a_document() -> None:
    hits = [hit("x", 0, 9, 0.9), hit("y", 0, 9, 0.8), hit("x", 9, 20, 0.7)]
    assert firsts(BySource(golds("y"))("q", hits)) == [("x", 0.9), ("y", 0.8)]


@pytest.mark.parametrize(
    ("start", "end", "found"), [(0, 10, False), (0, 11, True), (12, 14, True), (19, 40, True), (20, 40, False)]
)
def test_a_passage_counts_when_offsets_overlap(start: int, end: int, found: bool) -> None:
    ranking = firsts(BySource(golds("x#10-20"))("q", [hit("x", start, end, 0.5)]))
    assert ranking == [("x#10-20" if found else "x", 0.5)]


def test_the_right_source_at_the_wrong_place_is_another_document_once() -> None:
    hits = [hit("x", 100, 110, 0.9), hit("x", 200, 210, 0.8), hit("x", 15, 25, 0.7), hit("x", 300, 310, 0.6)]
    assert firsts(BySource(golds("x#10-20"))("q", hits)) == [("x", 0.9), ("x#10-20", 0.7)]


def test_a_source_whose_passage_was_found_takes_no_second_place() -> None:
    hits = [hit("x", 15, 25, 0.9), hit("x", 100, 110, 0.8), hit("y", 0, 9, 0.7)]
    assert firsts(BySource(golds("x#10-20"))("q", hits)) == [("x#10-20", 0.9), ("y", 0.7)]


def test_a_hit_may_hold_several_passages_and_their_source() -> None:
    ranking = firsts(BySource(golds("x#10-20", "x#30-40", "x"))("q", [hit("x", 0, 50, 0.9)]))
    assert ranking == [("x#10-20", 0.9), ("x#30-40", 0.9), ("x", 0.9)]


def test_golds_are_the_querys_own() -> None:
    assert firsts(BySource(golds("x#10-20"))("other", [hit("x", 0, 50, 0.9)])) == [("x", 0.9)]


def test_documents_with_the_same_text_follow_the_hit() -> None:
    asked = []

    def elsewhere(source: str, text: str) -> list[tuple[int, int]]:
        asked.append((source, text))
        return [(5, 15)]

    ranking = BySource(golds("y#10-20", "z"), elsewhere)("q", [hit("x", 0, 10, 0.9, also_in=("y", "z"))])
    assert firsts(ranking) == [("x", 0.9), ("y#10-20", 0.9), ("z", 0.9)]
    assert asked == [("y", "0-10")]


def test_a_row_added_through_the_api_goes_by_its_id() -> None:
    found = Hit(id="row-7", content="", metadata={}, score=0.4)
    assert firsts(BySource(golds("row-7"))("q", [found])) == [("row-7", 0.4)]


def test_a_source_that_is_named_like_a_passage_is_a_source() -> None:
    assert Gold.of("a#1-2", {"a#1-2"}) == ("a#1-2", "a#1-2", None)
    assert Gold.of("a#1-2", {"a"}) == ("a#1-2", "a", (1, 2))
    assert Gold.of("a#b#1-2", {"a"}).source == "a#b"


def test_a_passage_without_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has no length"):
        Gold.of("a#5-5", set())
