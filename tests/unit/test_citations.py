"""Citations: markers in a model's text, and quotes at exact offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.chains.citations import citation, locate
from howdah.chains.markers import Clause, clauses, without_markers
from howdah.chains.sentences import Span, sentences
from howdah.chains.verify import Passage, support
from howdah.retrieval.types import Hit

TEXT = "It’s a  “small”\nworld — **really** small. Größe counts. Straße and İstanbul. 東京は首都です。\u00ad"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Paris is big [1].", [("Paris is big.", (1,))]),
        ("Paris is big. [1]", [("Paris is big.", (1,))]),
        ("Paris is big.[1][2]", [("Paris is big.", (1, 2))]),
        ("Paris is big [1, 3; 2].", [("Paris is big.", (1, 3, 2))]),
        ("Paris is big [2-4].", [("Paris is big.", (2, 3, 4))]),
        ("Paris is big [passage 2].", [("Paris is big.", (2,))]),
        ("Paris is big [^2]【3†source】.", [("Paris is big.", (2, 3))]),
        ("Paris [1] and Rome [2] are big.", [("Paris", (1,)), (" and Rome", (2,)), (" are big.", ())]),
        ("Paris is big.", [("Paris is big.", ())]),
        ("Call `rows[0]` twice [1].", [("Call `rows[0]` twice.", (1,))]),
        ("See [the docs] now.", [("See [the docs] now.", ())]),
        ("", []),
    ],
)
def test_markers(sentence: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    assert clauses(sentence) == [Clause(*each) for each in expected]


def test_a_wild_range_is_no_flood() -> None:
    assert len(clauses("All [1-9999].")[0].numbers) == 10


def test_text_without_markers() -> None:
    assert without_markers("Paris [1] and Rome [2] are big.") == "Paris and Rome are big."


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ('it\'s a "small" world', "It’s a  “small”\nworld"),
        ("world - really small.", "world — **really** small"),
        ("GRÖSSE counts", "Größe counts"),
        ("strasse and", "Straße and"),
        ("東京は首都", "東京は首都"),
        ("mall", None),
        ("small worlds", None),
        ("...", None),
        ("", None),
    ],
)
def test_locate(wanted: str, expected: str | None) -> None:
    found = locate(wanted, TEXT)
    assert (None if found is None else TEXT[slice(*found)]) == expected


@given(st.text(max_size=80), st.text(max_size=20))
def test_what_is_located_is_in_bounds(content: str, wanted: str) -> None:
    found = locate(wanted, content)
    assert found is None or 0 <= found.start < found.end <= len(content)


WORDS = st.sampled_from(
    ["Zoë", "café", "index", "“quoted”", "naïve", "2,048", "row’s", "東京", "😀", "not", "İz", "ß", "–", "A"]
)
DOCUMENTS = st.lists(st.lists(WORDS, min_size=3, max_size=9).map(" ".join), min_size=1, max_size=6).map(". ".join)


@given(DOCUMENTS, st.data())
def test_a_quote_stands_in_the_document_at_its_offsets(document: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(document) - 1))
    end = data.draw(st.integers(begin + 1, len(document)))
    hit = Hit(id="7", content=document[begin:end], metadata={}, score=1.0, source="a.md", page=2, start=begin, end=end)
    for span in sentences(hit.content):
        said = hit.content[span.start : span.end].upper().replace("’", "'")
        found = support(said, Passage.of(hit))
        if found.holds:
            made = citation(hit, found.span, n=1)
            assert made.quote == document[made.start : made.end] != ""


def test_without_offsets_the_quote_is_still_exact() -> None:
    hit = Hit(id="", content=TEXT, metadata={}, score=0.0)
    made = citation(hit, Span(0, 4), n=3)
    assert (made.n, made.quote, made.start, made.end, made.page) == (3, "It’s", None, None, None)
