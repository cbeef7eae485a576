"""A document as blocks (paragraphs, headings, lists, tables), and the blocks as one text with offsets."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from howdah.retrieval.loaders.text import storable
from howdah.retrieval.types import Extract, Heading

PAGE_BREAK = "\f"


class Block(NamedTuple):
    """Some lines of text; `level` is that of a heading (1 = top), 0 for all else."""

    text: str
    level: int = 0


class Joined(NamedTuple):
    """Blocks a blank line apart, and where the headings and pages among them begin."""

    text: str
    headings: tuple[Heading, ...]
    pages: tuple[int, ...] = ()

    @property
    def first_title(self) -> str | None:
        """The first heading of the highest level there is."""
        return min(self.headings, key=lambda heading: heading.level).title if self.headings else None


class Assembly:
    """A text that grows by blocks and by whole extracts, a blank line apart."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._headings: list[Heading] = []
        self.length = 0  # where the next part begins

    def add(self, block: Block) -> None:
        text = storable(block.text).replace(PAGE_BREAK, " ")
        if block.level:
            self._headings.append(Heading(start=self.length, level=block.level, title=text))
        self._append(text)

    def break_page(self) -> None:
        """A new page begins: a form feed ends the last one's text, so that a piece of the text tells its pages."""
        if self._parts:
            self._parts[-1] += PAGE_BREAK
            self.length += len(PAGE_BREAK)

    def include(self, extract: Extract, *, deeper: int = 0) -> None:
        """All of another text, its headings `deeper` levels further down."""
        for heading in extract.headings:
            start, level = self.length + heading.start, heading.level + deeper
            self._headings.append(Heading(start=start, level=level, title=heading.title))
        self._append(extract.text)

    def joined(self) -> Joined:
        return Joined("\n\n".join(self._parts), tuple(self._headings))

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text) + 2


def joined(blocks: Iterable[Block]) -> Joined:
    assembly = Assembly()
    for block in blocks:
        assembly.add(block)
    return assembly.joined()


def joined_pages(pages: Sequence[Sequence[Block]]) -> Joined:
    """As `joined`, with a form feed at the end of each page.

    A page without blocks begins where the next one does, or at the end of the text.
    """
    assembly = Assembly()
    starts: list[int] = []
    for number, page in enumerate(pages):
        if number:
            assembly.break_page()
        starts.append(assembly.length)
        for block in page:
            assembly.add(block)
    found = assembly.joined()
    text = found.text.rstrip(PAGE_BREAK)
    begin = len(text)
    for number in reversed(range(len(pages))):
        begin = starts[number] = min(starts[number], len(text)) if pages[number] else begin
    return found._replace(text=text, pages=tuple(starts))
