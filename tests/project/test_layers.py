"""The rooms of the house know only those below them."""

import ast
import re

import pytest

from tests.project.tree import ROOMS, ROOT, files, imported_rooms, imports, name_of, parsed, room

MAY_IMPORT = {
    "prompts": set(),
    "retrieval": set(),
    "chains": {"retrieval", "prompts"},
    "scripts": {"retrieval", "chains", "howdah"},
}
# Arithmetic and composition, which tests read without a server: nothing in them may reach for one.
PURE = ("errors", "types", "queries", "filters", "fusion", "mmr", "metrics", "lexical", "chunking")

LONGEST = 300
# file: why it is better long than cut
LONG: dict[str, str] = {}

# (file, what it does that only scripts may): why it has to
EXEMPT = {
    ("retrieval/embedded_watch.py", "exit"): "it is also the program that sleeps beside an idle server",
    ("chains/local_child.py", "exit"): "it is also the program that serves the local chat model",
    ("retrieval/loaders/worker.py", "exit"): "it is the program in which files are parsed",
    ("retrieval/loaders/worker.py", "environment"): "libraries read there how many threads they may start",
}


@pytest.mark.parametrize("layer", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below(layer: str) -> None:
    above = {name_of(path): imported_rooms(path) - MAY_IMPORT[layer] - {layer} for path in room(layer)}
    assert {path: rooms for path, rooms in above.items() if rooms} == {}


def test_errors_import_nothing_of_ours() -> None:
    assert imported_rooms(ROOT / "retrieval/errors.py") == set()


def reached(module: str, seen: set[str]) -> set[str]:
    """Everything that importing `module` imports, through our own modules."""
    path = ROOT / f"{module.removeprefix('howdah.').replace('.', '/')}.py"
    if module in seen or not path.exists():
        return set()
    seen.add(module)
    found = imports(path)
    # `from howdah.retrieval.types import Hit` counts as howdah.retrieval.types.Hit: the module is what goes before.
    modules = {name.rpartition(".")[0] for name in found if name.startswith("howdah.")}
    return found.union(*(reached(name, seen) for name in modules))


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_touch_no_connection(module: str) -> None:
    if not (ROOT / f"retrieval/{module}.py").exists():
        pytest.skip("not written yet")
    connecting = re.compile(r"(psycopg_pool|socket|subprocess|asyncio)\b|psycopg\.(connect|(Async)?Connection)\b")
    assert {name for name in reached(f"howdah.retrieval.{module}", set()) if connecting.match(name)} == set()


def test_no_room_is_imported_by_its_bare_name() -> None:
    bare = {name_of(path): {name for name in imports(path) if name.split(".")[0] in ROOMS} for path in files(".py")}
    assert {path: names for path, names in bare.items() if names} == {}


def test_no_page_tells_to_import_a_room_by_its_bare_name() -> None:
    bare = re.compile(
        rf"^\s*(>>> )?(import ({'|'.join(ROOMS)})\b|from ({'|'.join(ROOMS)})[.\w]* import )", re.MULTILINE
    )
    assert [name_of(path) for path in files(".md", ".ipynb") if bare.search(path.read_text(encoding="utf-8"))] == []


CALLS = {
    "print": "print",
    "input": "input",
    "exit": "exit",
    "quit": "exit",
    "SystemExit": "exit",
    "load_dotenv": "environment",
}
OF_OS_AND_SYS = {"environ": "environment", "getenv": "environment", "exit": "exit", "_exit": "exit"}


def deeds(tree: ast.Module) -> set[str]:
    """What `tree` does that is left to scripts: reads the environment, prints, asks, exits."""
    found: set[str | None] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) | ast.Raise(exc=ast.Name(id=name)):
                found.add(CALLS.get(name))
            case ast.Attribute(value=ast.Name(id="os" | "sys"), attr=name):
                found.add(OF_OS_AND_SYS.get(name))
            case ast.ImportFrom(module="os" | "sys"):
                found |= {OF_OS_AND_SYS.get(alias.name) for alias in node.names}
    return {deed for deed in found if deed}


def test_only_scripts_read_the_environment_print_or_exit() -> None:
    elsewhere = [path for name in ("retrieval", "chains", "prompts", "howdah") for path in room(name)]
    done = {(name_of(path), deed) for path in elsewhere for deed in deeds(parsed(path))}
    assert done == set(EXEMPT), "an exemption is missing, or is no longer needed"


def test_files_are_short_or_say_why_not() -> None:
    counted = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for name in ("retrieval", "chains", "scripts")
        for path in room(name)
    }
    assert {path for path, lines in counted.items() if lines > LONGEST} == set(LONG)


def test_the_deeds_are_seen() -> None:
    seen = [
        "print(1)",
        "import os; os.environ['A']",
        "from os import getenv",
        "import sys; sys.exit()",
        "raise SystemExit",
    ]
    assert [deeds(ast.parse(code)) for code in seen] == [
        {"print"},
        {"environment"},
        {"environment"},
        {"exit"},
        {"exit"},
    ]
    assert deeds(ast.parse("console.print(1); self.environ; cursor.exit(); input = 1")) == set()
