"""What is shipped: the wheel that is built from the sdist runs away from the checkout.

The empty environment holds the wheel and, linked from the environment that runs the tests, the distributions that
Howdah's core requirements name and those that these require: not the extras, not the developer's tools, and not the
checkout. So a requirement that is missing from pyproject.toml fails here, and nothing is downloaded but the newest
pgvector-python, once.
"""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.tree import ROOMS, ROOT, files

PGVECTORS = ("0.3.6", "0.5.1")  # the one that langchain-postgres pins, and the newest
NOT_SHIPPED = {"scripts/demo.py"}

PIP = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def core_distributions() -> dict[str, metadata.Distribution]:
    """What `pip install howdah` brings, howdah itself left out."""
    found: dict[str, metadata.Distribution] = {}
    seen, waiting = set(), [("howdah", frozenset[str]())]
    while waiting:
        if (item := waiting.pop()) in seen:
            continue
        seen.add(item)
        name, extras = item
        found[name] = metadata.distribution(name)
        for requirement in map(Requirement, found[name].requires or []):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name: distribution for name, distribution in found.items() if name != "howdah"}


def pgvector(version: str) -> metadata.Distribution:
    """pgvector-python of this version: the installed one, or one that is fetched once into the environment's folder."""
    if metadata.version("pgvector") == version:
        return metadata.distribution("pgvector")
    folder = Path(sys.prefix) / f"pgvector-{version}"
    if not folder.exists():
        run(
            *PIP,
            "--no-deps",
            "--target",
            (new := folder.with_suffix(f".{os.getpid()}")),
            f"pgvector=={version}",
            cwd=ROOT,
        )
        new.rename(folder)
    return next(iter(metadata.distributions(name="pgvector", path=[str(folder)])))


def link(distribution: metadata.Distribution, site_packages: Path) -> None:
    for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
        if not (site_packages / top).exists():
            (site_packages / top).symlink_to(distribution.locate_file(top))


@pytest.fixture(scope="session", params=PGVECTORS, ids=lambda version: f"pgvector-{version}")
def python(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and its core requirements."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    site_packages = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    for distribution in (core_distributions() | {"pgvector": pgvector(request.param)}).values():
        link(distribution, site_packages)
    run(PIP[0], "-m", "pip", "--python", python, *PIP[3:], "--no-deps", "--no-index", wheel, cwd=folder)
    return python


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Somebody's application, with folders that are called as ours are."""
    for name in ROOMS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('this is the application')")
    return tmp_path


def shipped(archive: Path) -> set[str]:
    """The files of howdah/ in a wheel or an sdist, as paths below howdah/."""
    if archive.suffix == ".whl":
        names = members(archive)
    else:
        with tarfile.open(archive) as tar:
            names = [member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()]
    return {name.removeprefix("howdah/") for name in names if name.startswith("howdah/")}


def members(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.parametrize("suffix", ["whl", "tar.gz"])
def test_every_file_of_the_rooms_is_shipped(built: Path, suffix: str) -> None:
    ours = {path.relative_to(ROOT).as_posix() for name in ROOMS for path in files(under=ROOT / name)} - NOT_SHIPPED
    assert shipped(next(built.glob(f"*.{suffix}"))) == ours | {"__init__.py", "py.typed"}


def test_prompts_and_tables_are_among_them(wheel: Path) -> None:
    assert {"prompts", "retrieval"} <= {name.split("/")[0] for name in shipped(wheel) if name.endswith((".md", ".sql"))}


def test_one_name_is_installed(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in members(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"howdah"}


def test_the_licence_is_in_the_wheel(wheel: Path) -> None:
    assert [name for name in members(wheel) if name.endswith(".dist-info/licenses/LICENSE")]


def test_it_imports_from_an_app_with_folders_of_the_same_names(python: Path, app: Path) -> None:
    code = "import howdah, howdah.chains; howdah.PGVector, howdah.rag_chain, howdah.sync; print(howdah.__file__)"
    where = run(python, "-c", code, cwd=app).strip()
    assert Path(where).is_relative_to(python.parent.parent)


def test_the_command_runs_from_elsewhere(python: Path, app: Path) -> None:
    version = metadata.version("howdah")
    assert version in run(python.with_name("howdah"), "--version", cwd=app)
    assert version in run(python, "-m", "howdah.scripts.main", "--version", cwd=app)
