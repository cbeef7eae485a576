"""Records as text: a line a field, a blank line between records, and their values as metadata."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.text import storable
from howdah.retrieval.types import Extract, Heading, Metadata

MAX_KEYS = 64
MAX_VALUE = 200  # characters; what is longer is something to search for, not to filter by
_MAX_NAME = 100  # characters of a column's name
_NAMED = 20  # columns named in an error


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One row: its fields that have a value, in order; a field without a name is a line of text alone.

    `metadata` is what its chunks can be filtered by, `headings` what stands above it, as (level, title).
    """

    fields: list[tuple[str, str]]
    metadata: Metadata = field(default_factory=dict)
    headings: tuple[tuple[int, str], ...] = ()


def read_records(file: RawFile, records: Iterable[Record], *, media_type: str, metadata: Metadata) -> Extract:
    """The text of all records, of the chosen columns alone where there is a choice; without a title.

    Raises LoadError where a chosen column is in no record, or nothing has a value.
    """
    parts: list[str] = []
    headings: list[Heading] = []
    rows: list[int] = []
    values: list[Metadata] = []
    names: dict[str, None] = {}
    above: dict[int, str] = {}
    length = 0
    for record in records:
        names.update((name, None) for name, _ in record.fields)
        above |= dict(record.headings)
        lines = [f"{name}: {value}" if name else value for name, value in _chosen(record, file.options.columns)]
        if not lines:
            continue
        titles = [storable(title) for title in above.values()]
        headings += (Heading(start=length, level=level, title=storable(title)) for level, title in above.items())
        rows.append(length)
        values.append(record.metadata)
        parts.append("\n\n".join([*titles, storable("\n".join(lines))]))
        length += len(parts[-1]) + 2
        above = {}
    _check(file, list(names), any_text=bool(parts))
    return Extract(
        text="\n\n".join(parts),
        media_type=media_type,
        headings=tuple(headings),
        rows=tuple(rows),
        row_metadata=tuple(values),
        metadata=metadata,
    )


def column_name(given: str) -> str:
    """A name that fits a line, and that no line of a value looks like by its length."""
    name = " ".join(storable(given).split())
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"


def filterable(values: Iterable[tuple[str, object]]) -> Metadata:
    """What of a record becomes metadata: its first fields, but for long texts and the key that is ours."""
    kept: Metadata = {}
    for name, value in values:
        too_long = isinstance(value, str) and len(value) > MAX_VALUE
        if len(kept) < MAX_KEYS and name and name != "_howdah" and not too_long:
            kept[name] = storable(value) if isinstance(value, str) else value
    return kept


def _chosen(record: Record, columns: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The fields of these columns, in the columns' order; "author" is also "author.name" and "author[1]"."""
    if not columns:
        yield from record.fields
    for column in columns:
        for name, value in record.fields:
            if _belongs(name, column):
                yield name, value


def _belongs(name: str, column: str) -> bool:
    return name == column or name.startswith((f"{column}.", f"{column}["))


def _check(file: RawFile, names: list[str], *, any_text: bool) -> None:
    for column in file.options.columns:
        if not any(_belongs(name, column) for name in names):
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            there = ", ".join(repr(name) for name in names[:_NAMED] if name) or "none"
            raise file.error(f"has no column {column!r}; its columns are {there}{more}", hint="choose among these")
    if not any_text:
        raise file.error("has no rows with a value in them")
