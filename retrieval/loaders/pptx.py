"""PPTX by python-pptx: a page a slide, with tables, charts, diagrams, comments and speaker notes."""

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.blocks import Block, joined_pages
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.package import meaningful, opened, xml_of
from howdah.retrieval.loaders.text import INSTALL
from howdah.retrieval.types import Extract

_WHAT = "PowerPoint file (PPTX)"
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)")
_CONTENT_TYPES = "[Content_Types].xml"
_PRESENTATION = b"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
_SHOW = re.compile(
    rb"application/vnd\.(openxmlformats-officedocument\.presentationml|ms-powerpoint)\.(slideshow|template)"
    rb"(\.macroEnabled)?\.main\+xml"
)
_FILE_NAME = re.compile(r"\S+\.\w{2,5}|(picture|image|graphic) \d+", re.IGNORECASE)
_LONGEST = 200  # characters; what is longer is a paragraph in the title's place
_FURNITURE = {"DATE", "FOOTER", "HEADER", "SLIDE_NUMBER"}  # placeholders that say the same on every slide


def read_pptx(file: RawFile) -> Extract:
    """Each slide's title as a heading, then its shapes in their order, its comments and its notes.

    Raises LoadError if it is damaged, unpacks too far or has no text.
    """
    try:
        import pptx
    except ImportError as exc:
        raise PackageMissing("python-pptx", needed_for=f"{file.source}: PPTX", install=INSTALL) from exc
    with opened(file, _WHAT) as package:
        data = _plain(package) if _is_unusual(package) else file.data
        deck = pptx.Presentation(io.BytesIO(data))
        pages = [list(_slide(file, slide)) for slide in deck.slides]
        title = meaningful(deck.core_properties.title)
    found = joined_pages(pages)
    if not found.text:
        count = f"{len(pages)} slide{'s' * (len(pages) != 1)}"
        raise file.error(f"no text in {count}", hint="if its slides are pictures, run it through an OCR program first")
    return Extract(
        text=found.text,
        media_type=Kind.PPTX.value,
        title=title or meaningful(found.headings[0].title if found.headings else None),
        headings=found.headings,
        pages=found.pages,
        metadata={"page_count": len(pages)},
    )


def _slide(file: RawFile, slide: Any) -> Iterator[Block]:
    top = slide.shapes.title
    if top is not None and (title := " ".join(top.text_frame.text.split())):
        yield Block(title, 1 if len(title) <= _LONGEST else 0)
    for shape in slide.shapes:
        if top is None or shape.shape_id != top.shape_id:
            yield from _shape(shape)
    yield from _related(file, slide)
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        if frame is not None and (notes := _lines(frame.text)):
            yield Block(f"Notes: {notes}")


def _shape(shape: Any) -> Iterator[Block]:
    if shape.is_placeholder and getattr(shape.placeholder_format.type, "name", "") in _FURNITURE:
        return
    if hasattr(shape, "shapes"):
        for inner in shape.shapes:
            yield from _shape(inner)
    elif getattr(shape, "has_table", False):
        rows = (" | ".join(" ".join(cell.text.split()) for cell in row.cells) for row in shape.table.rows)
        yield from _block("\n".join(line for row in rows if (line := row.rstrip(" |"))))
    elif getattr(shape, "has_chart", False):
        yield from _block("\n".join(_chart(shape.chart)))
    elif shape.has_text_frame:
        yield from _block("\n".join(_paragraphs(shape.text_frame)))
    else:
        described = shape._element.xpath(".//p:cNvPr/@descr")
        yield from _block("" if not described or _FILE_NAME.fullmatch(described[0]) else _lines(described[0]))


def _block(text: str) -> Iterable[Block]:
    return [Block(text)] if text.strip() else []


def _lines(text: str) -> str:
    return "\n".join(line for piece in text.replace("\v", "\n").split("\n") if (line := " ".join(piece.split())))


def _paragraphs(frame: Any) -> Iterator[str]:
    """A line a paragraph, deeper bullets further in."""
    for paragraph in frame.paragraphs:
        if text := _lines(paragraph.text):
            yield f"{'  ' * paragraph.level}- {text}" if paragraph.level else text


def _chart(chart: Any) -> Iterator[str]:
    if chart.has_title and chart.chart_title.has_text_frame:
        yield _lines(chart.chart_title.text_frame.text)
    for plot in chart.plots:
        categories = [str(category) for category in plot.categories]
        for series in plot.series:
            values = ["" if value is None else f"{value:g}" for value in series.values]
            if len(categories) == len(values):
                values = [f"{category}: {value}" for category, value in zip(categories, values, strict=True)]
            yield f"{series.name} | {' | '.join(values)}"


def _related(file: RawFile, slide: Any) -> Iterator[Block]:
    """What hangs on a slide as a part of its own and python-pptx has no objects for: diagrams and comments."""
    for relation in slide.part.rels.values():
        what = relation.reltype.rpartition("/")[2].lower()
        if relation.is_external or what not in {"diagramdata", "comments"}:
            continue
        root = xml_of(relation.target_part.blob, file=file)
        # A diagram's and a modern comment's words are DrawingML paragraphs, an older comment's a text element.
        texts = (
            []
            if root is None
            else [*root.iter("{*}p"), *root.iter("{http://schemas.openxmlformats.org/presentationml/2006/main}text")]
        )
        lines = [line for text in texts if (line := " ".join("".join(text.itertext()).split()))]
        yield from _block("\n".join(f"Comment: {line}" if what == "comments" else line for line in lines))


def _is_unusual(package: ZipFile) -> bool:
    """Whether python-pptx would not take it: a slide show, a template, or ISO 29500 strict."""
    strict = _STRICT.search(package.read("_rels/.rels"))
    return strict is not None or _SHOW.search(package.read(_CONTENT_TYPES)) is not None


def _plain(package: ZipFile) -> bytes:
    """The same slides as a presentation in the namespaces of ISO 29500 transitional."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as copy:
        for member in package.infolist():
            data = package.read(member)
            if member.filename.endswith((".xml", ".rels")):
                data = _STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006", data)
            if member.filename == _CONTENT_TYPES:
                data = _SHOW.sub(_PRESENTATION, data)
            copy.writestr(member.filename, data)
    return buffer.getvalue()
