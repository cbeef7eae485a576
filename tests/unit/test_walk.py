import os
import random
import shutil
import socket
import subprocess
import time
import unicodedata
from pathlib import Path

import pytest

from howdah.retrieval.errors import LoadError
from howdah.retrieval.loaders import FoundFile, walk


@pytest.fixture
def docs(tmp_path):
    for name in ("docs/b.md", "docs/a.txt", "docs/sub/c.md", "docs/sub/deep/d.md", "docs/.hidden/x.md", "docs/.x.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "docs"


def sources(*paths, **options):
    return [found.source for found in walk(paths, **options) if isinstance(found, FoundFile)]


def failures(*paths, **options):
    return [str(found) for found in walk(paths, **options) if isinstance(found, LoadError)]


def test_files_come_in_name_order_under_their_folders_name_without_hidden_ones(docs):
    assert sources(docs) == ["docs/a.txt", "docs/b.md", "docs/sub/c.md", "docs/sub/deep/d.md"]
    assert failures(docs) == []


def test_what_comes_back_can_be_opened_and_names_its_root(docs):
    for found in walk([docs]):
        assert isinstance(found, FoundFile)
        assert found.root == "docs"
        assert found.path.read_text().endswith(found.source)


def test_a_single_file_has_its_folders_name_and_comes_once(docs):
    assert sources(docs / "a.txt") == ["docs/a.txt"]
    assert sources(docs / "b.md", docs, docs) == ["docs/b.md", "docs/a.txt", "docs/sub/c.md", "docs/sub/deep/d.md"]
    assert sources(docs / "a.txt", root="other") == ["other/a.txt"]
    assert sources(docs, root="other")[0] == "other/a.txt"


def test_a_relative_path_has_its_real_folders_name(docs, monkeypatch):
    monkeypatch.chdir(docs)
    assert sources(".")[0] == "docs/a.txt"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ["*.md"]}, ["b.md", "sub/c.md", "sub/deep/d.md"]),
        ({"include": ["*.txt", "c.*"]}, ["a.txt", "sub/c.md"]),
        ({"include": ["sub/**/*.md"]}, ["sub/c.md", "sub/deep/d.md"]),
        ({"include": ["sub/*.md"]}, ["sub/c.md"]),
        ({"include": ["/*.md"]}, ["b.md"]),
        ({"include": ["[!a-b].md"]}, ["sub/c.md", "sub/deep/d.md"]),
        ({"include": ["?.txt"]}, ["a.txt"]),
        ({"exclude": ["sub"]}, ["a.txt", "b.md"]),
        ({"exclude": ["sub/deep/**"]}, ["a.txt", "b.md", "sub/c.md"]),
        ({"include": ["*.md"], "exclude": ["deep", "b.*"]}, ["sub/c.md"]),
        ({"exclude": ["*"]}, []),
    ],
)
def test_globs_choose_by_name_or_by_path(docs, options, expected):
    assert sources(docs, **options) == [f"docs/{name}" for name in expected]


def test_a_dot_in_a_glob_is_a_dot(docs):
    (docs / "amd").write_text("x")
    assert sources(docs, include=["?.md"]) == ["docs/b.md", "docs/sub/c.md", "docs/sub/deep/d.md"]


def test_loops_of_links_and_special_files_are_left_out(docs):
    (docs / "sub" / "up").symlink_to(docs)
    (docs / "alias").symlink_to(docs / "sub")
    (docs / "self").symlink_to(docs / "self")
    os.mkfifo(docs / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(docs / "socket"))
        assert sources(docs) == ["docs/a.txt", "docs/b.md", "docs/sub/c.md", "docs/sub/deep/d.md"]
    assert failures(docs) == ["docs/self: cannot be read: Too many levels of symbolic links; " + HINT]


HINT = "check that it exists and that you may read it"


def test_a_link_to_a_file_and_to_a_folder_elsewhere_are_followed_once(docs, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "e.md").write_text("e")
    (elsewhere / "back").symlink_to(docs)
    (docs / "one").symlink_to(elsewhere)
    (docs / "two").symlink_to(elsewhere)
    (docs / "z.md").symlink_to(docs / "b.md")
    assert sources(docs)[2:] == ["docs/one/e.md", "docs/sub/c.md", "docs/sub/deep/d.md", "docs/z.md"]


