"""Where a text may be cut, and how much each cut hurts."""

import re
from collections.abc import Iterator
from itertools import pairwise

from howdah.retrieval.types import Extract

# What a chunk's edge costs at such a place. One chunk left empty costs 1 (see chunking), so that an edge above 1 is
# taken only where nothing else fits.
SECTION, BLOCK, ITEM, SENTENCE, ROW, LINE = 0.0, 0.1, 0.2, 0.4, 0.5, 0.8
AFTER_COLON, CODE_GAP, CODE, AFTER_HEADING, ANYWHERE = 1.0, 2.0, 3.0, 4.0, 6.0

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+•‣–]|\(?\d{1,3}[.)])[ \t]+\S")
_ROW = re.compile(r"[ \t]*\|")
_FIELD = re.compile(r"[^\s:][^:\r\n]{0,99}: ")
_STOP = re.compile(r"""[.!?…؟।]+["'”’»)\]]*(?:\[\w{1,8}\])*(?=\s)|[。！？]+[」』”）]*""")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[^\W\d_]|[eE]\.g|[iI]\.e|U\.S|vs|cf|approx|ca|etc|al|[Ff]igs?|[Ee]qs?|[Nn]os?|pp|vol|Dr|Mr|Mrs|Ms|Prof|St|Jr|Sr))\.$"
)


def cuts(extract: Extract) -> dict[int, float]:
    """Offset → cost, ascending: the start of every section, page, block, list item, table row and sentence.

    The first one is the text's first line that is not blank. Code fences have a cut a line, at a cost that keeps
    them whole where they fit. In a record each line that names a field is a cut, and no fence outlives it.
    """
    text = extract.text
    found: dict[int, float] = {}
    for start, end in pairwise([0, *extract.rows, len(text)]):
        found |= _blocks(text, start, end, of_record=bool(extract.rows))
    pages = (page for page in extract.pages if page < len(text))
    starts = {heading.start for heading in extract.headings}
    rows = (row for row in extract.rows if row < len(text))
    found |= dict.fromkeys(pages, BLOCK) | dict.fromkeys((*starts, *rows), SECTION)
    ordered = dict(sorted(found.items()))
    return dict(_weighed(text, ordered, starts))


def _blocks(text: str, begin: int, end: int, *, of_record: bool) -> Iterator[tuple[int, float]]:
    """Lines that begin something, and the sentences inside prose."""
    fence, blank = "", True
    prose: int | None = None
    for line in _LINE.finditer(text, begin, end):
        cost = _line_cost(line[0], fence=fence, blank=blank)
        if cost is None and of_record and _FIELD.match(line[0]):
            cost = ITEM
        fence = _fence_after(line[0], fence)
        blank = not line[0].strip()
        if cost is None:
            continue
        if prose is not None:
            yield from _sentences(text, prose, line.start())
        yield line.start(), cost
        prose = None if cost >= CODE_GAP or fence else line.start()
    if prose is not None:
        yield from _sentences(text, prose, end)


def _line_cost(line: str, *, fence: str, blank: bool) -> float | None:
    """The cost of a cut before this line; None where it goes on with what stands above it, or is blank."""
    if not line.strip():
        return None
    if fence:
        return CODE_GAP if blank else CODE
    if blank or _FENCE.match(line):
        return BLOCK
    if _ITEM.match(line):
        return ITEM
    return ROW if _ROW.match(line) else None


def _fence_after(line: str, fence: str) -> str:
    """The fence that is open after this line ("" for none); it closes with as many marks or more, and no words."""
    mark = _FENCE.match(line)
    if not fence:
        return mark[1] if mark else ""
    closes = mark and mark[1].startswith(fence) and not line[mark.end() :].strip()
    return "" if closes else fence


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, float]]:
    for stop in _STOP.finditer(text, start, end):
        after = stop.end()
        while after < end and text[after].isspace():
            after += 1
        if (
            after < end
            and not text[after].islower()
            and not _ABBREVIATION.search(text, max(start, after - 12), stop.end())
        ):
            yield after, SENTENCE


def _weighed(text: str, ordered: dict[int, float], headings: set[int]) -> Iterator[tuple[int, float]]:
    """A heading stays with what it heads, and a line ending in a colon with what it announces."""
    after_heading = False
    for offset, cost in ordered.items():
        before = text[max(0, offset - 8) : offset].rstrip()
        colon = before.endswith(":") and cost < AFTER_COLON and offset not in headings
        yield offset, AFTER_HEADING if after_heading else AFTER_COLON if colon else cost
        after_heading = offset in headings
