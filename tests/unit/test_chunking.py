import re
import time
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter

from howdah.retrieval.chunking import HEADER_LIMIT, chunk, embedding_text, from_splitter, passage_text
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.loaders import extract
from howdah.retrieval.loaders.blocks import Block, joined_pages
from howdah.retrieval.structure import cuts
from howdah.retrieval.types import Extract, Heading, Span

WAR_AND_PEACE = Path(__file__).parents[3] / "shared/data/files/derived/one-line-war-and-peace.txt"


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def greedy(text: str) -> list[tuple[int, int]]:
    """A tokenizer that does not add up: it counts the text's beginning and end, blanks, and bytes twice over."""
    return [(0, 0), *((n, n + 1) for n, c in enumerate(text) for _ in c.encode("utf-8", "replace")), (0, 0)]


def plain(text: str) -> Extract:
    return Extract(text=text, media_type="text/plain")


def markdown(text: str) -> Extract:
    marks = (match for match in re.finditer(r"(?m)^(#+) (.*)$", text))
    headings = tuple(Heading(start=m.start(), level=len(m[1]), title=m[2]) for m in marks)
    return Extract(text=text, media_type="text/markdown", headings=headings)


def texts(found: Extract, spans: list[Span]) -> list[str]:
    return [found.text[span.start : span.end] for span in spans]


def check(found: Extract, spans: list[Span], *, max_tokens: int, token_spans) -> None:
    covered = set()
    for span in spans:
        content = found.text[span.start : span.end]
        assert content
        assert content == content.strip()
        assert len(token_spans(content)) <= max_tokens or len(content) == 1
        covered.update(range(span.start, span.end))
    assert all(n in covered or c.isspace() for n, c in enumerate(found.text))
    for before, after in pairwise(spans):
        assert before.start < after.start
        assert before.end < after.end


PIECES = st.sampled_from(
    [
        *("word ", "Sentence ends. ", "Is it? Yes! ", "as follows:\n", "e.g. this ", "[1] ", "x" * 70, " " * 30),
        *("\n", "\n\n", "\r\n", "\u2028", "\t", "日本語。", "é", "e\u0301", "🤷\u200d♂️"),
        *("# Head\n", "## Sub head\n", "- item\n", "1. one\n", "```\n", "~~~~\n", "| a | b |\n"),
    ]
)


