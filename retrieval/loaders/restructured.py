"""reStructuredText: the decoded file exactly, with its headings found by docutils."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.text import INSTALL
from howdah.retrieval.types import Extract, Heading

MEDIA_TYPE = "text/x-rst"
_MODULES = ("nodes", "frontend", "parsers.rst", "utils")
_NEWLINE = re.compile(r"\r\n|\n|\r")
_OTHER_NEWLINES = str.maketrans(dict.fromkeys("\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))  # str.splitlines' alone
_RULE = re.compile(r"([^\w\s])\1*\s*")


def read_rst(file: RawFile, text: str) -> Extract:
    """The whole file; `title` is that of its only top section, or of the first one.

    Nothing is included or run: directives that would read a file stay words.
    """
    headings = tuple(_headings(file, text))
    return Extract(text=text, media_type=MEDIA_TYPE, title=headings[0].title if headings else None, headings=headings)


def _headings(file: RawFile, text: str) -> Iterator[Heading]:
    lines = [0, *(match.end() for match in _NEWLINE.finditer(text))]
    section = _parser(file)
    for level, number, title in section(text.translate(_OTHER_NEWLINES)):
        # Sections inside a directive may count lines from its own beginning: these are left out.
        if not 1 < number <= len(lines) or not _RULE.fullmatch(_line(text, lines, number - 1)):
            continue
        overlined = number > 2 and _RULE.fullmatch(_line(text, lines, number - 3))
        if title := " ".join(title.split()):
            yield Heading(start=lines[number - 3 if overlined else number - 2], level=level, title=title)


def _line(text: str, lines: list[int], number: int) -> str:
    return text[lines[number] : lines[number + 1] if number + 1 < len(lines) else len(text)]


def _parser(file: RawFile) -> Any:
    """A function from text to (level, line of the underline from 1, title) of each section, in order."""
    try:
        nodes, frontend, rst, utils = (import_module(f"docutils.{name}") for name in _MODULES)
    except ImportError as exc:
        raise PackageMissing("docutils", needed_for=f"{file.source}: reStructuredText", install=INSTALL) from exc
    settings = frontend.get_default_settings(rst.Parser)
    settings.report_level = settings.halt_level = 5  # silent, and never ends the program
    settings.file_insertion_enabled = settings.raw_enabled = settings._disable_config = False
    settings.syntax_highlight = "none"

    def sections(text: str) -> Iterator[tuple[int, int, str]]:
        document = utils.new_document(file.source, settings)
        try:
            rst.Parser().parse(text, document)
        except Exception:  # noqa: BLE001  a parser of a hundred directives: whatever it trips over, the text is there
            return
        for section in document.findall(nodes.section):
            level = 1 + sum(1 for _ in _ancestors(section, nodes.section))
            yield level, section.line or 0, section.next_node(nodes.title).astext()

    return sections


def _ancestors(node: Any, kind: type) -> Iterator[Any]:
    while (node := node.parent) is not None:
        if isinstance(node, kind):
            yield node
