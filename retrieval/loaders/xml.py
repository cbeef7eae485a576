"""XML: parsed without entities, files or network, and read as text; what has a title is a section."""

import re
from importlib import import_module
from typing import Any

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.html import visible_lines
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.text import INSTALL, read_text, storable
from howdah.retrieval.loaders.xml_text import Block, blocks, local_name
from howdah.retrieval.types import Extract, Heading

_DECLARATION = re.compile(r"\s*<\?xml[^>]*\?>")
_LONGEST = 300  # characters of a title; what is longer is a paragraph
_MEDIA_TYPES = {"svg": "image/svg+xml", "rss": "application/rss+xml", "feed": "application/atom+xml"}


def read_xml(file: RawFile, text: str) -> Extract:
    """Titles as headings (JATS, DocBook, TEI, RSS, Atom), paragraphs, lists, tables, and data as "element: value".

    Damaged XML is read as far as it makes sense, and as plain text where it makes none.

    Raises LoadError if it holds no text.
    """
    root = _root(file, text)
    if root is None:
        return read_text(file, text)
    # Below the depth at which the parser stops, a reader of tags one by one still sees words.
    found = [block for block in blocks(root) if block.text] or [Block(line) for line in visible_lines(text)]
    if not found:
        raise file.error("has no text between its tags", hint="nothing to load from it")
    content, headings = _joined(found)
    media_type = _MEDIA_TYPES.get(local_name(root), Kind.XML.value)
    return Extract(
        text=content, media_type=media_type, title=headings[0].title if headings else None, headings=headings
    )


def is_xml(file: RawFile, text: str) -> bool:
    """Whether it is XML that nothing declares: one element, from the first character to the last."""
    ends = text.lstrip().startswith("<") and text.rstrip().endswith(">")
    return ends and _parsed(file, text.strip().encode(), recover=False) is not None


def _root(file: RawFile, text: str) -> Any:
    """By the encoding that the file declares; where that is wrong, by the one that was recognised."""
    root = _parsed(file, file.data, recover=False)
    if root is None:
        root = _parsed(file, _DECLARATION.sub("", text, count=1).lstrip("\ufeff \t\r\n").encode(), recover=True)
    return root


def _parsed(file: RawFile, data: bytes, *, recover: bool) -> Any:
    """The root element; None if there is none.

    Entities stay as they are (a "billion laughs" is three letters long), no DTD or other file is loaded, and the
    parser's own limits of depth and size hold.
    """
    try:
        etree: Any = import_module("lxml.etree")
    except ImportError as exc:
        raise PackageMissing("lxml", needed_for=f"{file.source}: XML", install=INSTALL) from exc
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        recover=recover,
        huge_tree=False,
        remove_pis=True,
        remove_comments=True,
    )
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _joined(found: list[Block]) -> tuple[str, tuple[Heading, ...]]:
    headings: list[Heading] = []
    parts: list[str] = []
    length = 0
    for block in found:
        text = storable(block.text)
        if block.level and len(text) <= _LONGEST:
            headings.append(Heading(start=length, level=block.level, title=text))
        parts.append(text)
        length += len(text) + 2
    return "\n\n".join(parts), tuple(headings)
