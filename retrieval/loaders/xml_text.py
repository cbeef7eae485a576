"""An XML tree as blocks of text: headings, paragraphs, lists, tables and lines of data."""

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from howdah.retrieval.loaders.html import visible_lines

# Vocabularies of text, whose attributes are no words: JATS, DocBook, TEI, DITA, feeds, drawings.
_OF_TEXT = "article|book|chapter|part|section|refentry|TEI|TEI.2|teiCorpus|topic|concept|task|reference|rss|feed|RDF|svg|nitf|doc"
_IS_OF_TEXT = re.compile(_OF_TEXT)
_TITLES = {"title", "head", "article-title", "bridgehead"}
_LISTS = {"list", "itemizedlist", "orderedlist", "variablelist"}
_TABLES = {"table", "informaltable"}
_ROWS, _CELLS = {"tr", "row"}, {"td", "th", "entry", "cell"}
_BLOCKS = {"boxed-text", "caption", "disp-formula", "disp-quote", "fig", "fig-group", "figure", "formalpara", "note"}
_BLOCKS |= {"para", "simpara", "table-wrap", "supplementary-material", "p"} | _LISTS | _TABLES
# Stand in the middle of a section: their titles are no headings, for what follows belongs to the section.
_ASIDES = {"caution", "caption", "example", "important", "sidebar", "tip", "warning"} | _BLOCKS
_VERBATIM = {"code", "literallayout", "preformat", "programlisting", "screen"}
_PARAGRAPHS = _BLOCKS | _VERBATIM
# Read as one run of words, whatever elements are in it.
_WHOLE = {"aff", "author-notes", "biblioentry", "contrib", "element-citation", "kwd-group", "mixed-citation", "name"}
_WHOLE |= {"history", "permissions", "pub-date", "ref", "string-name", "text", "tspan", "biblStruct", "math"}
# Numbers of journals and articles, how something looks, formulas a second time.
_UNREAD = {
    "article-categories",
    "article-id",
    "counts",
    "custom-meta-group",
    "journal-meta",
    "object-id",
    "script",
    "self-uri",
    "style",
    "tex-math",
}
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>")


class Block(NamedTuple):
    text: str
    level: int = 0  # of a heading


def blocks(root: Any) -> Iterator[Block]:
    """The blocks of a whole document, in order."""
    walk = _Walk(of_data=_IS_OF_TEXT.fullmatch(local_name(root)) is None)
    front = _article_title(root)
    if front:
        yield Block(front, 1)
    yield from walk.element(root, 1 if front else 0)


