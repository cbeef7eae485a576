"""What a query's text asks for: the operators of web search, and all the prose and code that must not be taken for them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from howdah.retrieval.asked import LONGEST, Asked, parse, prose


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("planets -jupiter", Asked(words="planets", excluded=("jupiter",))),
        ("-jupiter planets", Asked(words="planets", excluded=("jupiter",))),
        ("planets -jupiter moons -io5 -saturn's", Asked(words="planets moons", excluded=("jupiter", "io5", "saturn's"))),
        ("war -post-war", Asked(words="war", excluded=("post-war",))),
        ("covid-19 -vaccine.", Asked(words="covid-19 .", excluded=("vaccine",))),
        ("Flüsse -Öl", Asked(words="Flüsse", excluded=("Öl",))),
        ("月 -水", Asked(words="月 -水")),
        ("月 -水星", Asked(words="月", excluded=("水星",))),
        ('"red planet"', Asked(words='"red planet"', phrases=("red planet",))),
        ('the "red planet", then', Asked(words='the "red planet", then', phrases=("red planet",))),
        ('Who are "the Methodists?"', Asked(words='Who are "the Methodists?"', phrases=("the Methodists?",))),
        ('What is "Model C"?', Asked(words='What is "Model C"?', phrases=("Model C",))),
        ('"a b" "c d" "a b"', Asked(words='"a b" "c d" "a b"', phrases=("a b", "c d"))),
        ('moons -"red planet"', Asked(words="moons", excluded=("red planet",))),
        ('-"red planet" "a b" -phobos', Asked(words='"a b"', phrases=("a b",), excluded=("red planet", "phobos"))),
        ('"read -only memory"', Asked(words='"read -only memory"', phrases=("read -only memory",))),
    ],
)  # fmt: skip
def test_operators(text, want):
    assert parse(text) == want


PLAIN = [
    "", " ", "-", "--", "- -", '"', '""', '" "', '"-"', "-jupiter", "-jupiter -mars", '-"red planet"', "😀 -😀",
    "state-of-the-art methods", "pre-2020 models", "it is -5 degrees", "-5", "a - b", "a – b", "a —b", "x -y", "don't",
    "rock 'n' roll -'n'", "pip install --upgrade", "gcc -O2 main.c", "grep -v foo", "rm -rf", "python -m pip",
    "tar -xzf archive --verbose", "cmake -DCMAKE_BUILD_TYPE=Release", "gcc -std=c++17", "find . -name '*.py' -5",
    "what does tar -xzf do?", "is it -really- so", "the king -who was old- left", "Nord- und -Südsee", "E2f-1, -2, -3 cells",
    "- one\n- two", "-one\n-two", "shopping:\n-milk\n-bread", 'He said:\n"so be it"', "one\u2028-two",
    'say "hello', 'a 5" pipe and a 3" pipe', 'print("hello world")', '{"a":"b"}', 'x="a b"', '"open ended', 'ends"',
    "„zwei Worte“ “two words” «deux mots» ‘one’ 'one'", "a & b | !c <-> d:*", "%s %(words)s {} \\", "\x00 -\x00", "\ud800",
    "word " * 250 + "-excluded", '"' + "a" * LONGEST + '"',
]  # fmt: skip


@pytest.mark.parametrize("text", PLAIN, ids=[f"{n}" for n in range(len(PLAIN))])
def test_prose_and_code_are_taken_as_they_stand(text):
    assert parse(text) == Asked(words=text)
    assert prose(text) == text


MARKS = ["-", '"', "--", " ", "\n", "?", ".", "'", "’", "“", "„", "😀", "\x00", "\ud800"]
PIECES = st.sampled_from([*MARKS, "word", "-word", "-x", "-xy", '"a b"', '-"a b"', "5", "-5", "é", "水"])
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join), st.lists(PIECES, max_size=15).map(" ".join))


@given(TEXTS)
def test_any_text_is_read_and_nothing_in_it_is_lost(text):
    asked = parse(text)
    assert all(re.search(r"\w", part) for part in (*asked.phrases, *asked.excluded))
    assert all(part in asked.words for part in asked.phrases)
    assert all(part in text for part in asked.excluded)
    if not asked.excluded:
        assert asked.words == text
    else:
        # What is left, what was excluded and the marks are the text again.
        left = re.findall(r"\w+", f"{asked.words} {' '.join(asked.excluded)}")
        assert set(re.findall(r"\w+", text)) == set(left)
        assert re.search(r"\w", asked.words)


@given(TEXTS)
def test_a_text_without_minus_and_quote_has_no_operator(text):
    plain = text.replace('"', "").replace("-", "")
    assert parse(plain) == Asked(words=plain)


@given(TEXTS)
@example('0"0 "0"')
@example('0""0 "0"')
def test_prose_keeps_the_words_and_no_operator(text):
    told = prose(text)
    assert parse(told) == Asked(words=told)
    assert re.findall(r"\w+", told) == re.findall(r"\w+", text)
