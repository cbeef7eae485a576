"""HTML: the main text without navigation and adverts, its headings, lists, tables and code."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, NamedTuple

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.text import INSTALL, storable
from howdah.retrieval.types import Extract, Heading

_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_PERMALINK = re.compile(r"[\s\u200b¶#]+$")
_UNSEEN = {"noscript", "script", "style", "svg", "template"}
_INLINE = re.compile(
    "a|abbr|b|bdi|cite|code|data|del|em|font|i|ins|kbd|mark|q|s|samp|small|span|strong|sub|sup|time|tt|u|var|wbr"
)


class _Block(NamedTuple):
    text: str
    level: int = 0  # of a heading


def read_html(file: RawFile, text: str) -> Extract:
    """The main text, or the whole body's where no main text is found. Offsets count the extracted text.

    Raises LoadError if there is no text at all.
    """
    markup = _DECLARATION.sub("", text, count=1)
    page = _page(markup)
    blocks = list(_main_blocks(file, markup)) or [_Block(line) for line in page.lines]
    if not blocks:
        raise file.error("has no text between its tags", hint="if a script draws the page, save it from a browser")
    content, headings = _joined(_with_top_heading(page, blocks))
    title = page.title or page.top_heading or next((heading.title for heading in headings), None)
    return Extract(text=content, media_type=Kind.HTML.value, title=title, headings=headings)


def visible_lines(markup: str) -> list[str]:
    """What a browser would show of a piece of HTML, a line a block."""
    return _page(markup).lines


def _with_top_heading(page: "_Page", blocks: list[_Block]) -> list[_Block]:
    """Main-text extraction often leaves the page's own <h1> out; a site's name in an <h1> stays out."""
    top = page.top_heading
    if not top or any(block.level == 1 for block in blocks) or (page.title and top not in page.title):
        return blocks
    return [_Block(top, 1), *(block for block in blocks if block.text != top)]


def _main_blocks(file: RawFile, markup: str) -> Iterator[_Block]:
    try:
        import trafilatura
    except ImportError as exc:
        raise PackageMissing("trafilatura", needed_for=f"{file.source}: HTML", install=INSTALL) from exc
    document: Any = trafilatura.bare_extraction(markup, include_comments=False, favor_recall=True)
    if document is not None:
        yield from _blocks(document.body)


def _blocks(element: Any) -> Iterator[_Block]:
    """One block a paragraph, heading, list, table and code listing of trafilatura's tree, in order."""
    if own := _words(element.text or ""):
        yield _Block(own)
    for child in element:
        yield from _WRITERS.get(child.tag, _blocks)(child)
        if tail := _words(child.tail or ""):
            yield _Block(tail)


def _heading(element: Any) -> Iterator[_Block]:
    level = str(element.get("rend") or "h2")[1:]
    if title := _PERMALINK.sub("", _words(_inner(element))):
        yield _Block(title, int(level) if level.isdecimal() else 2)


def _paragraph(element: Any) -> Iterator[_Block]:
    if text := "\n".join(_lines(element)):
        yield _Block(text)


def _list(element: Any) -> Iterator[_Block]:
    items = ("\n  ".join(_lines(item)) for item in element.iter("item"))
    if text := "\n".join(f"- {item}" for item in items if item):
        yield _Block(text)


def _table(element: Any) -> Iterator[_Block]:
    rows = (" | ".join(_words(_inner(cell)) for cell in row.iter("cell")) for row in element.iter("row"))
    if text := "\n".join(line for row in rows if (line := row.rstrip(" |"))):
        yield _Block(text)


def _code(element: Any) -> Iterator[_Block]:
    if text := _inner(element).strip("\n"):
        yield _Block(f"```\n{text}\n```")


def _quote(element: Any) -> Iterator[_Block]:
    if len(element):
        yield from _blocks(element)
    elif text := "\n".join(line.strip() for line in _inner(element).strip().split("\n")):
        yield _Block(text)


_WRITERS = {"head": _heading, "p": _paragraph, "list": _list, "table": _table, "code": _code, "quote": _quote}


def _lines(element: Any) -> list[str]:
    """The element's words, a line ending only where the page breaks one; nested lists' items are lines of their own."""
    pieces = _inner(element, but="list").split("\v")
    return [line for piece in pieces if (line := _words(piece))]


def _inner(element: Any, *, but: str = "") -> str:
    parts = [element.text or ""]
    for child in element:
        if child.tag == "lb":
            parts.append("\v")
        elif child.tag != but:
            parts.append(_inner(child, but=but))
        parts.append(child.tail or "")
    return "".join(parts)


def _words(text: str) -> str:
    return " ".join(text.split())


def _joined(blocks: list[_Block]) -> tuple[str, tuple[Heading, ...]]:
    headings: list[Heading] = []
    parts: list[str] = []
    length = 0
    for block in blocks:
        text = storable(block.text)
        if block.level:
            headings.append(Heading(start=length, level=block.level, title=text))
        parts.append(text)
        length += len(text) + 2
    return "\n\n".join(parts), tuple(headings)


class _Page(HTMLParser):
    """The title, the first <h1>, and all that a browser would show, a line a block.

    It works event by event, so that depth costs nothing.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self._line: list[str] = []
        self._named: dict[str, list[str]] = {"title": [], "h1": []}
        self._inside = ""
        self._unseen = 0

    @property
    def title(self) -> str | None:
        return storable(_words("".join(self._named["title"]))) or None

    @property
    def top_heading(self) -> str | None:
        return storable(_PERMALINK.sub("", _words("".join(self._named["h1"])))) or None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        self._end_line(tag)
        # An <svg> has titles of its own; of several headings the first counts.
        if tag in self._named and not self._named[tag] and not self._unseen:
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag == self._inside:
            self._inside = ""
        self._end_line(tag)

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self._inside:
            self._named[self._inside].append(data)
        if self._inside != "title":
            self._line.append(data)

    def close(self) -> None:
        super().close()
        self._end_line("html")

    def _end_line(self, tag: str) -> None:
        if _INLINE.fullmatch(tag):
            return
        if line := _words("".join(self._line)):
            self.lines.append(line)
        self._line.clear()


def _page(markup: str) -> _Page:
    page = _Page()
    page.feed(markup)
    page.close()
    return page
