"""Where sentences begin and end: offsets into the text, whole or as it streams in. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from howdah.chains.markers import MARKERS

LIST_ITEM = re.compile(r"[ \t]*(?:>[ \t]*)*(?:[-*+•‣]|\d{1,3}[.)])[ \t]+")
_OPENS_BLOCK = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\||(?:>[ \t]*)+\S|(?:[-*_][ \t]*){3,}$)")
_ONE_LINE = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\||(?:[-*_][ \t]*){3,}$)")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)(?!.*\1)")

_END = re.compile(r"(?P<wide>[。！？｡؟۔।॥։።]+)|[.!?…]+")
_CLOSERS = re.compile(r"[\"'”’»›)\]」』）】*_`]*")
_LAST_WORD = re.compile(r"[^\s(\[\"“„«']*$")
_INITIAL = re.compile(r"[^\W\d_]")
_SETTLES = re.compile(r"\s|[。！？｡؟۔।॥։።]")  # after nothing else is one sentence more certain
_MARKED = re.compile(r"\d\s*[\]】]\Z")  # a marker that stands before the full stop
_PARAGRAPH = re.compile(r"[ \t]*\n[ \t]*\n")
_SHORT_LINE = 50  # a line shorter than this is not one that was wrapped

_TITLES = """
mr mrs ms dr prof st sr sra srta ud uds mme mlle hr fr vs e.g i.e eg ie cf ca approx resp z.b d.h u.a bzw vgl p.ej
u.s u.k u.n e.u inc ltd co corp gen col lt sgt capt rev hon messrs dept univ est al
"""
_NUMBERED = """
no nos nr nrn fig figs eq eqs sec secs vol vols p pp s ch art abs bd núm pág
jan feb mar apr jun jul aug sep sept oct nov dec
"""
_ABBREVIATIONS = frozenset(_TITLES.split())  # after these a full stop ends nothing
_BEFORE_NUMBER = frozenset(_NUMBERED.split())  # nor after these where a number follows
_AFTER_ORDINAL = re.compile(
    r"(?:Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember|Jahrhundert)\b"
)


class Span(NamedTuple):
    """`text[start:end]`."""

    start: int
    end: int


def sentences(text: str) -> list[Span]:
    """The sentences of `text` in order, without the white space around them; headings, rows and fences count as one."""
    found = []
    for block in _blocks(text):
        for span in _split(text, block):
            start, end = span
            while start < end and text[start].isspace():
                start += 1
            while end > start and text[end - 1].isspace():
                end -= 1
            if start < end:
                found.append(Span(start, end))
    return found


class SentenceStream:
    """Sentences of a text that arrives in pieces; the same ones, whatever the pieces.

    `feed` gives those that nothing to come can change, `finish` the rest; each with the white space before it.
    """

    def __init__(self) -> None:
        self._text, self._given, self._end = "", 0, 0

    @property
    def pending(self) -> str:
        """What has come in and was not given out."""
        return self._text[self._end :]

    def feed(self, piece: str) -> list[tuple[str, str]]:
        self._text += piece
        if not _SETTLES.search(piece):
            return []  # looked at when a word is whole: a model's tokens are parts of words
        spans = sentences(self._text)
        if not spans or _unsettled(self._text[spans[-1].start :]):
            spans = spans[:-1]
        return self._give(spans[:-1])

    def finish(self) -> list[tuple[str, str]]:
        return self._give(sentences(self._text))

    def _give(self, spans: list[Span]) -> list[tuple[str, str]]:
        given = []
        for start, end in spans[self._given :]:
            given.append((self._text[self._end : start], self._text[start:end]))
            self._end = end
        self._given = max(self._given, len(spans))
        if _PARAGRAPH.match(self._text, self._end):  # nothing before it is looked at again
            self._text, self._given, self._end = self._text[self._end :], 0, 0
        return given


def _unsettled(tail: str) -> bool:
    """Whether more text could still join `tail` to the sentence before it."""
    return not re.match(r"\S+\s", tail) or re.fullmatch(r"[\[【][^\]】]{0,20}\s*", tail) is not None


def _blocks(text: str) -> Iterator[Span]:
    """Paragraphs, list items, headings, table rows and fenced code."""
    start: int | None = None
    fence, before = "", ""
    for begin, line in _lines(text):
        if fence:
            if line.strip().startswith(fence):
                yield Span(start or 0, begin + len(line))
                start, fence, before = None, "", ""
            continue
        opened = _FENCE.match(line)
        if start is not None and (opened or _starts_block(line, before)):
            yield Span(start, begin)
            start = None
        if opened:
            start, fence = begin, opened[1]
        elif line.strip():
            start = begin if start is None else start
        before = line
    if start is not None:
        yield Span(start, len(text))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    begin = 0
    for line in text.split("\n"):
        yield begin, line
        begin += len(line) + 1


def _starts_block(line: str, before: str) -> bool:
    if not line.strip() or LIST_ITEM.match(line) or _OPENS_BLOCK.match(line) or _ONE_LINE.match(before):
        return True
    ended = before.rstrip()
    short = len(ended) < _SHORT_LINE and ended[-1:] not in ",;:-–("
    return short and line.lstrip()[:1].isupper()


def _split(text: str, block: Span) -> Iterator[Span]:
    """Sentences of one block, white space still around them."""
    if _FENCE.match(text, block.start, block.end) or _ONE_LINE.match(text, block.start, block.end):
        yield block
        return
    item = LIST_ITEM.match(text, block.start, block.end)
    start, position = block.start, item.end() if item else block.start
    while match := _END.search(text, position, block.end):
        position = match.end()
        end, marked = _after_closers(text, position, block.end)
        marked = marked or _MARKED.search(text, start, match.start()) is not None
        if end < block.end and _ends(text, match, start, end, marked=marked):
            yield Span(start, end)
            start = position = end
    if start < block.end:
        yield Span(start, block.end)


def _after_closers(text: str, position: int, limit: int) -> tuple[int, bool]:
    """Closing quotes and brackets, and citation markers (whether there are any), belong to the sentence before them."""
    closers = _CLOSERS.match(text, position, limit)
    end = closers.end() if closers else position
    markers = MARKERS.match(text, end, limit)
    return (markers.end(), True) if markers else (end, False)


def _ends(text: str, mark: re.Match[str], start: int, end: int, *, marked: bool) -> bool:
    if mark["wide"]:
        return True
    following = text[end:].lstrip()[:16]
    if not text[end].isspace() or (following[:1].islower() and not marked):
        return False
    return mark[0] != "." or not _abbreviates(text[start : mark.start()], following)


def _abbreviates(before: str, following: str) -> bool:
    """Whether a full stop after `before` belongs to its last word."""
    found = _LAST_WORD.search(before)
    word = found[0] if found else ""
    if _INITIAL.fullmatch(word) and word.isupper() and word != "I":
        return True
    if word.isdigit() and len(word) <= 2 and _AFTER_ORDINAL.match(following):
        return True
    word = word.casefold()
    return word in _ABBREVIATIONS or (word in _BEFORE_NUMBER and following[:1].isdigit())