def local_name(element: Any) -> str:
    """The element's name without its namespace; "" for comments and entities."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


class _Walk:
    """`of_data`: attributes are values like others, and an element called "name" is a value and no person."""

    def __init__(self, *, of_data: bool) -> None:
        self.of_data = of_data

    def element(self, element: Any, level: int) -> Iterator[Block]:
        name = local_name(element)
        if not name or name in _UNREAD or (name == "image" and local_name(element.getparent()) == "channel"):
            return
        if name in _TABLES:
            yield Block("\n".join(_rows(element)))
        elif name in _LISTS:
            yield from self.listed(element, level)
        elif name in _VERBATIM:
            yield Block(f"```\n{''.join(element.itertext()).strip()}\n```")
        elif name in _WHOLE and not self.of_data:
            yield Block(_spaced(element))
        elif _is_mixed(element):
            yield from self.mixed(element, level)
        else:
            yield from self.section(element, level)

    def listed(self, element: Any, level: int) -> Iterator[Block]:
        for child in element:
            if local_name(child) in _TITLES:
                yield Block(_words(_inner(child)))
        items = [_spaced(child) for child in element if local_name(child) not in _TITLES]
        yield Block("\n".join(f"- {item}" for item in items if item))

    def mixed(self, element: Any, level: int) -> Iterator[Block]:
        """A paragraph, and apart from it what only stands inside it: lists, tables, figures."""
        words = [element.text or ""]
        for child in element:
            if local_name(child) in _BLOCKS:
                yield Block(_words("".join(words)))
                words.clear()
                yield from self.element(child, level)
            else:
                words.append(_inner(child))
            words.append(child.tail or "")
        yield from _paragraphs("".join(words))

    def section(self, element: Any, level: int) -> Iterator[Block]:
        """A heading if it has a title, then its children; plain values among them a line each."""
        title = _title_of(element)
        heading = (
            _words(_inner(title)) if title is not None else "Abstract" if local_name(element) == "abstract" else ""
        )
        if heading:
            is_aside = local_name(element) in _ASIDES
            level += not is_aside
            yield Block(heading, 0 if is_aside else level)
        lines = self.attributes(element)
        for child in element:
            if child is title:
                continue
            if (line := self.line(child)) is not None:
                lines.append(line)
                continue
            yield Block("\n".join(filter(None, lines)))
            lines.clear()
            yield from self.element(child, level)
        yield Block("\n".join(filter(None, lines)))

    def line(self, element: Any) -> str | None:
        """As "name: value" an element that holds nothing else; None for one with elements or paragraphs in it."""
        name = local_name(element)
        if not name or name in _UNREAD or (name in _TITLES and _in_front(element)):
            return ""
        if (
            len(element)
            or name in _PARAGRAPHS
            or (name in _WHOLE and not self.of_data)
            or _MARKUP.search(element.text or "")
        ):
            return None
        words = _words(element.text or "")
        found = [f"{name}: {words}"] if words else []
        return "\n".join([*found, *self.attributes(element)])

    def attributes(self, element: Any) -> list[str]:
        if not self.of_data:
            return []
        plain = ((name, _words(value)) for name, value in element.attrib.items() if "}" not in name)
        return [f"{name}: {_words(' '.join(_text_lines(value)))}" for name, value in plain if value]


def _is_mixed(element: Any) -> bool:
    """Whether words stand beside the element's children, or there are none."""
    texts = (element.text, *(child.tail for child in element))
    is_entity = any(not isinstance(child.tag, str) and _inner(child) for child in element)
    return is_entity or any(text and text.strip() for text in texts)


def _title_of(element: Any) -> Any:
    titles = (child for child in element if local_name(child) in _TITLES and not _in_front(child))
    return next((child for child in titles if _words(_inner(child))), None)


def _in_front(element: Any) -> bool:
    return local_name(element) == "article-title" and local_name(element.getparent()) == "title-group"


def _article_title(root: Any) -> str:
    """JATS keeps an article's title deep in its front matter."""
    title = root.find("front/article-meta/title-group/article-title") if local_name(root) == "article" else None
    return _words(_inner(title)) if title is not None else ""


def _rows(table: Any) -> Iterator[str]:
    for row in table.iter():
        if local_name(row) in _ROWS:
            cells = [_words(_inner(cell)) for cell in row if local_name(cell) in _CELLS]
            if any(cells):
                yield " | ".join(cells)


def _spaced(element: Any) -> str:
    """The words of all that is inside, with a blank between elements: a name's parts are words of their own."""
    return _words(" ".join(_texts(element)))


def _inner(element: Any) -> str:
    return "".join(_texts(element))


def _texts(element: Any) -> Iterable[str]:
    name = local_name(element)
    if not name:  # an entity that is not resolved, or a comment
        return [html.unescape(element.text)] if str(element.text or "").startswith("&") else []
    if name in _UNREAD:
        return []
    parts = [element.text or ""]
    for child in element:
        parts += _texts(child)
        parts.append(child.tail or "")
    return parts


def _paragraphs(text: str) -> Iterator[Block]:
    yield from (Block(line) for line in _text_lines(text))


def _text_lines(text: str) -> list[str]:
    """The words; where they are HTML inside of XML, as feeds have them, its visible lines."""
    return visible_lines(text) if _MARKUP.search(text) else [_words(text)]


def _words(text: str) -> str:
    return " ".join(text.split())
