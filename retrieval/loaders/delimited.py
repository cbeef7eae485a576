"""CSV and its kin: the dialect by what the text looks like, then a record a row."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import dropwhile, islice
from typing import NamedTuple

from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.records import read_records
from howdah.retrieval.loaders.table import table_records
from howdah.retrieval.loaders.text import read_text
from howdah.retrieval.types import Extract

_SAMPLE = 65_536  # characters that the dialect is found by
_SAMPLE_ROWS = 200
_NARROW, _ALIKE = 0.2, 0.3  # at most, and at least, of the rows: of one field, and of the commonest number
_DELIMITERS = "\t;|,"  # at equal looks, the one that prose and numbers use least
_SEP = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's own way to name it
_CLEAN = re.compile(r"[^\t;|,]*|[-+]?\d{1,3}(?:[,.]?\d{3})*[.,]\d+|[^\t;|,]{1,40}(?:, [^\t;|]*)?|.{60,}", re.DOTALL)
_ENDING = "\x1eend"


class _Dialect(NamedTuple):
    delimiter: str
    quoted: bool = True
    escape: str | None = None


def read_delimited(file: RawFile, text: str) -> Extract:
    """A record a row of CSV, TSV and the like; text that is no table is plain text.

    Raises LoadError where a chosen column does not exist.
    """
    # Only ever raised, since it holds for the whole process: a cell is as long as it is.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    given = _SEP.match(text)
    text = text[given.end() :] if given else text
    dialect = _Dialect(given[1]) if given else _dialect(text, file.suffix)
    rows = _rows(text, dialect) if dialect else None
    if not rows:
        return read_text(file, text)
    media_type = "text/tab-separated-values" if dialect and dialect.delimiter == "\t" else Kind.CSV.value
    return read_records(file, table_records(rows), media_type=media_type, metadata={})


def _dialect(text: str, suffix: str) -> _Dialect | None:
    """The dialect by which the rows are of one width and the cells hold no other delimiter; None for no table."""
    sample = text[:_SAMPLE]
    escapes = (None, "\\") if '\\"' in sample else (None,)
    first = "\t" if suffix in {".tab", ".tsv"} else ""
    candidates = [_Dialect(mark, escape=escape) for mark in first + _DELIMITERS for escape in escapes]
    scores = {candidate: _score(sample, candidate) for candidate in candidates}
    best = max(candidates, key=scores.__getitem__)
    if scores[best] > 0:
        return best
    return _Dialect(",") if _is_one_column(sample) else None


def _score(sample: str, dialect: _Dialect) -> float:
    """Up to 1 by the share of rows of the commonest width, and of cells without another delimiter; 0 for no table.

    Titles above the table, and the last row of a sample that ends in it, do not count.
    """
    rows = [row for row in islice(_parsed(sample, dialect), _SAMPLE_ROWS) if any(cell.strip() for cell in row)]
    rows = rows[:-1] if len(sample) == _SAMPLE and len(rows) > 1 else rows
    table = list(dropwhile(lambda row: len(row) == 1, rows))
    rows = table if len(table) == len(rows) or len(table) > 1 else []
    widths = Counter(map(len, rows))
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    if width < 2 or widths[1] > len(rows) * _NARROW or count < len(rows) * _ALIKE:
        return 0.0
    cells = [cell for row in rows for cell in row]
    clean = sum(1 for cell in cells if _CLEAN.fullmatch(cell))
    return count / len(rows) * clean / len(cells)


def _is_one_column(sample: str) -> bool:
    """A name, and below it values in quotation marks or without a blank: else it is prose or a list."""
    rows = list(islice(_parsed(sample, _Dialect(",")), _SAMPLE_ROWS))
    name, *values = [row[0] for row in rows if len(row) == 1] or [""]
    named = re.fullmatch(r"[\w\-./ ]{1,40}", name.strip()) is not None
    quoted = sample.count('\n"') * 2 >= len(values)
    return named and len(values) > 0 and (quoted or not any(" " in value.strip() for value in values))


def _rows(text: str, dialect: _Dialect) -> list[list[str]]:
    """All rows; with quotation marks as plain characters where one that is never closed would swallow the rest."""
    rows = list(_parsed(f"{text}\n{_ENDING}", dialect))
    if rows and rows[-1] == [_ENDING]:
        return rows[:-1]
    return list(_parsed(text, dialect._replace(quoted=False)))


def _parsed(text: str, dialect: _Dialect) -> Iterator[list[str]]:
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.delimiter,
        escapechar=dialect.escape,
        quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
        skipinitialspace=dialect.delimiter != "\t",
    )
