"""HTML that is a document through and through (a converted DOCX, a book's chapter, a mail) as blocks.

Unlike a web page it has no navigation to be told from the text, so nothing visible is left out.
"""

import re
from typing import Any

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.blocks import Block
from howdah.retrieval.loaders.kinds import RawFile, is_wide
from howdah.retrieval.loaders.text import INSTALL, storable

_INLINE = re.compile(
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|label|mark|q|rp|rt|ruby|s|samp|small|span"
    "|strike|strong|sub|sup|time|tt|u|var|wbr"
)
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_UNSEEN = {"head", "math", "script", "style", "svg", "template", "title"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BREAK = "\v"
_INNER = {"td": "\x1f", "th": "\x1f", "tr": "\x1e"}  # ends of cells and rows of a table in a cell; no text has these


def blocks_of(file: RawFile, markup: bytes | str) -> list[Block]:
    """The blocks of an HTML or XHTML document, in order: list items and table rows are lines of one block.

    `markup` as bytes is read in the encoding that it declares, else as UTF-8.
    """
    if isinstance(markup, bytes):
        markup = _decoded(markup)
    try:
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError as exc:
        raise PackageMissing("lxml", needed_for=f"{file.source}: HTML", install=INSTALL) from exc
    # huge_tree: without it libxml2 drops whatever lies deeper than 256 elements.
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, no_network=True)
    data = storable(markup).encode()
    root: Any = etree.fromstring(data, parser) if data.strip() else None
    if root is None:
        return []
    return blocks_of_tree(root)


def blocks_of_tree(root: Any) -> list[Block]:
    """The blocks of an lxml element whose elements have HTML's names."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    writer = _Writer()
    writer.walk(etree.iterwalk(root, events=("start", "end", "comment", "pi")))
    return writer.blocks


def _decoded(data: bytes) -> str:
    declared = _DECLARED.search(data[:1024])
    encoding = is_wide(data) or (declared[1].decode() if declared else "utf-8-sig")
    try:
        return data.decode(encoding, errors="replace")
    except LookupError:
        return data.decode("utf-8-sig", errors="replace")


class _Writer:
    """Takes a tree element by element, so that depth costs nothing."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._pieces: list[str] = []
        self._lines: list[str] = []  # finished lines of a list or table, not yet a block
        self._lists: list[int] = []  # one a list that is open: the number of its next item, 0 if it has none
        self._marker = ""
        self._tables = 0
        self._cells: list[str] = []
        self._pre = 0

    def walk(self, events: Any) -> None:
        for event, element in events:
            if event == "start" and element.tag in _UNSEEN:
                events.skip_subtree()
            elif event == "start":
                self._open(element)
                self._pieces.append(element.text or "")
            elif event == "end":
                if element.tag not in _UNSEEN:
                    self._close(element.tag)
                self._pieces.append(element.tail or "")
            else:
                self._pieces.append(element.tail or "")
        self._end_block()

    def _open(self, element: Any) -> None:
        tag = element.tag
        if tag == "br":
            self._pieces.append(_BREAK)
        elif tag == "img":
            self._pieces.append(f" {element.get('alt') or ''} ")
        elif _INLINE.fullmatch(tag):
            return
        elif self._tables:
            self._open_in_table(tag)
        elif tag in {"ul", "ol"}:
            self._open_list(1 if tag == "ol" else 0)
        elif tag == "li":
            self._open_item()
        else:
            self._end_line() if self._lists else self._end_block()
            self._tables += tag == "table"
            self._pre += tag == "pre"

    def _open_in_table(self, tag: str) -> None:
        """Within the outermost table a row is a line; a table in a cell becomes words of that cell."""
        self._tables += tag == "table"
        if self._tables == 1 and tag == "tr":
            self._end_row()
        self._pieces.append(" ")

    def _open_list(self, number: int) -> None:
        self._end_line() if self._lists else self._end_block()
        self._lists.append(number)

    def _open_item(self) -> None:
        self._end_line()
        number = self._lists[-1] if self._lists else 0
        indent = "  " * (len(self._lists) - 1)
        self._marker = f"{indent}{number}. " if number else f"{indent}- "
        if number:
            self._lists[-1] += 1

    def _close(self, tag: str) -> None:
        if tag == "br" or _INLINE.fullmatch(tag):
            return
        if self._tables:
            self._close_in_table(tag)
        elif tag in {"ul", "ol"}:
            self._end_line()
            del self._lists[-1:]
            if not self._lists:
                self._end_block()
        elif self._lists:
            self._end_line()
        else:
            self._end_block(_HEADINGS.get(tag, 0))
        if tag == "pre":
            self._pre = max(0, self._pre - 1)

    def _close_in_table(self, tag: str) -> None:
        if self._tables == 1 and tag in {"td", "th"}:
            self._cells.append(_words(self._pieces))
            self._pieces.clear()
        elif self._tables == 1 and tag in {"tr", "table", "caption"}:
            self._end_row()
        else:
            self._pieces.append(_INNER.get(tag, " "))
        self._tables -= tag == "table"
        if not self._tables:
            self._end_block()

    def _end_row(self) -> None:
        loose = _words(self._pieces)
        self._pieces.clear()
        if row := " | ".join([*self._cells, *([loose] if loose else [])]).rstrip(" |"):
            self._lines.append(row)
        self._cells.clear()

    def _end_line(self) -> None:
        text = "".join(self._pieces)
        self._pieces.clear()
        lines = [line for piece in text.split(_BREAK) if (line := " ".join(piece.split()))]
        if lines:
            indent = "  " * len(self._lists)
            self._lines.append((self._marker or indent) + f"\n{indent}".join(lines))
            self._marker = ""

    def _end_block(self, level: int = 0) -> None:
        if self._pre and (text := "".join(self._pieces).replace(_BREAK, "\n").strip("\n")).strip():
            self._lines.append(f"```\n{text}\n```")
            self._pieces.clear()
        self._marker = ""
        self._end_line()
        if self._lines:
            text = "\n".join(self._lines)
            self.blocks.append(Block(" ".join(text.split()) if level else text, level))
        self._lines.clear()


def _words(pieces: list[str]) -> str:
    """The words of a cell on one line: of a table in it, "cell, cell; cell, cell"."""
    rows = ([" ".join(cell.split()) for cell in row.split("\x1f")] for row in "".join(pieces).split("\x1e"))
    return "; ".join(line for row in rows if (line := ", ".join(filter(None, row))))
