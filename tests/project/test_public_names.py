"""What `import howdah` promises, and what it costs."""

import ast
import subprocess
import sys

import pytest

import howdah
from tests.project.tree import ROOT

HEAVY = "numpy|psycopg|langchain|langchain_core|langgraph|openai|pydantic|onnxruntime|tokenizers|xllamacpp|rich|typer"


def names_shown_to_type_checkers() -> dict[str, str]:
    source = ast.parse((ROOT / "howdah/__init__.py").read_text(encoding="utf-8"))
    blocks = [node for node in source.body if isinstance(node, ast.If)]
    taken = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: node.module or "" for node in taken for alias in node.names}


def test_all_is_sorted_and_complete() -> None:
    assert list(howdah.__all__) == sorted(howdah.__all__)
    assert names_shown_to_type_checkers() == howdah._HOME
    assert set(howdah.__all__) == set(howdah._HOME)


def test_nothing_else_is_public() -> None:
    rooms = {"retrieval", "chains", "prompts", "scripts"}
    assert {name for name in dir(howdah) if not name.startswith("_")} - rooms == set(howdah.__all__)


@pytest.mark.parametrize("name", howdah.__all__)
def test_each_name_is_there(name: str) -> None:
    value = getattr(howdah, name)
    assert value.__name__ == name
    assert value.__module__.startswith("howdah.")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'howdah' has no attribute 'PGvector'"):
        howdah.PGvector  # noqa: B018


def test_importing_does_no_work() -> None:
    code = f"import sys, howdah; print(sorted(set(sys.modules) & set('{HEAVY}'.split('|'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
