"""What callers hand in, made storable before anything is written: texts, metadata, ids, embeddings.

The rules: in text and metadata a NUL character and a lone surrogate become U+FFFD (one code point for one, so offsets
hold). In metadata datetimes and dates become ISO 8601, UUID, Decimal and paths their text, enum members their value,
NumPy scalars and arrays, tuples and sets the plain values, NaN and NaT null. Keys become text. Infinity, bytes and
other objects, nesting without end and integers beyond 4,300 digits are errors.
"""

import json
import math
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

from howdah.retrieval.errors import DimensionMismatch, InvalidInput
from howdah.retrieval.types import Array

MAX_ID_BYTES, MAX_DIMENSIONS = 1_000, 16_000
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def text(value: str) -> str:
    """`value` with NUL and lone surrogates replaced by U+FFFD; PostgreSQL stores neither."""
    return _UNSTORABLE.sub("\ufffd", value) if _UNSTORABLE.search(value) else value


def texts(values: Iterable[str]) -> list[str]:
    """All of `values` (a generator is consumed once), storable."""
    if isinstance(values, str):
        raise InvalidInput("texts is one string and not a list of strings", hint=f"write [{values[:20]!r}]")
    found = list(values)
    for place, value in enumerate(found):
        if not isinstance(value, str):
            raise InvalidInput(f"text {place} is {type(value).__name__} and not a string")
    return [text(value) for value in found]


def metadata_json(value: Mapping[Any, Any] | None, *, row: int = 0) -> str:
    """One metadata dict as JSON text by the module's rules."""
    if value is None:
        return "{}"
    if not isinstance(value, Mapping):
        raise InvalidInput(f"metadata of row {row} is {type(value).__name__} and not a dict")
    return json_text(value, where=f"metadata of row {row}")


def json_text(value: Any, *, where: str = "value") -> str:
    """One value as JSON text by the module's rules."""
    try:
        return json.dumps(_plain(value, where), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise InvalidInput(f"{where:.80} is nested too deeply, or holds itself") from None


def json_value(value: Any, *, where: str = "value") -> Any:
    """One value as plain JSON types by the module's rules."""
    try:
        return _plain(value, where)
    except RecursionError:
        raise InvalidInput(f"{where:.80} is nested too deeply, or holds itself") from None


def _plain(value: Any, where: str) -> Any:  # noqa: C901, PLR0911  a table of types
    match value:
        case None | bool():
            return value
        case str():
            return text(str(value.value) if isinstance(value, Enum) else value)
        case Enum():
            return _plain(value.value, where)
        case int():
            return _whole(int(value), where)
        case float() | np.floating():
            return _number(float(value), where)
        case Mapping():
            return {_key(key, where): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item, f"{where}[{place}]") for place, item in enumerate(value)]
        case np.ndarray() | np.generic():
            return _plain(_unboxed(value), where)
        case datetime() | date() | time():
            return value.isoformat()
        case uuid.UUID() | Decimal() | PurePath():
            return text(str(value))
    raise InvalidInput(
        f"{where} is {type(value).__name__}, which JSON has no form for",
        hint="convert it to a string or a number before adding",
    )


def _unboxed(value: Any) -> Any:
    """A NumPy value's plain one. Its own conversion makes whole numbers of times in nanoseconds."""
    if value.dtype.kind != "M":
        return value.tolist()
    shown = np.asarray(np.datetime_as_string(value), dtype=object)
    shown[np.isnat(value)] = None
    return shown.tolist()


def _whole(value: int, where: str) -> int:
    if value.bit_length() > 14_000:  # Python writes no more than 4,300 digits
        raise InvalidInput(f"{where} is an integer of more than 4,000 digits", hint="store it as a string")
    return value


def _number(value: float, where: str) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise InvalidInput(f"{where} is {value}, which JSON has no form for", hint="use null or a large number")
    return value


def _key(key: Any, where: str) -> str:
    if isinstance(key, str | int | float | bool) or key is None:
        return text(str(key))
    raise InvalidInput(f"{where} has a key of type {type(key).__name__}", hint="metadata keys are strings")


def ids(given: Sequence[str | None] | None, count: int) -> tuple[list[str], bool]:
    """One id a row, and whether all of them are ours (fresh UUIDs): given ones are kept, missing ones made."""
    if given is None:
        return [str(uuid.uuid4()) for _ in range(count)], True
    found = id_list(given)
    same_length("ids", len(found), "texts", count)
    ours = all(item is None for item in found)
    return [str(uuid.uuid4()) if item is None else check_id(item) for item in found], ours


