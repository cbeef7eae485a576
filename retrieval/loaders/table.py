"""Rows of cells as records: which row is the header, and which columns are numbers."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from howdah.retrieval.loaders.records import Record, column_name, filterable

Rows = Sequence[Sequence[str]]

_SAMPLE = 100  # rows that are looked at to find the header
_MAX_TITLES = 10  # lines above a table
_VALUE = re.compile(r"[-+(]*[$€£¥]?\d[\d.,:/\s\-+TZ']*(?:[eE][-+]?\d+)?\s?[%€$£]?\)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_MISSING = {"-", ".", "n/a", "na", "nan", "none", "null", "?"}
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,14})")
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?(?:[eE][-+]?\d{1,2})?")


def table_records(rows: Rows, *, headings: tuple[tuple[int, str], ...] = ()) -> Iterator[Record]:
    """A record a row that has a value. Names come from the header row, else they are "column 1", "column 2", …

    What stands alone in the rows above the header is a heading below `headings`. Cells beyond the header's width
    keep their values under such names too.
    """
    rows = [[cell.strip() for cell in row] for row in rows]
    rows = [row for row in rows if any(row)]
    titles = _titles(rows)
    body = rows[len(titles) :]
    level = max((level for level, _ in headings), default=0) + 1
    above = (*headings, *((level, " – ".join(titles)),)) if titles else headings
    header = body[0] if is_header(body) else []
    body = body[1:] if header else body
    names = _names(header, width=max(map(len, body), default=0))
    numeric = _numeric(body)
    for row in body:
        cells = [(place, cell) for place, cell in enumerate(row) if cell]
        metadata = filterable((names[place], _number(cell) if place in numeric else cell) for place, cell in cells)
        yield Record(fields=[(names[place], cell) for place, cell in cells], metadata=metadata, headings=above)
        above = ()


def is_header(rows: Rows) -> bool:
    """Whether the first row names the columns: as a rule yes, unless it looks like the rows below it.

    Text above numbers speaks for it; a number or date, or a text that comes again below it, against it. Years, and
    the numbers that programs give columns (0, 1, 2, …), are names like others.
    """
    first, below = rows[0] if rows else [], rows[1:_SAMPLE]
    filled = [cell for cell in first if cell]
    if not below or len(filled) * 2 < max(Counter(map(_width, below))):
        return False
    if [cell for cell in filled if not cell.isascii() or not cell.isdigit()] == [] and _counts(filled):
        return True
    columns = ([row[place] for row in below if place < len(row) and row[place]] for place in range(len(first)))
    return sum(map(_vote, first, columns)) >= 0


def _titles(rows: Rows) -> list[str]:
    """Lines above a table: rows of one cell, where the table has more."""
    sizes = [_width(row) for row in rows[:_SAMPLE]]
    if not sizes or Counter(sizes).most_common(1)[0][0] < 2:
        return []
    count = next((place for place, size in enumerate(sizes) if size > 1), 0)
    return ["".join(row) for row in rows[:count]] if count <= _MAX_TITLES else []


def _width(row: Sequence[str]) -> int:
    return sum(1 for cell in row if cell)


def _counts(cells: list[str]) -> bool:
    numbers = [int(cell[:6]) for cell in cells]
    return numbers[0] in {0, 1} and numbers == list(range(numbers[0], numbers[0] + len(cells))) and len(cells) > 1


def _vote(name: str, below: list[str]) -> int:
    if not name or not below:
        return 0
    values = all(map(_VALUE.fullmatch, below))
    if _VALUE.fullmatch(name):
        return 0 if values and _YEAR.fullmatch(name) else -1
    return 1 if values else -1 if name in below else 0


def _names(header: Sequence[str], *, width: int) -> list[str]:
    """A name a column, each different: the second "name" is "name (2)"."""
    names: dict[str, None] = {}
    for place in range(max(len(header), width)):
        given = column_name(header[place]) if place < len(header) else ""
        name = given = given or f"column {place + 1}"
        again = 1
        while name in names:
            again += 1
            name = f"{given} ({again})"
        names[name] = None
    return list(names)


def _numeric(body: Rows) -> set[int]:
    """The columns that have nothing but numbers as JSON writes them: 007 and 1,5 are text."""
    numbers: set[int] = set()
    texts: set[int] = set()
    for row in body:  # once through: a row may have a million cells, and there may be a million rows
        for place, cell in enumerate(row):
            if cell and place not in texts and cell.lower() not in _MISSING:
                (numbers if _DECIMAL.fullmatch(cell) else texts).add(place)
    return numbers - texts


def _number(cell: str) -> int | float | None:
    if cell.lower() in _MISSING:
        return None
    return int(cell) if _WHOLE.fullmatch(cell) else float(cell)
