"""The files beside the code: they agree with it and with each other."""

import re
import tomllib

import pytest
import typer.main
from click import Command
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.tree import ROOMS, ROOT, files, name_of

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PINS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()]


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^]]*)\]", changelog, re.MULTILINE)
    assert versions[0] == PROJECT["version"]


def test_every_dependency_is_pinned_to_one_allowed_version() -> None:
    pins = {canonicalize_name(pin.name): pin for pin in PINS}
    assert len(pins) == len(PINS)
    assert all(re.fullmatch(r"==[^*,]+", str(pin.specifier)) for pin in PINS)
    wanted = [
        *PROJECT["dependencies"],
        *(line for extra in PROJECT["optional-dependencies"].values() for line in extra),
    ]
    for requirement in map(Requirement, wanted):
        if requirement.name != PROJECT["name"]:
            pin = pins[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(next(iter(pin.specifier)).version), requirement


def test_basedpyright_is_given_every_room() -> None:
    # Given howdah/ alone it passes over the symlinked rooms in silence, and f-strings in SQL with them.
    given = {"howdah/__init__.py", *(f"howdah/{room}" for room in ROOMS)}
    assert set(PYPROJECT["tool"]["basedpyright"]["include"]) == given


def test_no_file_names_a_package_registry() -> None:
    # Spelt in halves, so that this file passes too.
    registry = re.compile(
        "|".join(["py" + "pi[.]org", "python" + "hosted[.]", "registry[.]" + "npmjs", "index" + "-url"])
    )
    text = {path: path.read_bytes() for path in [*files(), *ROOT.glob(".*")] if path.is_file()}
    assert [
        name_of(path) for path, content in text.items() if registry.search(content.decode("utf-8", "replace"))
    ] == []


def test_the_licence_is_the_one_declared() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def commands(command: Command, called: str = "howdah") -> list[str]:
    subcommands = getattr(command, "commands", None)  # Typer's groups need not be click's
    if subcommands is None:
        return [called]
    return [name for word, sub in sorted(subcommands.items()) for name in commands(sub, f"{called} {word}")]


def test_every_command_is_documented_and_has_help() -> None:
    main = pytest.importorskip("howdah.scripts.main", reason="not written yet")
    pages = "\n".join(
        path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *files(".md", under=ROOT / "docs")]
    )
    assert [name for name in commands(typer.main.get_command(main.app)) if name not in pages] == []
