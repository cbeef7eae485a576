"""Near copies: found within a bound, as whole words, in time linear in the passage; and quotes that are exact all the same."""

import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from howdah.chains.citations import citation, locate
from howdah.chains.folding import fold
from howdah.chains.fuzzy import BOUND, _distances, misspells, nearest
from howdah.chains.sentences import sentences
from howdah.chains.verify import Passage, support
from howdah.retrieval.types import Hit

TEXT = (
    "Rivers carry sediment. The ﬁrst “efﬁcient” engine, built in 1859 at Poplar – by a cafe\u0301 owner – was re-\nbuilt twice.\n"
    "It  did not\nsail in winter."
)


def levenshtein(one: str, other: str) -> int:
    """Wagner and Fischer (1974), as in the textbooks."""
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, start=1):
        above, row[0] = row[:], i
        for j, letter in enumerate(other, start=1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (char != letter))
    return row[-1]


@given(st.text("ab ", min_size=1, max_size=9), st.text("ab ", max_size=12))
def test_distances_are_levenshteins(wanted: str, text: str) -> None:
    for distance, end in _distances(wanted, text, anchored=True):
        assert distance == levenshtein(wanted, text[:end])
    for distance, end in _distances(wanted, text, anchored=False):
        assert distance == min(levenshtein(wanted, text[begin:end]) for begin in range(end + 1))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("the first efficient engine built in 1859", "The ﬁrst “efﬁcient” engine, built in 1859"),
        ("The frist 'efficient' engine, bilt in 1859", "The ﬁrst “efﬁcient” engine, built in 1859"),
        ("efficient engine, in 1859 at Poplar", "efﬁcient” engine, built in 1859 at Poplar"),
        ("by a café owner was rebuilt twice", "by a cafe\u0301 owner – was re-\nbuilt twice"),
        ("it did not saill in the winter", "It  did not\nsail in winter"),
        ("mountains carry no sediment", None),
        ("sediment", None),
        ("", None),
        ("x" * 2_000, None),
    ],
)
def test_nearest(wanted: str, expected: str | None) -> None:
    found = nearest(wanted, TEXT)
    assert (None if found is None else TEXT[slice(*found)]) == expected


def test_locate_knows_other_forms_of_letters() -> None:
    for wanted in (
        'first "efficient" engine',
        "CAFÉ OWNER",
        unicodedata.normalize("NFD", "café owner"),
        "was rebuilt twice",
    ):
        found = locate(wanted, TEXT)
        assert found is not None
        assert fold(TEXT[slice(*found)]).text == fold(wanted).text
    found = locate("a café", TEXT)
    assert found is not None
    assert TEXT[slice(*found)].endswith("e\u0301")


WORDS = st.sampled_from(
    [
        "rivers",
        "carry",
        "sediment",
        "winter",
        "engine",
        "Poplar",
        "builder",
        "efficient",
        "sailing",
        "captain",
        "harbour",
        "thirty",
    ]
)
SENTENCES = st.lists(WORDS, min_size=5, max_size=9).map(" ".join)


@given(st.lists(SENTENCES, min_size=1, max_size=4), st.data())
def test_a_sentence_with_few_errors_is_found_whole(said: list[str], data: st.DataObject) -> None:
    text = ". ".join(said)
    sentence = data.draw(st.sampled_from(said))
    wrong = sentence
    for _ in range(data.draw(st.integers(0, len(sentence) // 12))):
        place = data.draw(st.integers(1, len(wrong) - 2))
        wrong = wrong[:place] + data.draw(st.sampled_from(["", "q", wrong[place] * 2])) + wrong[place + 1 :]
    assume(len(wrong) > 12)
    found = nearest(wrong, text)
    assert found is not None
    assert levenshtein(fold(wrong).text, fold(text[slice(*found)]).text) <= BOUND * len(wrong)


@pytest.mark.parametrize(
    ("word", "words", "expected"),
    [
        ("bronocs", {"broncos"}, True),
        ("popler", {"poplar", "x"}, True),
        ("iran", {"iraq"}, True),
        ("berlin", {"poplar"}, False),
        ("abc", {"abd"}, False),
        ("py313", {"py312"}, False),
        ("2015", {"2016"}, False),
    ],
)
def test_misspells(word: str, words: set[str], expected: bool) -> None:
    assert misspells(word, words) is expected


def test_a_long_passage_takes_no_long_time() -> None:
    long = ("Rivers carry sediment to the delta, and the sea takes it away again. " * 1_500)[:100_000]
    began = time.perf_counter()
    assert nearest("An engine that was built at Poplar did never sail in any winter", long) is None
    assert nearest("y" * 999, long) is None
    assert nearest("Rivers carry sedimant to the delta and the see takes it away again", long) is not None
    took = time.perf_counter() - began
    assert took < 5
    began = time.perf_counter()
    support("The captain of the engine carried sediment to Poplar in winter.", Passage.of(hit(long)))
    assert time.perf_counter() - began < 10


def hit(content: str, **fields: int) -> Hit:
    return Hit(id="1", content=content, metadata={}, score=1.0, **fields)


PIECES = st.sampled_from(
    ["Zoë", "cafe\u0301", "ﬁne", "“so”", "re-\nbuilt", "2,048", "東京", "😀", "not", "\f", "  ", "<b>", "İz", "\u200b"]
)


@given(
    st.lists(st.lists(PIECES, min_size=4, max_size=9).map(" ".join), min_size=1, max_size=5).map(". ".join), st.data()
)
def test_a_quote_is_the_documents_text_however_it_was_found(document: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(document) - 1))
    end = data.draw(st.integers(begin + 1, len(document)))
    found = hit(document[begin:end], start=begin, end=end, page=3)
    for span in sentences(found.content):
        own = found.content[span.start : span.end]
        place = data.draw(st.integers(0, len(own)))
        for said in (own, unicodedata.normalize("NFKC", own).upper(), own[:place] + "x" + own[place:]):
            held = support(said, Passage.of(found))
            if held.holds:
                made = citation(found, held.span, n=1)
                assert made.quote == document[made.start : made.end] != ""
                assert made.page == 3 + document.count("\f", begin, made.start)


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_offsets_that_do_not_fit_the_content_are_not_given(content: str, document: str) -> None:
    """Another library trimmed the text and kept the offsets."""
    assume(len(content) != len(document))
    made = citation(hit(content, start=10, end=10 + len(document)), sentences("x")[0], n=1)
    assert (made.start, made.end) == (None, None)
    assert made.quote == content[:1]