def test_what_is_missing_or_dangling_is_reported_and_the_rest_comes(docs, tmp_path):
    (docs / "gone.md").symlink_to(tmp_path / "nowhere")
    found = list(walk([tmp_path / "missing", docs]))
    assert [f.source for f in found if isinstance(f, LoadError)] == [str(tmp_path / "missing"), "docs/gone.md"]
    assert len(found) == 6
    assert failures(docs, include=["*.txt"]) == []


def test_an_unreadable_folder_is_reported_and_the_rest_comes(docs, monkeypatch):
    listdir = os.listdir

    def refuse(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert sources(docs) == ["docs/a.txt", "docs/b.md"]
    assert failures(docs) == [f"docs/sub: cannot be read: Permission denied; {HINT}"]


def test_two_files_of_one_source_are_reported(docs, tmp_path):
    other = tmp_path / "other" / "docs"
    other.mkdir(parents=True)
    (other / "a.txt").write_text("another")
    assert sources(docs, other).count("docs/a.txt") == 1
    assert "--root" in failures(docs, other)[0]


def test_sources_are_the_same_on_every_machine(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / unicodedata.normalize("NFD", "ümläut 日本.md")).write_text("x")
    (folder / os.fsdecode(b"latin-\xe9.md")).write_text("x")
    found = sources(folder)
    assert sorted(found) == ["d/latin-\ufffd.md", "d/ümläut 日本.md"]
    assert all(name.encode("utf-8") for name in found)


def test_a_special_file_given_outright_is_reported(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "is neither a file nor a folder" in failures(tmp_path / "fifo")[0]


def test_a_file_that_vanishes_on_the_way_is_reported_and_the_rest_comes(docs):
    found = walk([docs])
    assert next(found).source == "docs/a.txt"
    (docs / "b.md").unlink()
    shutil.rmtree(docs / "sub" / "deep")
    error, c = found
    assert str(error) == f"docs/b.md: cannot be read: No such file or directory; {HINT}"
    assert c.source == "docs/sub/c.md"


def test_no_tree_is_too_deep(tmp_path):
    """1,500 levels are more than Python would recurse; below 4,096 bytes of path the system itself refuses."""
    top = tmp_path / "deep"
    top.mkdir()
    levels = [top]
    for _ in range(1_500):
        levels.append(levels[-1] / "d")
        levels[-1].mkdir()
    (levels[-1] / "bottom.md").write_text("x")
    try:
        assert sources(top) == [f"deep/{'d/' * 1_500}bottom.md"]
    finally:  # pytest's own removal recurses
        (levels[-1] / "bottom.md").unlink()
        for level in reversed(levels):
            level.rmdir()


def test_a_path_that_is_too_long_for_the_system_is_reported(tmp_path, monkeypatch):
    top = tmp_path / "long"
    top.mkdir()
    (top / "z.md").write_text("x")
    monkeypatch.chdir(top)
    for _ in range(25):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    try:
        assert sources(top) == ["long/z.md"]
        [error] = failures(top)
        assert error.endswith(f": cannot be read: File name too long; {HINT}")
    finally:
        for _ in range(25):
            os.chdir("..")
            Path("d" * 200).rmdir()


# -- .gitignore


@pytest.fixture
def project(tmp_path):
    names = (
        "a.log", "keep.log", "b.md", "build/x.md", "docs/build/y.md", "docs/c.md", "docs/c.log", "docs/keep/z.log",
        "out/f.md", "out/g.md", "space /h.md", "sub/.hidden", "sub/i.tmp", "sub/j.md", "vendor/k.md",
    )  # fmt: skip
    for name in names:
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "p"


RULES = "\ufeff# generated\n*.log\n!keep.log\n/build/\r\nout/*\n!out/g.md\nspace\\ \n!docs\nvendor   \n"


def test_what_gitignore_files_leave_out_is_left_out_by_choice_alone(project):
    (project / ".gitignore").write_text(RULES)
    (project / "sub" / ".gitignore").write_text("*.tmp\n")
    (project / "docs" / ".gitignore").write_text("!c.log\nkeep/\n")
    assert len(sources(project)) == 14
    assert sources(project, gitignore=True) == [
        "p/b.md", "p/docs/build/y.md", "p/docs/c.log", "p/docs/c.md", "p/keep.log", "p/out/g.md", "p/sub/j.md",
    ]  # fmt: skip
    assert failures(project, gitignore=True) == []


def test_the_working_tree_around_a_folder_counts_unless_it_leaves_out_the_folder_itself(project):
    (project / ".gitignore").write_text("c.md\n/build/\n")
    (project.parent / ".gitignore").write_text("*\n")
    assert sources(project / "docs", gitignore=True) == sources(project / "docs")
    (project / ".git").mkdir()
    assert sources(project / "docs", gitignore=True) == ["docs/build/y.md", "docs/c.log", "docs/keep/z.log"]
    assert sources(project / "build", gitignore=True) == ["build/x.md"]
    (project / ".gitignore").write_text("docs\n*.md\n")
    assert sources(project / "docs", gitignore=True) == sources(project / "docs")
    assert sources(project / "docs" / "c.md", gitignore=True) == ["docs/c.md"]


def test_a_gitignore_that_cannot_be_read_is_reported_and_one_that_is_a_link_or_a_folder_is_not_read(
    project, monkeypatch
):
    (project / "docs" / ".gitignore").symlink_to(project / "rules")
    (project / "rules").write_text("*")
    (project / "sub" / ".gitignore").mkdir()
    assert sources(project, gitignore=True) == sources(project)
    (project / ".gitignore").write_text("*")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert sources(project, gitignore=True) == sources(project)
    assert failures(project, gitignore=True) == [f"p/.gitignore: cannot be read: Permission denied; {HINT}"]


def test_a_dangling_link_that_is_ignored_is_not_reported(project):
    (project / ".gitignore").write_text("gone*\n")
    (project / "gone.md").symlink_to("nowhere")
    assert len(failures(project)) == 1
    assert failures(project, gitignore=True) == []


def test_no_pattern_takes_long(project):
    (project / ".gitignore").write_text("*a" * 40 + "b\n" + "**/" * 40 + "b\n" + "**/a/" * 40 + "b\n")
    deep = project / ("a/" * 60)
    deep.mkdir(parents=True)
    (deep / ("a" * 250)).write_text("x")
    began = time.monotonic()
    assert f"p/{'a/' * 60}{'a' * 250}" in sources(project, gitignore=True)
    assert time.monotonic() - began < 2


PARTS = [
    "a", "b", "ab", "*", "?", "a*", "**", "foo", "[ab]", "*.c", "[!a]", r"a\ b", r"\*x", "a ", "*b", "[a-c]", "[^a-c]",
    "[]x]", "[x]]", "[[:alpha:]]", "[[:digit:]]*", "[z-a]", "[a-]*", r"\a", "a\\", "*[b-]*", "#c", r"\#c", "!d", r"\!d",
    r"e\\f", r"g\ ", "[[:bad:]]", r"[\]x]*", "x]", "*a*b*", "?*",
]  # fmt: skip
NAMES = ["a", "b", "ab", "a.c", "foo", "*x", "a b", "A", "1", "a-b", "x]", "#c", "!d", "e\\f", "g "]


def line(rnd: random.Random) -> str:
    path = "/".join(rnd.choice(PARTS) for _ in range(rnd.choice([1, 1, 1, 2, 2, 3])))
    return rnd.choice(["", "", "", "!"]) + rnd.choice(["", "", "/"]) + path + rnd.choice(["", "", "/", "\r", " "])


def grow(folder: Path, rnd: random.Random, *, depth: int) -> None:
    if rnd.random() < (1 if depth == 2 else 0.3):
        (folder / ".gitignore").write_text("\n".join(line(rnd) for _ in range(5)), newline="")
    for name in rnd.sample(NAMES, 6):
        if depth and rnd.random() < 0.6:
            (folder / name).mkdir()
            grow(folder / name, rnd, depth=depth - 1)
        else:
            (folder / name).write_text(name)


@pytest.mark.skipif(shutil.which("git") is None, reason="Git is the judge")
@pytest.mark.parametrize("seed", range(10))
def test_random_trees_come_out_as_git_has_it(tmp_path, seed):
    top = tmp_path / "p"
    top.mkdir()
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    grow(top, random.Random(seed), depth=2)
    every = sources(top)
    asked = "\0".join(name.removeprefix("p/") for name in every)
    command = ["git", "-C", str(top), "check-ignore", "-z", "--stdin", "--no-index"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    ignored = {f"p/{name}" for name in done.stdout.split("\0") if name}
    assert sources(top, gitignore=True) == [name for name in every if name not in ignored]
