"""A table: columns that know how their values are shown, and rows of plain values. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from howdah.retrieval.errors import InvalidInput
from howdah.scripts.reports import numbers


@dataclass(frozen=True, kw_only=True)
class Column:
    """`show` makes a cell's words of its value; `number`: aligned at the right, digits of one width."""

    label: str
    show: Callable[[Any], str] = str
    number: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """`strong`: numbers of the rows that stand out, the chosen setting say."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    strong: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        odd = next((len(row) for row in self.rows if len(row) != len(self.columns)), None)
        if odd is not None:
            raise InvalidInput(f"a row of the table has {odd} values, and the table {len(self.columns)} columns")

    def cells(self) -> list[list[str]]:
        return [[_shown(column, value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]


def words(label: str) -> Column:
    return Column(label=label)


def figure(label: str, show: Callable[[Any], str] = numbers.fixed) -> Column:
    return Column(label=label, show=show, number=True)


def _shown(column: Column, value: Any) -> str:
    return numbers.MISSING if value is None else column.show(value)
