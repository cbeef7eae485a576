"""What is in a ZIP or OLE container: a document, a mail, or an encrypted one of either."""

import io
import re
import zlib
from typing import IO, TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.loaders.kinds import Kind, RawFile, is_pdf, zip_label
from howdah.retrieval.loaders.package import LIMITS, parsing
from howdah.retrieval.loaders.text import INSTALL

if TYPE_CHECKING:
    from olefile import OleFileIO

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP = b"PK\x03\x04"
_CONTENT_TYPES = (
    (re.compile(rb"wordprocessingml\.\w+\.main|ms-word\.\w+\.macroEnabled\w*\.main"), Kind.DOCX),
    (re.compile(rb"presentationml\.\w+\.main|ms-powerpoint\.\w+\.macroEnabled\w*\.main"), Kind.PPTX),
)
_MIMETYPES = (
    (re.compile(rb"application/epub"), Kind.EPUB),
    (re.compile(rb"application/vnd\.oasis\.opendocument\.text"), Kind.ODT),
    (re.compile(rb"application/vnd\.oasis\.opendocument\.(presentation|graphics)"), Kind.ODP),
)
_PROGRAMS = {
    "META-INF/MANIFEST.MF": "a Java archive",
    "AndroidManifest.xml": "an Android app",
    "Index/Document.iwa": "an Apple iWork document",
}
UNZIPPED = (BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError)
_LEGACY = (
    ("WordDocument", "a legacy Word document (DOC)", "docx"),
    ("PowerPoint Document", "a legacy PowerPoint file (PPT)", "pptx"),
)
_FIELD = re.compile(rb"[!-9;-~]{1,70}:[ \t]?[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*")
_MAIL_FIELDS = {b"from", b"to", b"date", b"subject", b"received", b"message-id", b"mime-version", b"return-path"}
_MAIL_FIELDS |= {b"delivered-to", b"content-type", b"reply-to", b"cc", b"sender", b"content-transfer-encoding"}


def kind_of_bytes(file: RawFile) -> Kind | None:
    """The kind of a file that is read from its bytes; None for spreadsheets, text and what is not read."""
    data = file.data
    if data.startswith(ZIP):  # before PDF, which may lie unpacked at an archive's beginning
        return _kind_of_zip(file)
    if data.startswith(b"{\\rtf"):
        return Kind.RTF
    if is_pdf(data):
        return Kind.PDF
    if data.startswith(OLE):
        return _kind_of_ole(file)
    return Kind.EML if is_mail(data, named=file.suffix == ".eml") else None


def _kind_of_zip(file: RawFile) -> Kind | None:
    """None for spreadsheets. Raises LoadError for plain archives, programs, what unpacks too far and what is damaged."""
    try:
        with ZipFile(io.BytesIO(file.data)) as package:
            if excess := LIMITS.excess(package.infolist()):  # of spreadsheets too, before any parser has them
                hint = "if it is what it should be, save it without pictures or in parts"
                raise file.error(excess, hint=hint)
            members = set(package.namelist())
            for name, kinds in (("[Content_Types].xml", _CONTENT_TYPES), ("mimetype", _MIMETYPES)):
                if name in members:
                    with package.open(name) as member:
                        head = member.read(1 << 20)
                    return next((kind for pattern, kind in kinds if pattern.search(head)), None)
    except UNZIPPED as exc:
        raise damaged(file.source, file.data, exc) from exc
    if program := next((label for name, label in _PROGRAMS.items() if name in members), None):
        raise file.error(f"is {program}, which is not read")
    if "META-INF/container.xml" in members:
        return Kind.EPUB
    raise file.error("is a ZIP archive in a place where archives are not opened", hint="unpack it and load the folder")


def damaged(source: str, data: bytes, exc: Exception) -> LoadError:
    label = zip_label(data).replace("a ", "a damaged ", 1).replace("an ", "a damaged ", 1)
    return LoadError(source, f"is {label} ({exc})", hint="copy or download it once more")


def is_archive(file: IO[bytes]) -> bool:
    """Whether it is a ZIP file of files, not a document or program that comes as one; False for a damaged one."""
    try:
        with ZipFile(file) as package:
            members = set(package.namelist())
    except UNZIPPED:
        return False
    return bool(members) and members.isdisjoint(
        {"[Content_Types].xml", "mimetype", "META-INF/container.xml", *_PROGRAMS}
    )


def is_mail(data: bytes, *, named: bool) -> bool:
    """Whether the file begins with a mail's header: three fields that mails have, or one where it is `named` so."""
    known, position = set(), 0
    data = data.lstrip(b"\xef\xbb\xbf\r\n \t")[:65_536] if named else data[:65_536]
    if data.startswith(b"From "):  # an envelope, from a mailbox
        position = data.find(b"\n") + 1
    while field := _FIELD.match(data, position):
        known |= {field[0].partition(b":")[0].lower()} & _MAIL_FIELDS
        position = field.end()
    at_end = position == len(data) or data[position : position + 2] in {b"\r\n", b"\n"} or data[position:][:1] == b"\n"
    return len(known) >= 1 if named else at_end and len(known) >= 3 and b"from" in known


def _kind_of_ole(file: RawFile) -> Kind | None:
    """MSG, or None for a spreadsheet. Raises LoadError for other Office formats of before 2007, and for damage."""
    with parsing(file, "Office file of before 2007 (DOC, XLS, PPT or MSG)"), _ole(file) as ole:
        if ole.exists("__properties_version1.0"):
            return Kind.MSG
        if ole.exists("EncryptedPackage"):
            return Kind.ENCRYPTED
        if ole.exists("Workbook") or ole.exists("Book"):
            return Kind.ENCRYPTED if _msoffcrypto(file).OfficeFile(io.BytesIO(file.data)).is_encrypted() else None
        for stream, label, newer in _LEGACY:
            if ole.exists(stream):
                hint = f"save it as {newer.upper()}, for example with `soffice --convert-to {newer}`"
                raise file.error(f"is {label}, which is not read", hint=hint)
    return None


def _ole(file: RawFile) -> "OleFileIO":
    try:
        import olefile
    except ImportError as exc:
        raise PackageMissing("olefile", needed_for=f"{file.source}: Office files", install=INSTALL) from exc
    return olefile.OleFileIO(io.BytesIO(file.data))


def _msoffcrypto(file: RawFile) -> Any:
    try:
        import msoffcrypto.exceptions
    except ImportError as exc:
        needed = f"{file.source}: encrypted Office files"
        raise PackageMissing("msoffcrypto-tool", needed_for=needed, install=INSTALL) from exc
    return msoffcrypto


def decrypted(file: RawFile) -> bytes:
    """The package inside an encrypted Office file, by the first of the options' passwords that fits.

    Raises LoadError if none does. Office's own default password opens what is only protected against changes.
    """
    msoffcrypto = _msoffcrypto(file)
    for password in (*file.options.passwords, "VelvetSweatshop"):
        result = io.BytesIO()
        with parsing(file, "encrypted Office file"):
            office: Any = msoffcrypto.OfficeFile(io.BytesIO(file.data))
            try:
                # Formats of before 2007 always check it, and know no such argument.
                office.load_key(password=password, **({"verify_password": True} if office.format == "ooxml" else {}))
                office.decrypt(result)
            except msoffcrypto.exceptions.DecryptionError:
                continue
            return result.getvalue()
    raise file.locked()
