"""One file in, its text out.

Neither LangChain nor NumPy is imported here: the processes that parse files start seven times as fast without them.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from howdah.retrieval.loaders.containers import decrypted, kind_of_bytes
from howdah.retrieval.loaders.delimited import read_delimited
from howdah.retrieval.loaders.docx import read_docx
from howdah.retrieval.loaders.epub import read_epub
from howdah.retrieval.loaders.html import read_html
from howdah.retrieval.loaders.json_records import read_json
from howdah.retrieval.loaders.kinds import Kind, RawFile, kind_of_text, read_bytes, refuse_unread_formats
from howdah.retrieval.loaders.mail import read_eml, read_msg
from howdah.retrieval.loaders.markdown import read_markdown
from howdah.retrieval.loaders.notebook import read_notebook
from howdah.retrieval.loaders.odf import read_odf
from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.loaders.pdf import read_pdf
from howdah.retrieval.loaders.pptx import read_pptx
from howdah.retrieval.loaders.restructured import read_rst
from howdah.retrieval.loaders.rtf import read_rtf
from howdah.retrieval.loaders.sheets import read_workbook, workbook_type
from howdah.retrieval.loaders.source_code import read_code
from howdah.retrieval.loaders.text import decode, read_text
from howdah.retrieval.loaders.xml import is_xml, read_xml
from howdah.retrieval.types import Extract

_READERS = {
    Kind.TEXT: read_text,
    Kind.MARKDOWN: read_markdown,
    Kind.RST: read_rst,
    Kind.HTML: read_html,
    Kind.XML: read_xml,
    Kind.CSV: read_delimited,
    Kind.JSON: read_json,
    Kind.CODE: read_code,
    Kind.NOTEBOOK: read_notebook,
}


def extract(path: Path, *, source: str | None = None, options: LoadOptions = PLAIN) -> Extract:
    """The text of a file of any kind that is read, told by its content; `title` is never None.

    A file that names no title of its own has its name without the ending. `source` is the name in error messages.

    Raises LoadError, in one sentence, for anything that gives no text.
    """
    return read(read_bytes(path, source or str(path), options))


def read(file: RawFile) -> Extract:
    """As `extract`, of bytes that are at hand."""
    if kind := kind_of_bytes(file):
        found = _BINARY_READERS[kind](file)
    elif media_type := workbook_type(file.data):
        found = read_workbook(file, media_type)
    else:
        refuse_unread_formats(file)
        text = decode(file)
        kind = kind_of_text(file, text)
        kind = Kind.XML if kind is Kind.TEXT and is_xml(file, text) else kind
        found = _READERS[kind](file, text)
    return found if found.title else replace(found, title=file.name.stem)


_BINARY_READERS: dict[Kind, Callable[[RawFile], Extract]] = {
    Kind.PDF: read_pdf,
    Kind.DOCX: read_docx,
    Kind.PPTX: read_pptx,
    Kind.ODT: read_odf,
    Kind.ODP: read_odf,
    Kind.EPUB: read_epub,
    Kind.RTF: read_rtf,
    Kind.EML: lambda file: read_eml(file, read),
    Kind.MSG: lambda file: read_msg(file, read),
    Kind.ENCRYPTED: lambda file: read(replace(file, data=decrypted(file))),
}
