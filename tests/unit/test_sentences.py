"""Sentences: where they begin and end, whole and as a stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.chains.sentences import SentenceStream, sentences

CASES = {
    "plain": ("One ends. Two ends! Three ends? Four", ["One ends.", "Two ends!", "Three ends?", "Four"]),
    "title": ("Dr. Smith met Mr. Jones. They left.", ["Dr. Smith met Mr. Jones.", "They left."]),
    "initial": ("J. R. R. Tolkien wrote it. It sold.", ["J. R. R. Tolkien wrote it.", "It sold."]),
    "latin": ("Use a pool, e.g. PgBouncer. It helps.", ["Use a pool, e.g. PgBouncer.", "It helps."]),
    "decimal": ("It took 3.14 s. Version 0.8.4 is out.", ["It took 3.14 s.", "Version 0.8.4 is out."]),
    "numbered": (
        "See Fig. 3 and No. 5. The answer is no. Next.",
        ["See Fig. 3 and No. 5.", "The answer is no.", "Next."],
    ),
    "country": ("The U.S. Army came. It left.", ["The U.S. Army came.", "It left."]),
    "quoted": ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
    "bracketed": ("It works (mostly.) Then it stops.", ["It works (mostly.)", "Then it stops."]),
    "ellipsis": ("Wait... there is more. Done", ["Wait... there is more.", "Done"]),
    "identifier": ("Call os.path.join first. Then open.", ["Call os.path.join first.", "Then open."]),
    "marker after": ("Paris is big. [1] Rome is old [2]. So", ["Paris is big. [1]", "Rome is old [2].", "So"]),
    "marker touching": ("Paris is big.[1][2] Rome is old.", ["Paris is big.[1][2]", "Rome is old."]),
    "wrapped": ("A line that is\nwrapped ends. Next", ["A line that is\nwrapped ends.", "Next"]),
    "paragraphs": ("One\n\nTwo", ["One", "Two"]),
    "short lines": ("Overview\nThe store is fast", ["Overview", "The store is fast"]),
    "list": ("- first point\n- second. With two\n1. third", ["- first point", "- second.", "With two", "1. third"]),
    "heading": ("# Title\ntext follows. End", ["# Title", "text follows.", "End"]),
    "table": ("| a | b |\n| 1. | x. Y |", ["| a | b |", "| 1. | x. Y |"]),
    "fence": ("Run:\n```sh\na. B\n\nc. D\n```\nDone. Yes", ["Run:", "```sh\na. B\n\nc. D\n```", "Done.", "Yes"]),
    "german": ("Am 3. Oktober war es so. Z.B. Berlin feiert.", ["Am 3. Oktober war es so.", "Z.B. Berlin feiert."]),
    "spanish": ("¿Qué es? El Sr. López lo sabe.", ["¿Qué es?", "El Sr. López lo sabe."]),
    "chinese": ("第一句。第二句！第三句", ["第一句。", "第二句！", "第三句"]),
    "japanese": ("彼は「はい。」と言った。次。", ["彼は「はい。」", "と言った。", "次。"]),
    "hindi": ("यह एक है। यह दो है।", ["यह एक है।", "यह दो है।"]),
    "empty": (" \n\t ", []),
}
PIECES = st.sampled_from(
    [
        "Dr",
        ".",
        " ",
        "\n",
        "e.g",
        "a",
        "B",
        "[1]",
        "[",
        "3",
        "- ",
        "# ",
        "```",
        "!",
        "。",
        "”",
        "|",
        "Oktober",
        "> ",
        "No",
        "\r",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60)


@pytest.mark.parametrize("name", CASES)
def test_splits(name: str) -> None:
    text, expected = CASES[name]
    assert [text[start:end] for start, end in sentences(text)] == expected


@given(TEXTS)
def test_nothing_but_white_space_is_lost_and_order_holds(text: str) -> None:
    position = 0
    for start, end in sentences(text):
        assert position <= start < end
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip()


@given(TEXTS, st.data())
def test_a_stream_gives_the_same_sentences_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    stream = SentenceStream()
    given_out = []
    for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        given_out += stream.feed(text[begin:end])
    given_out += stream.finish()
    assert [sentence for _, sentence in given_out] == [text[start:end] for start, end in sentences(text)]


def test_a_stream_holds_a_sentence_until_nothing_can_change_it() -> None:
    stream = SentenceStream()
    assert stream.feed("One ends. ") == []
    assert stream.feed("[1") == []  # may be its marker
    assert stream.feed("] Two") == []
    assert stream.feed(" goes on") == [("", "One ends. [1]")]
    assert stream.finish() == [(" ", "Two goes on")]
