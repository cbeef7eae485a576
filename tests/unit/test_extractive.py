"""Which sentences are quoted: the best, and a second one that is near it, or costs little to read."""

import pytest

from howdah.chains.extractive import Candidate, best
from howdah.chains.sentences import Span


def candidate(text: str, start: int, place: int = 0) -> Candidate:
    return Candidate(place=place, span=Span(start, start + len(text)), text=text)


@pytest.mark.parametrize(
    ("lengths", "behind", "two"),
    [
        ((100, 100), 3.9, True),
        ((100, 100), 7.9, True),  # short together: further behind is near enough
        ((100, 100), 8.1, False),
        ((200, 200), 3.9, True),
        ((200, 200), 4.1, False),
        ((230, 230), 0.1, False),  # too much to read
    ],
)
def test_a_second_sentence_is_quoted_where_it_is_near_or_costs_little(
    lengths: tuple[int, int], behind: float, two: bool
) -> None:
    first, second = candidate("a" * lengths[0], 500), candidate("b" * lengths[1], 0)
    found = best([second, first], [-behind, 0.0], near=4.0, near_short=8.0)
    assert found == ([second, first] if two else [first])  # in reading order


def test_sentences_of_two_passages_keep_the_order_of_their_worth() -> None:
    first, second = candidate("a" * 50, 500, place=1), candidate("b" * 50, 0)
    assert best([second, first], [-1.0, 0.0], near=4.0) == [first, second]
    assert best([second, first], [-5.0, 0.0], near=4.0) == [first]
    assert best([], [], near=4.0) == []
