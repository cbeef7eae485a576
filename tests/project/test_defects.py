"""docs/defects.md: every row names what went wrong, where it was seen, and tests that exist."""

import ast
import re
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import pytest

from tests.project.tree import ROOT, parsed

PAGE = ROOT / "docs/defects.md"
HEAD = ["defect", "seen in", "test"]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(?:(\w+)::)?(test_\w+)`")


class Row(NamedTuple):
    defect: str
    seen_in: str
    tests: str


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables() -> list[list[list[str]]]:
    """The page's tables, line by line, cell by cell."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    parts = groupby(lines, key=lambda line: line.startswith("|"))
    return [[cells(line) for line in part] for is_table, part in parts if is_table]


ROWS = [Row(*line) for table in tables() for line in table[2:] if len(line) == len(HEAD)]


@lru_cache
def held_in(path: str) -> set[tuple[str, str]]:
    """(class or nothing, test) of a file of tests."""
    if not (ROOT / path).exists():
        return set()
    found = set()
    for node in parsed(ROOT / path).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        owner = node.name if isinstance(node, ast.ClassDef) else ""
        found |= {(owner, item.name) for item in inside if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    return found


def exists(path: str, owner: str, name: str) -> bool:
    return (owner, name) in held_in(path)


def test_the_tables_are_well_formed() -> None:
    for table in tables():
        assert table[0] == HEAD
        assert all(re.fullmatch("-+", cell) for cell in table[1])
        assert [line for line in table if len(line) != len(HEAD) or not all(line)] == []
    assert len(ROWS) > 60


def test_no_defect_is_listed_twice() -> None:
    listed = [row.defect for row in ROWS]
    assert [defect for defect in set(listed) if listed.count(defect) > 1] == []


@pytest.mark.parametrize("row", ROWS, ids=[re.sub(r"\W+", "-", row.defect)[:60] for row in ROWS])
def test_every_test_that_is_named_exists(row: Row) -> None:
    named = NAMED.findall(row.tests)
    assert named
    assert NAMED.sub("", row.tests).strip() == ""
    assert [f"{path}::{name}" for path, owner, name in named if not exists(path, owner, name)] == []


def test_a_test_that_does_not_exist_is_seen() -> None:
    assert exists("tests/project/test_defects.py", "", "test_no_defect_is_listed_twice")
    assert not exists("tests/project/test_defects.py", "", "test_that_was_renamed")
    assert not exists("tests/project/test_defects.py", "TestOther", "test_no_defect_is_listed_twice")
    assert not exists("tests/project/test_gone.py", "", "test_no_defect_is_listed_twice")