def id_list(given: Iterable[Any]) -> list[Any]:
    """The ids as a list; one string is not taken for a list of its letters."""
    if isinstance(given, str | bytes):
        raise InvalidInput(f"ids is one string, {given!r:.40}, and not a list of ids", hint="write [id]")
    return list(given)


def wanted_ids(given: Iterable[Any]) -> list[str]:
    """Ids to look for: those that no row can have are left out."""
    found = [str(item) if isinstance(item, uuid.UUID | int) else item for item in id_list(given)]
    wrong = [item for item in found if not isinstance(item, str)]
    if wrong:
        raise InvalidInput(f"id {wrong[0]!r:.40} is {type(wrong[0]).__name__} and not a string")
    return [item for item in found if not _UNSTORABLE.search(item)]


def check_id(value: object) -> str:
    """An id as stored: any non-empty string up to 1,000 bytes."""
    if isinstance(value, uuid.UUID | int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"id {value!r} is not a non-empty string")
    if _UNSTORABLE.search(value):
        raise InvalidInput(f"id {value!r} holds a NUL or a lone surrogate, which PostgreSQL cannot store")
    if len(value.encode()) > MAX_ID_BYTES:
        size = len(value.encode())
        raise InvalidInput(
            f"id {value[:40]!r}… has {size:,} bytes and the limit is {MAX_ID_BYTES:,}",
            hint="use a hash of it as the id",
        )
    return value


def same_length(name: str, got: int, other: str, want: int) -> None:
    if got != want:
        raise InvalidInput(
            f"{name} has {got:,} items and {other} has {want:,}", hint="give one for each; nothing was written"
        )


def embeddings(values: Any, *, count: int, dimensions: int | None, collection: str, cosine: bool = True) -> Array:
    """Embeddings as float32 (count, d), checked: equal lengths, the collection's dimensions, finite, none zero."""
    same_length("embeddings", len(values), "texts", count)
    if count == 0:
        return np.zeros((0, dimensions or 1), dtype=np.float32)
    try:
        with np.errstate(over="ignore"):  # becomes infinity, which is named below
            array = np.asarray(values, dtype=np.float32)
    except (ValueError, TypeError) as exc:
        lengths = sorted({len(item) for item in values if hasattr(item, "__len__")})
        raise InvalidInput(f"embeddings are not one table of numbers (lengths {lengths})") from exc
    if array.ndim != 2:
        raise InvalidInput(f"embeddings have {array.ndim} axes and must have two: (texts, dimensions)")
    if not 1 <= array.shape[1] <= MAX_DIMENSIONS:
        raise InvalidInput(f"embeddings have {array.shape[1]:,} dimensions and can have from 1 to {MAX_DIMENSIONS:,}")
    if dimensions is not None and array.shape[1] != dimensions:
        raise DimensionMismatch(got=array.shape[1], want=dimensions, collection=collection)
    _check_numbers(array, cosine=cosine)
    return array


def query_embedding(value: Any, *, dimensions: int, collection: str, cosine: bool = True, half: bool = False) -> Array:
    """One query embedding as float32 (d,), checked like the stored ones."""
    array = embeddings([value], count=1, dimensions=dimensions, collection=collection, cosine=cosine)
    if half:
        fits_halfvec(array, cosine=cosine)
    query: Array = array[0]
    return query


def _check_numbers(array: Array, *, cosine: bool) -> None:
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise InvalidInput(f"embedding {int(np.argmin(finite))} holds NaN or infinity", hint="nothing was written")
    if cosine:
        _check_directions(array)


def _check_directions(array: Array) -> None:
    """By the squares in single precision, which is how pgvector computes a cosine."""
    with np.errstate(over="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", array, array)
    if not squares.all():
        place = int(np.argmin(squares))
        raise InvalidInput(
            f"embedding {place} is all zeros, which has no direction and no cosine", hint="nothing was written"
        )
    if not np.isfinite(squares).all():
        raise InvalidInput(
            f"embedding {int(np.argmin(np.isfinite(squares)))} is too long for a cosine in single precision",
            hint="normalise the embeddings",
        )


def fits_halfvec(array: Array, *, cosine: bool = False) -> None:
    """Raise InvalidInput where a number is beyond half precision's range, or a vector rounds to zero that may not be."""
    largest = float(np.abs(array).max(initial=0.0))
    if largest > 65_504:
        raise InvalidInput(
            f"an embedding holds {largest:.6g} and halfvec goes up to 65,504",
            hint="create the collection with storage='vector'",
        )
    if cosine:
        with np.errstate(under="ignore"):
            _check_directions(array.astype(np.float16).astype(np.float32))
