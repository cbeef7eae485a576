"""DOCX by mammoth: headings by style, lists, tables, text boxes, footnotes and comments."""

import io
import re
from collections.abc import Iterator
from typing import Any

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.blocks import joined
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.markup import blocks_of
from howdah.retrieval.loaders.package import meaningful, opened, own_title, part, xml_of
from howdah.retrieval.loaders.text import INSTALL
from howdah.retrieval.types import Extract

_WHAT = "Word document (DOCX)"
_STYLES = "p[style-name='Title'] => p.title:fresh\ncomment-reference => sup"
_TITLE = re.compile(r'<p class="title">(.*?)</p>', re.DOTALL)
_BACK = re.compile(r'\s*<a href="#[^"]*-ref-[^"]*">↑</a>')  # from a note to the place that it is about
_PLAIN_ID = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)


def read_docx(file: RawFile) -> Extract:
    """The document's words in order, then footnotes and comments, to which numbers in brackets point.

    Raises LoadError if it is damaged, unpacks too far or has no text.
    """
    with opened(file, _WHAT) as package:
        title = own_title(xml_of(part(package, "docProps/core.xml"), file=file))
        styles = _outline_styles(xml_of(part(package, "word/styles.xml"), file=file))
        html = _html(file, "\n".join([_STYLES, *styles]))
    found = joined(blocks_of(file, html))
    if not found.text:
        raise file.error("has no text", hint="if its pages are pictures, run it through an OCR program first")
    return Extract(
        text=found.text,
        media_type=Kind.DOCX.value,
        title=title or _title_style(file, html) or meaningful(found.first_title),
        headings=found.headings,
    )


def _html(file: RawFile, styles: str) -> str:
    try:
        import mammoth
    except ImportError as exc:
        raise PackageMissing("mammoth", needed_for=f"{file.source}: DOCX", install=INSTALL) from exc
    # Without a converter of ours each picture would come as base64. Linked files are not opened.
    pictures = mammoth.images.img_element(lambda _: {})
    found = mammoth.convert_to_html(
        io.BytesIO(file.data), style_map=styles, convert_image=pictures, external_file_access=False
    )
    return _BACK.sub("", found.value)


def _title_style(file: RawFile, html: str) -> str | None:
    titled = _TITLE.search(html)
    return meaningful(" ".join(block.text for block in blocks_of(file, titled[1]))) if titled else None


def _outline_styles(root: Any) -> Iterator[str]:
    """A line of mammoth's style map for each paragraph style that is a heading by its outline level alone.

    A house's own styles ("Clause 1") are known by nothing else; Word's "heading 1" to 6 are mammoth's defaults.
    """
    styles = {} if root is None else {_value(style, "styleId"): style for style in root.iterfind("{*}style")}
    for name in filter(_PLAIN_ID.fullmatch, styles):
        level = _level(styles, name)
        if level is not None:
            yield f"p.{name} => h{min(level, 5) + 1}:fresh"


def _level(styles: dict[str, Any], name: str) -> int | None:
    """The outline level (0 = top, 9 = body text) of a style, or of the one it is based on."""
    for _ in range(10):
        style = styles.get(name)
        if style is None or _value(style.find("{*}name"), "val").lower() == "title":
            return None
        if level := _value(style.find("{*}pPr/{*}outlineLvl"), "val"):
            return int(level) if level.isdecimal() and int(level) < 9 else None
        name = _value(style.find("{*}basedOn"), "val")
    return None


def _value(element: Any, name: str) -> str:
    """An attribute by its local name: transitional and strict files differ in the namespace."""
    attributes = {} if element is None else element.attrib
    return next((value for key, value in attributes.items() if key.rpartition("}")[2] == name), "")
