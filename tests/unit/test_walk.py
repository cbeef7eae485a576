import os
import socket
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
