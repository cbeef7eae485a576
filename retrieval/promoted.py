"""Promoted metadata keys: a typed column beside the metadata, filled by PostgreSQL itself, with its own B-tree.

Filters on a promoted key read that index, whatever they compare; the metadata stays as it is. A key is promoted as one
JSON type. Values of other types are not in the column, and a filter that asks for one looks into the metadata instead.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval.errors import InvalidInput

MAX_TEXT = 600
"""Characters of a string that its column keeps: a B-tree's entry is at most 2,704 bytes. Longer operands go to the metadata."""
MAX_DEPTH = 32
MAX_PROMOTED = 16


class Kind(Enum):
    """The JSON type that is promoted, the column's type, and how it is read from a jsonb value `v`."""

    NUMBER = "number", SQL("numeric"), SQL("CASE WHEN octet_length({v}::text) <= 1000 THEN {v}::numeric END")
    TEXT = "string", SQL("text"), SQL("left({v} #>> '{{}}', 600)")
    BOOLEAN = "boolean", SQL("boolean"), SQL("{v}::boolean")

    def __init__(self, json_type: str, column_type: SQL, read: SQL) -> None:
        self.json_type, self.column_type, self.read = json_type, column_type, read

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def of(cls, label: str) -> "Kind":
        for member in cls:
            if label == member.label:
                return member
        known = ", ".join(member.label for member in cls)
        raise InvalidInput(f"a key cannot be promoted as {label!r}", hint=f"promote it as one of {known}")

    def holds(self, value: Any) -> bool:
        """Whether the column can answer for this operand."""
        if self is Kind.BOOLEAN:
            return isinstance(value, bool)
        if self is Kind.TEXT:
            return isinstance(value, str) and len(value) < MAX_TEXT
        return isinstance(value, int | float) and not isinstance(value, bool) and len(json.dumps(value)) <= 1_000


@dataclass(frozen=True)
class Promoted:
    """One key and the JSON type it is promoted as."""

    key: str
    kind: Kind

    @property
    def name(self) -> str:
        """The column's name: the key's letters and digits and, where these are not the whole key, a hash of it."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", self.key)[:40]
        same = plain == self.key
        return f"m_{plain}" if same else f"m_{plain}_{hashlib.sha256(self.key.encode()).hexdigest()[:8]}"

    @property
    def column(self) -> Composed:
        return SQL("c.{}").format(Identifier(self.name))

    def definition(self) -> Composed:
        """The column, for CREATE TABLE or ALTER TABLE."""
        value = json_value_of(SQL("metadata"), [Literal(part) for part in key_path(self.key)], Literal(self.key))
        return SQL("{} {} GENERATED ALWAYS AS (CASE WHEN jsonb_typeof({}) = {} THEN {} END) STORED").format(
            Identifier(self.name), self.kind.column_type, value, Literal(self.kind.json_type),
            self.kind.read.format(v=value),
        )  # fmt: skip

    def index(self, chunks_name: str) -> Identifier:
        return Identifier(f"{chunks_name}_{self.name}")


def key_path(key: str) -> list[str]:
    """The steps of a dotted key; a key with an empty step or more than 32 of them is a name of its own."""
    parts = key.split(".")
    return parts if all(parts) and len(parts) <= MAX_DEPTH else [key]


def json_value_of(column: Composable, path: list[Any], plain: Composable) -> Composed:
    """The key's JSON value; a dotted key reaches inside where no key of that very name exists.

    `plain` is the whole key as SQL and `path` its steps. Step by step and not by #>, which would take "0" for an array's
    first item.
    """
    whole = SQL("({} -> {}::text)").format(column, plain)
    if len(path) == 1:
        return whole
    return SQL("coalesce({}, {})").format(
        whole, SQL(" -> ").join([column, *(SQL("{}::text").format(part) for part in path)])
    )


def promoted_keys(given: Mapping[str, str] | None) -> dict[str, Promoted]:
    """From {key: "number" | "text" | "boolean"}, checked."""
    found = {}
    for key, label in (given or {}).items():
        if not isinstance(key, str) or not key or key.startswith("$") or "\x00" in key:
            raise InvalidInput(f"{key!r} is not a metadata key", hint='write {"year": "number"}')
        found[key] = Promoted(key, Kind.of(label))
    if len(found) > MAX_PROMOTED:
        raise InvalidInput(
            f"{len(found)} keys are promoted and {MAX_PROMOTED} can be", hint="promote those you filter by"
        )
    return found


def promoted_labels(promoted: Mapping[str, Promoted]) -> dict[str, str]:
    """The reverse of `promoted_keys`, as a collection remembers it."""
    return {key: item.kind.label for key, item in promoted.items()}
