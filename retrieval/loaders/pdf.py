"""PDF: text by page, and the bookmarks as headings."""

import re
from collections.abc import Iterator
from threading import Lock
from typing import Any

from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.loaders.blocks import Block, joined_pages
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.text import INSTALL, storable
from howdah.retrieval.types import Extract, Heading

# PDFium is not thread-safe: two documents in two threads crash the process.
_PDFIUM = Lock()
_PASSWORD, _SECURITY = 4, 5  # FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY
_HYPHEN = re.compile("[\ufffe\x02]")  # PDFium's marks for a word divided at the end of a line, already joined
_FILE_NAME = re.compile(r"\.[A-Za-z]{2,5}$|^(microsoft \w+ - |untitled|unknown|slide \d|[\W\d_]*$)", re.IGNORECASE)


def read_pdf(file: RawFile) -> Extract:
    """Text, page starts, title and bookmarks. A PDF whose user password is empty opens; else the passwords are tried.

    Raises LoadError if it is damaged, needs another password or has no text.
    """
    try:
        import pypdfium2
    except ImportError as exc:
        raise PackageMissing("pypdfium2", needed_for=f"{file.source}: PDF", install=INSTALL) from exc
    with _PDFIUM:
        document = _opened(file, pypdfium2)
        try:
            return _read(file, document, failure=pypdfium2.PdfiumError)
        finally:
            document.close()


def _opened(file: RawFile, pdfium: Any) -> Any:
    for password in (None, *file.options.passwords):
        try:
            return pdfium.PdfDocument(file.data, password=password)
        except pdfium.PdfiumError as exc:
            if getattr(exc, "err_code", None) != _PASSWORD:
                raise _unopened(file, exc) from exc
    raise file.locked()


def _unopened(file: RawFile, exc: Exception) -> LoadError:
    if getattr(exc, "err_code", None) == _SECURITY:
        return file.error("is encrypted in a way that is not supported", hint="save a copy without encryption")
    return file.error("is a damaged PDF: its structure cannot be read", hint="open it in a viewer and print it to PDF")


def _read(file: RawFile, document: Any, *, failure: type[Exception]) -> Extract:
    texts: list[str] = []
    damaged: list[int] = []
    for number in range(len(document)):
        try:
            texts.append(_page_text(document, number))
        except failure:
            texts.append("")
            damaged.append(number + 1)
    if not any(texts):
        pages_read = f"{len(texts)} page{'s' * (len(texts) != 1)}"
        raise file.error(f"no text in {pages_read} (needs OCR)", hint="run it through an OCR program first")
    text, pages = _joined(texts)
    headings = tuple(sorted(_bookmarks(document, text, pages, failure=failure), key=lambda heading: heading.start))
    return Extract(
        text=text,
        media_type=Kind.PDF.value,
        title=_title(document),
        headings=headings,
        pages=pages,
        metadata={"page_count": len(texts), **({"damaged_pages": damaged} if damaged else {})},
    )


def _page_text(document: Any, number: int) -> str:
    page = document[number]
    try:
        content = page.get_textpage()
        try:
            text = content.get_text_range(errors="replace")
        finally:
            content.close()
    finally:
        page.close()
    return storable(_HYPHEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))).strip()


def _joined(texts: list[str]) -> tuple[str, tuple[int, ...]]:
    """The pages a blank line apart, and where each begins; a page without text begins where the next one does."""
    found = joined_pages([[Block(text)] if text else [] for text in texts])
    return found.text, found.pages


def _bookmarks(document: Any, text: str, pages: tuple[int, ...], *, failure: type[Exception]) -> Iterator[Heading]:
    """Each bookmark at its words on its page, or at the page's beginning where the words are not found."""
    ends = (*pages[1:], len(text))
    for bookmark in document.get_toc():
        try:
            title, place = storable(bookmark.get_title() or ""), bookmark.get_dest()
            number = place.get_index() if place else None
        except failure:
            continue
        words = [re.escape(word) for word in title.split()]
        if not words or number is None or not 0 <= number < len(pages):
            continue
        found = re.compile(r"\s+".join(words)).search(text, pages[number], ends[number])
        start = found.start() if found else pages[number]
        yield Heading(start=start, level=bookmark.level + 1, title=" ".join(title.split()))


def _title(document: Any) -> str | None:
    """The metadata's title, unless it is a file name, a program's default or garbage."""
    title = storable(document.get_metadata_value("Title") or "").strip()
    return None if not title or "\ufffd" in title or _FILE_NAME.search(title) else title
