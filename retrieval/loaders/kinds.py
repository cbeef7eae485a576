"""What a file is, by its bytes; its name only decides between sorts of text that look alike."""

import re
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePath

from howdah.retrieval.errors import LoadError
from howdah.retrieval.loaders.languages import language_of
from howdah.retrieval.loaders.options import PLAIN, LoadOptions

SAMPLE = 65_536  # bytes looked at to tell text from binary
_CONVERT = "convert it to PDF, HTML, Markdown or plain text"

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a legacy or encrypted Office file (DOC, XLS, PPT or MSG)"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"\x89PNG\r\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (8, b"WEBP", "a WebP image"),
    (4, b"ftyp", "an MP4 or HEIC file"),
    (0, b"ID3", "an MP3 file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"PAR1", "a Parquet file"),
)
_ZIP_MEMBERS = (
    (b"mimetypeapplication/epub+zip", "an EPUB book"),
    (b"mimetypeapplication/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"word/document", "a Word document (DOCX)"),
    (b"ppt/presentation", "a PowerPoint file (PPTX)"),
    (b"xl/workbook", "an Excel workbook (XLSX)"),
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b"))
_PROLOG = r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*"
_HTML = re.compile(_PROLOG + r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(r"\s*<(?:\?xml\b|!DOCTYPE\b|(?:rss|feed|svg|article|TEI|book)\b[^>]*\bxmlns)")
_XML_NAMES = {".atom", ".nxml", ".rss", ".svg", ".xml", ".xsd", ".xsl"}


class Kind(Enum):
    """A family that can be read, and its media type."""

    TEXT = "text/plain"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    RST = "text/x-rst"
    CSV = "text/csv"
    JSON = "application/json"
    XML = "application/xml"
    CODE = "text/x-source"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    ODT = "application/vnd.oasis.opendocument.text"
    ODP = "application/vnd.oasis.opendocument.presentation"
    EPUB = "application/epub+zip"
    RTF = "application/rtf"
    EML = "message/rfc822"
    MSG = "application/vnd.ms-outlook"
    NOTEBOOK = "application/x-ipynb+json"
    ENCRYPTED = "application/encrypted"  # an Office file; what it is, is known once it is open


_KIND_OF_NAME = {
    ".htm": Kind.HTML,
    ".html": Kind.HTML,
    ".xhtml": Kind.HTML,
    ".markdown": Kind.MARKDOWN,
    ".md": Kind.MARKDOWN,
    ".mdx": Kind.MARKDOWN,
    ".rest": Kind.RST,
    ".rst": Kind.RST,
    ".csv": Kind.CSV,
    ".psv": Kind.CSV,
    ".tab": Kind.CSV,
    ".tsv": Kind.CSV,
    ".xls": Kind.CSV,  # what many a program exports under that name
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """The bytes of one file, the name it is reported under, the name it has and how to read it."""

    source: str
    name: PurePath
    data: bytes
    options: LoadOptions = PLAIN
    depth: int = 0  # how many mails, and archives attached to them, this one lies in

    def error(self, reason: str, *, hint: str = "") -> LoadError:
        return LoadError(self.source, reason, hint=hint)

    def locked(self) -> LoadError:
        """For a file that none of the passwords opens."""
        if self.options.passwords:
            return self.error("is encrypted, and no password that was given opens it", hint="give its own (--password)")
        return self.error("is encrypted and needs a password", hint="give it one (--password)")

    @property
    def suffix(self) -> str:
        return self.name.suffix.lower()


def read_bytes(path: Path, source: str, options: LoadOptions = PLAIN) -> RawFile:
    """The file's bytes. Raises LoadError where it is missing, may not be read, is empty or is not a regular file."""
    try:
        # Asked first, because opening a FIFO waits for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise LoadError(source, "is not a regular file", hint="give a file, or a folder to walk")
        data = path.read_bytes()
    except OSError as exc:
        reason = f"cannot be read: {exc.strerror or exc}"
        raise LoadError(source, reason, hint="check that it exists and that you may read it") from exc
    if not data:
        raise LoadError(source, "is empty (0 bytes)")
    return RawFile(source=source, name=path, data=data, options=options)


def is_pdf(data: bytes) -> bool:
    """Readers accept junk before the header, within the first 1,024 bytes (PDF 1.7, appendix H)."""
    return b"%PDF-" in data[:1024]


def refuse_unread_formats(file: RawFile) -> None:
    """Raises LoadError, naming the format, for anything that is neither PDF nor some sort of text."""
    if not file.data:
        raise file.error("is empty (0 bytes)")
    for offset, magic, label in _MAGIC:
        if file.data.startswith(magic, offset):
            found = zip_label(file.data) if magic == b"PK\x03\x04" else label
            raise file.error(f"is {found}, which is not read yet", hint=_CONVERT)
    if not is_wide(file.data) and _control_share(file.data[:SAMPLE]) > 0.02:
        raise file.error("is binary, of no known format", hint=_CONVERT)


def kind_of_text(file: RawFile, text: str) -> Kind:  # noqa: PLR0911  a table of signs
    """HTML, XML, notebooks and JSON by their beginning, else by name.

    It may look like more than it is: XML, JSON, CSV and code that turn out to be none are read as plain text.
    """
    head = text[:4096].lstrip("\ufeff")
    if _HTML.match(head):
        return Kind.HTML
    named = _KIND_OF_NAME.get(file.suffix, Kind.TEXT)
    if _XML.match(head) or (file.suffix in _XML_NAMES and head.lstrip().startswith("<")):
        return Kind.XML
    if head.lstrip().startswith("{") and '"nbformat"' in text:
        return Kind.NOTEBOOK
    if named in {Kind.TEXT, Kind.CSV} and head.lstrip()[:1] in {"{", "["}:
        return Kind.JSON
    if named is Kind.TEXT and language_of(file.name, head):
        return Kind.CODE
    if named is Kind.HTML and not re.search(r"<[a-zA-Z/!]", head):
        return Kind.TEXT
    return named


def is_wide(data: bytes) -> str | None:
    """The codec of UTF-16 or UTF-32, by byte order mark or, without one, by where the NUL bytes stand."""
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return codec
    sample = data[:SAMPLE]
    for codec, width, high in (("utf-16-le", 2, 1), ("utf-16-be", 2, 0)):
        if len(sample) >= 8 and sample[high::width].count(0) > 0.9 * (len(sample) // width):
            return codec
    return None


# UTF-32's little-endian mark begins with UTF-16's, so it is tried first.
_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def _control_share(sample: bytes) -> float:
    return 1 - len(sample.translate(None, _CONTROL)) / len(sample)


def zip_label(data: bytes) -> str:
    return next((label for member, label in _ZIP_MEMBERS if member in data), "a ZIP archive")