@st.composite
def extracts(draw):
    text = draw(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
    spots = st.integers(0, max(0, len(text) - 1))
    pages = sorted(draw(st.lists(spots, max_size=4)))
    found = markdown(text)
    return Extract(text=text, media_type="x", headings=found.headings, pages=(0, *pages) if pages and text else ())


@settings(max_examples=300, deadline=None)
@given(extracts(), st.integers(8, 40), st.integers(0, 4), st.sampled_from([words, greedy]))
def test_chunks_cover_the_text_in_order_within_the_limit(found, max_tokens, overlap, token_spans):
    spans = chunk(found, max_tokens=max_tokens, overlap=overlap, token_spans=token_spans)
    check(found, spans, max_tokens=max_tokens, token_spans=token_spans)
    assert spans == chunk(found, max_tokens=max_tokens, overlap=overlap, token_spans=token_spans)


@settings(max_examples=200, deadline=None)
@given(extracts(), st.integers(8, 40))
def test_without_overlap_no_character_comes_twice(found, max_tokens):
    spans = chunk(found, max_tokens=max_tokens, overlap=0, token_spans=words)
    assert all(before.end <= after.start for before, after in pairwise(spans))


def sentences(count: int, length: int = 9, word: str = "word") -> str:
    return " ".join("S" + f" {word}" * (length - 2) + "." for _ in range(count))


def test_big_sections_begin_chunks_of_their_own_with_their_path():
    found = markdown(f"# A\n\n## B\n\n{sentences(4)}\n\n## C\n\n{sentences(4)}\n\n### D\n\n{sentences(4)}\n")
    spans = chunk(found, max_tokens=100, overlap=10, token_spans=words)
    assert [span.section for span in spans] == ["A", "A › C", "A › C › D"]
    assert [content[:4] for content in texts(found, spans)] == ["# A\n", "## C", "### "]


def test_crumbs_under_one_heading_are_put_together():
    found = markdown("# FAQ\n\n" + "".join(f"## Q{n}\n\nNo.\n\n" for n in range(12)) + f"# Next\n\n{sentences(5)}")
    spans = chunk(found, max_tokens=100, overlap=10, token_spans=words)
    assert [span.section for span in spans] == ["FAQ", "Next"]


def test_a_small_section_between_big_ones_joins_the_one_before_it():
    found = markdown(f"# A\n\n{sentences(5)}\n\n# B\n\nSmall.\n\n# C\n\n{sentences(5)}")
    assert [span.section for span in chunk(found, max_tokens=100, overlap=0, token_spans=words)] == ["A", "C"]


def test_a_section_begins_at_its_heading_even_right_after_another_heading():
    found = markdown(f"{sentences(5)}\n\n# A\n\n# B\n\n{sentences(5)}")
    spans = chunk(found, max_tokens=100, overlap=10, token_spans=words)
    assert [(span.section, found.text[span.start :][:4]) for span in spans] == [(None, "S wo"), ("B", "# B\n")]


def test_the_tokenizer_is_called_for_many_small_blocks_at_once():
    calls: list[str] = []
    chunk(plain("a\n\n" * 4000), max_tokens=256, overlap=0, token_spans=lambda text: calls.append(text) or words(text))
    assert len(calls) < 50


def test_a_code_fence_that_fits_stays_whole_and_one_that_does_not_is_cut_at_lines():
    fence = "```python\n" + "call()\n\n" * 10 + "```"
    found = markdown(f"{sentences(5)}\n\nLike this:\n\n{fence}\n\n{sentences(5)}")
    assert any(fence in content for content in texts(found, chunk(found, max_tokens=64, overlap=0, token_spans=words)))
    small = texts(found, chunk(found, max_tokens=24, overlap=0, token_spans=words))
    assert not any(re.search(r"call\($|^\)", content) for content in small)


def test_headings_in_code_fences_are_code():
    found = Extract(text="```sh\n# one\n\n# two\n```\n\nAfter.", media_type="text/markdown")
    assert [offset for offset, cost in cuts(found).items() if cost < 1] == [0, found.text.index("After")]


def test_paragraphs_are_cut_between_sentences_and_not_at_abbreviations():
    found = plain("Dr. Smith met J. Jones, i.e. Tom, at 3.5 km. Then (really!) they left. See fig. 3 for it. ok then.")
    starts = list(cuts(found))
    assert [found.text[start:][:4] for start in starts] == ["Dr. ", "Then", "See "]


def test_overlap_repeats_whole_sentences_within_one_section():
    found = plain(" ".join(f"Sentence number {n} has eight words in it." for n in range(20)))
    spans = chunk(found, max_tokens=60, overlap=18, token_spans=words)
    assert len(spans) > 2
    for before, after in pairwise(spans):
        repeated = found.text[after.start : before.end]
        assert re.fullmatch(r"(Sentence number \d+ has eight words in it\. ?){2}", repeated)


def test_overlap_never_takes_a_chunk_into_the_section_before():
    # The first section is a crumb, the code stays whole, and the two together are one token too many.
    code = "```\n" + "call()\n" * 23 + "```"
    found = markdown(f"{sentences(3, length=8)}\n\n# B\n\n{code}")
    spans = chunk(found, max_tokens=100, overlap=20, token_spans=words)
    assert [(span.section, found.text[span.start :][:3]) for span in spans] == [(None, "S w"), ("B", "# B")]


def test_each_page_of_some_size_begins_a_chunk_that_names_it():
    pages = [sentences(4), sentences(4), "3", sentences(4)]
    offsets = tuple(sum(len(page) + 2 for page in pages[:n]) for n in range(4))
    found = Extract(text="\n\n".join(pages), media_type="application/pdf", pages=offsets)
    spans = chunk(found, max_tokens=100, overlap=10, token_spans=words)
    assert [(span.start, span.page) for span in spans] == [(0, 1), (offsets[1], 2), (offsets[3], 4)]


def test_a_page_without_text_has_no_chunk_and_text_without_pages_no_page():
    found = Extract(text="abc\n\ndef", media_type="application/pdf", pages=(0, 5, 5))
    assert chunk(found, max_tokens=8, overlap=0, token_spans=words)[-1].page in {1, 3}
    assert chunk(plain("abc"), max_tokens=8, overlap=0, token_spans=words)[0].page is None


@pytest.mark.parametrize("text", ["", " \n\n\t", "\u2028"])
def test_a_blank_text_has_no_chunks(text):
    assert chunk(plain(text), max_tokens=8, overlap=0, token_spans=words) == []


@pytest.mark.parametrize(("max_tokens", "overlap"), [(7, 0), (100, -1), (100, 51)])
def test_impossible_sizes_are_named(max_tokens, overlap):
    with pytest.raises(InvalidInput, match=f"max_tokens={max_tokens} and overlap={overlap}"):
        chunk(plain("x"), max_tokens=max_tokens, overlap=overlap, token_spans=words)


def test_one_unknown_word_of_any_length_is_cut_all_the_same():
    found = plain("x" * 100_000)
    spans = chunk(found, max_tokens=100, overlap=0, token_spans=words)
    check(found, spans, max_tokens=100, token_spans=words)
    assert max(span.end - span.start for span in spans) <= 1600


@pytest.mark.parametrize("line", ["a ", "a\n", "a\n\n", "# a\n\n", "- a\n", "A b. ", "```\n", "日。"])
def test_time_is_linear_and_the_tokenizer_does_not_read_every_window(line):
    asked = 0

    def counted(text):
        nonlocal asked
        asked += len(text)
        return words(text)

    def seconds(times: int) -> float:
        found = markdown(line * times)
        begun = time.process_time()
        chunk(found, max_tokens=256, overlap=32, token_spans=counted)
        return time.process_time() - begun

    small, large = min(seconds(4_000) for _ in range(3)), min(seconds(16_000) for _ in range(2))
    assert large < 10 * small + 0.1
    assert asked <= 2.5 * len(line) * (3 * 4_000 + 2 * 16_000)


@pytest.mark.skipif(not WAR_AND_PEACE.exists(), reason="the data folder shared/data/files is not here")
def test_a_novel_on_one_line_is_cut_between_sentences():
    found = extract(WAR_AND_PEACE)
    spans = chunk(found, max_tokens=256, overlap=32, token_spans=words)
    ends = [found.text[span.end - 1] for span in spans]
    assert sum(end in ".!?\"”’'" for end in ends) > 0.95 * len(ends)


@pytest.mark.parametrize(
    ("title", "section", "header"),
    [
        ("T", "A › B", "T › A › B\n"),
        ("T", "T › B", "T › B\n"),
        ("T", "T", "T\n"),
        ("T", "Tea", "T › Tea\n"),
        ("T", None, "T\n"),
        (None, "A › B", "A › B\n"),
        (None, None, ""),
        ("a\nb", None, "a b\n"),
    ],
)
def test_the_header_names_title_and_section_once(title, section, header):
    assert embedding_text(title, section, "content") == header + "content"


@pytest.mark.parametrize(
    ("source", "title", "text"),
    [
        ("docs/sub/terms.pdf", "terms", "Scope\ncontent"),
        ("docs/sub/terms.pdf", "Terms of Sale", "Terms of Sale › Scope\ncontent"),
        ("docs/u\u0308ber.txt", "über", "über › Scope\ncontent"),
        ("docs/über.txt", "u\u0308ber", "Scope\ncontent"),
        (None, "terms", "terms › Scope\ncontent"),
    ],
)
def test_a_title_that_is_only_the_files_name_is_not_embedded(source, title, text):
    assert passage_text(source, title, "Scope", "content") == text


def test_a_long_header_keeps_its_innermost_part():
    text = embedding_text("title " * 100, "outer › inner", "content")
    assert text.endswith("outer › inner\ncontent")
    assert len(text.split("\n")[0]) == HEADER_LIMIT


@settings(max_examples=100, deadline=None)
@given(extracts(), st.integers(5, 50), st.integers(0, 4))
def test_a_splitters_chunks_are_found_again(found, size, overlap):
    splitter = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
    spans = from_splitter(splitter, found)
    made = [content for content in splitter.split_text(found.text) if content.strip()]
    assert ["".join(text.split()) for text in texts(found, spans)] == ["".join(text.split()) for text in made]
    assert [span.start for span in spans] == sorted(span.start for span in spans)


def test_a_chunk_that_a_splitter_made_twice_is_not_looked_for_at_the_end():
    found = Extract(text="word \u2028word Sentence ends. word ", media_type="text/plain")
    spans = from_splitter(RecursiveCharacterTextSplitter(chunk_size=5, chunk_overlap=3), found)
    assert [span.start for span in spans][:4] == [0, 6, 6, 11]


def test_a_splitter_may_change_white_space_and_gets_section_and_page():
    found = markdown("# A\n\none   two\nthree\n\n# B\n\nfour")

    class Squeezing(CharacterTextSplitter):
        def split_text(self, text):
            return [" ".join(part.split()) for part in text.split("\n\n# ")]

    spans = from_splitter(Squeezing(), found)
    assert texts(found, spans) == ["# A\n\none   two\nthree", "B\n\nfour"]
    assert [span.section for span in spans] == ["A", "B"]


def test_a_splitter_that_makes_up_words_is_named():
    class Shouting(CharacterTextSplitter):
        def split_text(self, text):
            return [text.upper()]

    with pytest.raises(InvalidInput, match="Shouting made a chunk that is no piece of the text: 'ABC'"):
        from_splitter(Shouting(), plain("abc"))


@given(st.lists(st.sampled_from(["", "One. Two.", "x" * 50, "a\n\nb", "A. " * 30]), min_size=1, max_size=8))
def test_form_feeds_tell_the_page_of_any_piece(pages):
    found = joined_pages([[Block(page)] if page else [] for page in pages])
    extract = Extract(text=found.text, media_type="x", pages=found.pages)
    assert len(found.pages) == len(pages)
    for number, page in enumerate(pages):
        assert not page or found.text.startswith(page, found.pages[number])
    for span in chunk(extract, max_tokens=16, overlap=4, token_spans=words):
        for offset in range(span.start, span.end):
            if not found.text[offset].isspace():
                page = span.page + found.text.count("\f", span.start, offset)
                assert page == bisect_right(found.pages, offset)
                assert found.text[offset] in pages[page - 1]
