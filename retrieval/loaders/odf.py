"""OpenDocument text, presentations and drawings: their XML, read by lxml, with HTML's names put on its elements."""

from collections.abc import Iterator
from typing import Any

from howdah.retrieval.loaders.blocks import Block, joined, joined_pages
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.markup import blocks_of_tree
from howdah.retrieval.loaders.package import meaningful, opened, own_title, part, xml_of
from howdah.retrieval.types import Extract

_WHAT = "OpenDocument file"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_SHOW = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"

_NAMES = {
    f"{_TEXT}p": "p",
    f"{_TEXT}list": "ul",
    f"{_TEXT}list-item": "li",
    f"{_TEXT}list-header": "li",
    f"{_TEXT}line-break": "br",
    f"{_TABLE}table": "table",
    f"{_TABLE}table-row": "tr",
    f"{_TABLE}table-cell": "td",
    f"{_TABLE}covered-table-cell": "td",
    f"{_DRAW}text-box": "div",
    f"{_DRAW}object": "template",  # a chart or formula in a part of its own; what it shows is a picture here
    f"{_OFFICE}forms": "template",
    f"{_OFFICE}event-listeners": "template",
    f"{_TEXT}tracked-changes": "template",  # what was deleted
    f"{_TEXT}table-of-content": "template",  # the headings once more
    f"{_TEXT}soft-page-break": "span",
    f"{_SVG}title": "template",
}
_BLOCKS = {f"{_TEXT}p", f"{_TEXT}h"}


def read_odf(file: RawFile) -> Extract:
    """Text with headings, tables, text boxes, notes and comments; of a presentation a page a slide, with notes.

    Raises LoadError if it is damaged, encrypted, unpacks too far or has no text.
    """
    with opened(file, _WHAT) as package:
        if b"encryption-data" in (part(package, "META-INF/manifest.xml") or b""):
            raise file.error("is encrypted and needs a password", hint="save a copy without the password")
        title = own_title(xml_of(part(package, "meta.xml"), file=file))
        root = xml_of(package.read("content.xml"), file=file)
        body = root.find(f"{_OFFICE}body")
        pages = list(body.iter(f"{_DRAW}page")) if body is not None else []
        titled = _title_style(root)
        kind = Kind.ODP if pages else Kind.ODT
        blocks = [list(_page(page)) for page in pages] or [_blocks(body)]
    found = joined_pages(blocks) if pages else joined(blocks[0])
    if not found.text:
        raise file.error("has no text", hint="if its pages are pictures, run it through an OCR program first")
    return Extract(
        text=found.text,
        media_type=kind.value,
        title=title or titled or meaningful(found.first_title),
        headings=found.headings,
        pages=found.pages,
        metadata={"page_count": len(pages)} if pages else {},
    )


def _page(page: Any) -> Iterator[Block]:
    for frame in page.iter(f"{_DRAW}frame"):
        if frame.get(f"{_SHOW}class") == "title":
            for paragraph in frame.iter(f"{_TEXT}p"):
                paragraph.tag = f"{_TEXT}h"
    for notes in page.findall(f"{_SHOW}notes"):
        page.remove(notes)
        yield from _blocks(page)
        if words := "\n".join(block.text for block in _blocks(notes)):
            yield Block(f"Notes: {words}")
        return
    yield from _blocks(page)


def _blocks(element: Any) -> list[Block]:
    if element is None:
        return []
    for note in [*element.iter(f"{_TEXT}note")]:
        number = "".join(note.find(f"{_TEXT}note-citation").itertext())
        _move_out(note, note.find(f"{_TEXT}note-body"), mark=f"[{number}]", label=f"[{number}] ")
    for comment in [*element.iter(f"{_OFFICE}annotation")]:
        for child in [*comment.iterfind(f"{_DC}*")]:
            comment.remove(child)
        _move_out(comment, comment, mark="", label="Comment: ")
    for child in [*element.iter(f"{_TEXT}*", f"{_TABLE}*", f"{_DRAW}*", f"{_OFFICE}*", f"{_SVG}*", f"{_SHOW}*")]:
        _rename(child)
    return blocks_of_tree(element)


def _rename(element: Any) -> None:
    if element.tag == f"{_TEXT}h":
        level = element.get(f"{_TEXT}outline-level") or "1"
        element.tag = f"h{min(int(level), 6) if level.isdecimal() else 6}"
    elif element.tag in {f"{_TEXT}s", f"{_TEXT}tab"}:
        element.tag, element.text = "span", " "
    elif element.tag in _NAMES:
        element.tag = _NAMES[element.tag]
    elif element.tag.startswith(_TEXT) and element.tag not in {f"{_TEXT}section", f"{_TEXT}index-body"}:
        element.tag = "span"


def _move_out(element: Any, body: Any, *, mark: str, label: str) -> None:
    """Put a note's words behind the paragraph that it is in, so that it does not cut a sentence in two."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    paragraph = next((above for above in element.iterancestors() if above.tag in _BLOCKS), None)
    words = " ".join(" ".join("".join(part.itertext()).split()) for part in body.iter(*_BLOCKS))
    if paragraph is None or paragraph.getparent() is None:
        return
    element.tag, tail = "span", element.tail
    element.clear()
    element.text, element.tail = mark, tail
    moved = etree.Element(f"{_TEXT}p")
    moved.text = label + words
    paragraph.addnext(moved)
    moved.tail, paragraph.tail = paragraph.tail, None


def _title_style(root: Any) -> str | None:
    """The first paragraph in the style Title, or in one that is derived from it."""
    derived = {
        style.get(f"{_STYLE}name")
        for style in root.iter(f"{_STYLE}style")
        if style.get(f"{_STYLE}parent-style-name") == "Title"
    }
    for paragraph in root.iter(f"{_TEXT}p"):
        if paragraph.get(f"{_TEXT}style-name") in {"Title", *derived}:
            return meaningful("".join(paragraph.itertext()))
    return None
