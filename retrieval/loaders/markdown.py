"""Markdown: the decoded file exactly, with its headings found by a CommonMark parser."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.text import INSTALL
from howdah.retrieval.types import Extract, Heading

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_NEWLINE = re.compile(r"\r\n|\n|\r")  # the parser's own idea of a line; str.splitlines() knows more
_ATTRIBUTES = re.compile(r"\s*\{:?\s*[#.][^{}]*\}\s*$")
_LONGEST = 200  # characters; what is longer is a paragraph behind a stray "#"
_OVERLINE = re.compile(r"[^\w\s]+")


def read_markdown(file: RawFile, text: str) -> Extract:
    """The whole file; `title` is the front matter's, else the first top heading's. Headings inside lists and
    quotations are words of those, not sections.
    """
    front = _FRONT_MATTER.match(text)
    headings = tuple(_headings(file, text, body=front.end() if front else 0))
    title = (_front_title(front[1]) if front else None) or next((h.title for h in headings if h.level == 1), None)
    return Extract(text=text, media_type=Kind.MARKDOWN.value, title=title, headings=headings)


def _headings(file: RawFile, text: str, *, body: int) -> Iterator[Heading]:
    parser = _parser(file)
    lines = [body, *(match.end() for match in _NEWLINE.finditer(text, body))]
    tokens = parser.parse(text[body:])
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            start = lines[opening.map[0]]
            title = _plain(parser, inline.content)
            if 0 < len(title) <= _LONGEST:
                yield Heading(start=start, level=int(opening.tag[1:]), title=title)


def _parser(file: RawFile) -> "MarkdownIt":
    try:
        from markdown_it import MarkdownIt
    except ImportError as exc:
        raise PackageMissing("markdown-it-py", needed_for=f"{file.source}: Markdown", install=INSTALL) from exc
    parser = MarkdownIt("commonmark")
    # Blocks alone: headings are all that is wanted, and inline parsing is most of the time.
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def _plain(parser: "MarkdownIt", content: str) -> str:
    """A heading's words: no attributes (`{ #anchor }`), emphasis, link targets or lines of reST punctuation."""
    lines = [line for line in content.split("\n") if not _OVERLINE.fullmatch(line.strip())]
    source = _ATTRIBUTES.sub("", " ".join(lines))
    parser.core.ruler.enableOnly(["normalize", "block", "inline"])
    tokens = parser.parseInline(source)
    parser.core.ruler.enableOnly(["normalize", "block"])
    words = (child.content for token in tokens for child in token.children or [] if child.type != "html_inline")
    return " ".join("".join(words).split())


def _front_title(front_matter: str) -> str | None:
    import yaml  # type: ignore[import-untyped]

    try:
        fields = yaml.safe_load(front_matter)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    title = fields.get("title") if isinstance(fields, dict) else None
    return str(title).strip() or None if title is not None else None
