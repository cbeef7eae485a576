"""JSON and JSON lines: a record an object, a line a value, named by its path."""

import json
import math
from collections.abc import Iterator
from typing import Any

from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.records import Record, column_name, filterable, read_records
from howdah.retrieval.loaders.text import read_text, storable
from howdah.retrieval.types import Extract

_DEEP = "is JSON with too many levels inside each other"
_FLATTEN = "flatten it, for example with jq"
_BAD_LINES = 0.1  # of the lines; above it a file is text that happens to have objects in it
MAX_LIST = 1_000  # characters of a list that becomes metadata
_DIGITS = 18  # of a whole number; longer ones are names, not quantities


class _Number(str):
    """A number as it is written: 1.10 stays 1.10, and one of 10,000 digits is no harm."""

    __slots__ = ()

    @property
    def value(self) -> int | float | str:
        """The number, but the text of one that JSON cannot hold exactly, or at all (NaN)."""
        if len(self.lstrip("-")) <= _DIGITS and self.lstrip("-").isdigit():
            return int(self)
        if self.lstrip("-").isdigit() or len(self) > 2 * _DIGITS:
            return str(self)
        number = float(self)
        return number if math.isfinite(number) else str(self)


def read_json(file: RawFile, text: str) -> Extract:
    """A record an object of a list, or of the one list in an object; a single object is one record.

    A list of plain values is a line each. What is no JSON (cut off, with comments) is plain text.

    Raises LoadError where a chosen column does not exist, values nest too deeply or there are none.
    """
    try:
        found = _document(text)
        lines = None if found is not None else _lines(text)
        if found is None and lines is None:
            return read_text(file, text)
        if lines is not None:
            records, damaged = lines
            metadata = {"damaged_rows": damaged} if damaged else {}
            return read_records(file, records, media_type="application/x-ndjson", metadata=metadata)
        if isinstance(found, list) and found and not any(isinstance(item, dict | list) for item in found):
            return _list_of_values(file, found)
        return read_records(file, _records(found), media_type=Kind.JSON.value, metadata={})
    except RecursionError:
        raise file.error(_DEEP, hint=_FLATTEN) from None


def _document(text: str) -> Any | None:
    try:
        return _decoder().decode(text.lstrip("\ufeff"))
    except json.JSONDecodeError:
        return None


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(strict=False, parse_int=_Number, parse_float=_Number, parse_constant=_Number)


def _lines(text: str) -> tuple[list[Record], int] | None:
    """The records of JSON lines and how many lines are none: these are records of text alone. None if most are."""
    decoder = _decoder()
    records: list[Record] = []
    damaged = 0
    lines = [line.strip(" \t\r\x1e") for line in text.lstrip("\ufeff").split("\n")]
    for line in filter(None, lines):
        try:
            value = decoder.decode(line)
        except json.JSONDecodeError:
            value = None
        if isinstance(value, dict | list):
            records.append(_record(value))
            continue
        damaged += 1
        if not records:  # prose in brackets is told by its first line
            return None
        records.append(Record(fields=[("", line)]))
    return (records, damaged) if damaged <= max(1, _BAD_LINES * len(records)) and damaged < len(records) else None


def _list_of_values(file: RawFile, values: list[Any]) -> Extract:
    if file.options.columns:
        raise file.error("has no columns: it is a list of plain values", hint="load it without a choice of columns")
    lines = [line for value in values if (line := storable(_scalar(value)).strip())]
    if not lines:
        raise file.error("has no values in it")
    return Extract(text="\n".join(lines), media_type=Kind.JSON.value)


def _records(found: Any) -> Iterator[Record]:
    if isinstance(found, list):
        yield from map(_record, found)
    elif isinstance(found, dict) and (key := _main_list(found)) is not None:
        if rest := {name: value for name, value in found.items() if name != key}:
            yield _record(rest)
        yield from map(_record, found[key])
    elif _is_map(found):
        for key, value in found.items():
            record = _record(value)
            yield Record(fields=record.fields, metadata=record.metadata, headings=((1, column_name(key)),))
    else:
        yield _record(found)


def _main_list(found: dict[str, Any]) -> str | None:
    """The key whose value is a list of objects, where there is one such and it is most of the whole."""
    keys = [key for key, value in found.items() if isinstance(value, list) and any(isinstance(x, dict) for x in value)]
    if len(keys) != 1 or len(found[keys[0]]) < 2:
        return None
    values = sum(1 for item in found[keys[0]] for _ in _flat(item))
    rest = sum(1 for key, value in found.items() if key != keys[0] for _ in _flat(value))
    return keys[0] if values >= rest else None


def _is_map(found: Any) -> bool:
    """Whether an object is a table by key: objects alone, two or more, that have a field in common."""
    if not isinstance(found, dict) or len(found) < 2 or not all(isinstance(value, dict) for value in found.values()):
        return False
    return bool(set.intersection(*(set(value) for value in found.values())))


def _record(value: Any) -> Record:
    fields = [(name, text) for name, item in _flat(value) if (text := _text(item))]
    return Record(fields=fields, metadata=filterable(_values(value)))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of all that is a plain value or a list of them: "author.name", "authors[2].name"."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{column_name(key)}" if path else column_name(key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value, 1):
            yield from _flat(item, f"{path}[{number}]")
    else:
        yield path, value


def _values(value: Any) -> Iterator[tuple[str, object]]:
    for path, item in _flat(value):
        if isinstance(item, list) and item and len(_text(item)) <= MAX_LIST:
            yield path, [_value(one) for one in item]
        elif item is not None and not isinstance(item, list | dict):
            yield path, _value(item)


def _value(item: Any) -> object:
    if isinstance(item, _Number):
        return item.value
    return storable(item) if isinstance(item, str) else item


def _text(item: Any) -> str:
    return ", ".join(filter(None, map(_scalar, item))) if isinstance(item, list) else _scalar(item)


def _scalar(item: Any) -> str:
    if item is None or item == {}:
        return ""
    return str(item).lower() if isinstance(item, bool) else item.strip().replace("\r\n", "\n")
