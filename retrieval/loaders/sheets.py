"""Excel and OpenDocument spreadsheets: a heading a sheet, a record a row."""

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.records import Record, column_name, read_records
from howdah.retrieval.loaders.table import table_records
from howdah.retrieval.loaders.text import INSTALL
from howdah.retrieval.types import Extract

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument.spreadsheet"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_XLSB = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
_XLS = "application/vnd.ms-excel"


def workbook_type(data: bytes) -> str | None:
    """The media type of an Excel (XLSX, XLSM, XLSB, XLS) or OpenDocument workbook, by its content; None for others."""
    if data.startswith(_OLE):
        # A Word or PowerPoint file may hold a workbook of its own.
        return _XLS if _has_stream(data, "Workbook", "Book") and not _has_stream(data, "WordDocument") else None
    if not data.startswith(b"PK\x03\x04"):
        return None
    if _OPEN_DOCUMENT.encode() in data[:200]:
        return _OPEN_DOCUMENT
    if b"xl/workbook" not in data:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return _XLSX if data[30:].startswith((b"[Content_Types].xml", b"xl/", b"_rels/.rels")) else None
    return _XLSB if "xl/workbook.bin" in names else _XLSX if "xl/workbook.xml" in names else None


def read_workbook(file: RawFile, media_type: str) -> Extract:
    """The sheets that are shown, in order; the sheets' names are headings and all values are what the cells show.

    Raises LoadError if it is damaged, encrypted or has no cell with a value.
    """
    try:
        import python_calamine
    except ImportError as exc:
        raise PackageMissing("python-calamine", needed_for=f"{file.source}: spreadsheets", install=INSTALL) from exc
    try:
        with python_calamine.load_workbook(io.BytesIO(file.data)) as workbook:
            records = list(_records(workbook))
    except python_calamine.PasswordError as exc:
        raise file.error("is encrypted and needs a password", hint="save a copy without the password") from exc
    except BaseException as exc:
        # A panic of the Rust code is no Exception, so that programs end by it; here it is one damaged file.
        if isinstance(exc, python_calamine.CalamineError | ValueError | OSError) or _is_panic(exc):
            reason = "is a damaged spreadsheet: its structure cannot be read"
            raise file.error(reason, hint="open it in a spreadsheet program and save it anew") from exc
        raise
    if not records:
        raise file.error("is a spreadsheet without a value in any cell")
    return read_records(file, records, media_type=media_type, metadata={})


def _is_panic(exc: BaseException) -> bool:
    return type(exc).__name__ == "PanicException"


def _has_stream(data: bytes, *names: str) -> bool:
    """Whether an OLE file's directory holds such a name: UTF-16, filled with NUL to 64 bytes."""
    return any(name.encode("utf-16-le") + b"\0\0" in data for name in names)


def _records(workbook: "CalamineWorkbook") -> Iterator[Record]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    for sheet in workbook.sheets_metadata:
        if sheet.visible == SheetVisibleEnum.Visible and sheet.typ == SheetTypeEnum.WorkSheet:
            rows = workbook.get_sheet_by_name(sheet.name).to_python(skip_empty_area=True)
            yield from table_records(
                [[_shown(cell) for cell in row] for row in rows], headings=((1, column_name(sheet.name)),)
            )


def _shown(cell: Any) -> str:
    """A cell as a reader expects it: 3 and not 3.0, 0.3 and not 0.30000000000000004, dates by ISO 8601."""
    match cell:
        case bool():
            return str(cell).lower()
        case float():
            return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.15g}"
        case datetime():
            return str(cell.date() if cell.time() == time() else cell)
        case date() | time() | timedelta():
            return str(cell)
        case _:
            return str(cell)
