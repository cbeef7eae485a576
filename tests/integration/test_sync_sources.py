"""sync: sources that moved, were only touched, lie in archives, or failed; and what a changed maker does anew."""

import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from howdah import PGVector, sync
from howdah.retrieval import failures
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.loaders import LoadOptions, versions
from howdah.retrieval.loaders.crew import Crew
from tests.integration.checks import check_whole, contents, numbers
from tests.integration.test_sync import Counting, chunks, files, write


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def store(url: str, counting: Counting) -> Iterator[PGVector]:
    with PGVector(counting, connection=url, collection_name="docs", config="english") as store:
        yield store
        store.database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    for number in range(6):
        path = folder / f"page{number}.md"
        write(path, [f"{number}.{part}" for part in range(3)])
        path.write_text(f"# Title {number}\n\n{path.read_text()}")
        age(folder / f"page{number}.md", 100)
    return folder


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def failed(store: PGVector) -> dict[str, str]:
    rows = store.store.rows(failures.stored(store.store.get("docs")))
    return {row["source"]: row["error"] for row in rows}


def texts(store: PGVector, source: str) -> list[object]:
    return [row[7] for row in contents(store.store, "docs")[source]]


# -- moved


@pytest.mark.parametrize("prune", [False, True])
def test_a_renamed_file_keeps_its_rows_and_is_not_embedded(
    store: PGVector, folder: Path, counting: Counting, prune: bool
) -> None:
    sync(store, [folder])
    before, rows = contents(store.store, "docs"), numbers(store.store, "docs")
    counting.seen.clear()
    (folder / "sub").mkdir()
    (folder / "page0.md").rename(folder / "sub" / "other.md")
    report = sync(store, [folder], prune=prune)
    assert report.moved == {"corpus/sub/other.md": "corpus/page0.md"}
    assert files(report) == (0, 1, 5, 0, 0)
    assert chunks(report) == (0, len(before["corpus/page0.md"]), 0)
    assert counting.seen == []
    assert set(numbers(store.store, "docs").values()) == set(rows.values())
    assert contents(store.store, "docs").keys() == before.keys() - {"corpus/page0.md"} | {"corpus/sub/other.md"}
    assert {hit.source for hit in store.hits("0.1", k=50)} == contents(store.store, "docs").keys()
    assert {hit.metadata["source"] for hit in store.hits("0.1", k=50)} == contents(store.store, "docs").keys()
    check_whole(store.store, "docs")
    assert files(sync(store, [folder], prune=prune)) == (0, 0, 6, 0, 0)


def test_all_files_of_a_root_can_move_at_once(store: PGVector, folder: Path, counting: Counting) -> None:
    sync(store, [folder])
    counting.seen.clear()
    (folder / "new").mkdir()
    for path in list(folder.glob("*.md")):
        path.rename(folder / "new" / path.name)
    report = sync(store, [folder], prune=True)  # nothing is gone, so nothing stops it
    assert files(report) == (0, 6, 0, 0, 0)
    assert counting.seen == []
    check_whole(store.store, "docs")


def test_a_copy_is_no_move(store: PGVector, folder: Path) -> None:
    sync(store, [folder])
    (folder / "copy.md").write_bytes((folder / "page0.md").read_bytes())
    report = sync(store, [folder])
    assert report.moved == {}
    assert files(report) == (1, 0, 6, 0, 0)
    check_whole(store.store, "docs")


def test_what_is_not_surely_gone_does_not_move(store: PGVector, folder: Path, tmp_path: Path) -> None:
    sync(store, [folder])
    other = tmp_path / "other"
    other.mkdir()
    (folder / "page0.md").rename(other / "page0.md")
    report = sync(store, [other])  # the other root does not stand here, and so tells nothing
    assert report.moved == {}
    assert len(contents(store.store, "docs")) == 7
    write(folder / "page0.md", ["another text"])
    report = sync(store, [folder, other])
    assert report.moved == {}
    check_whole(store.store, "docs")


def test_a_file_moves_from_one_root_to_another(
    store: PGVector, folder: Path, tmp_path: Path, counting: Counting
) -> None:
    other = tmp_path / "other"
    write(other / "x.md", ["another text"])
    sync(store, [folder, other])
    counting.seen.clear()
    (folder / "page0.md").rename(other / "page0.md")
    report = sync(store, [folder, other], prune=True)
    assert report.moved == {"other/page0.md": "corpus/page0.md"}
    assert counting.seen == []
    assert files(sync(store, [other], prune=True)) == (0, 0, 2, 0, 0)
    check_whole(store.store, "docs")


# -- touched


def test_a_file_of_the_same_size_and_time_is_not_read(
    store: PGVector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(store, [folder])
    monkeypatch.setattr("howdah.retrieval.sources._digest_of", lambda *_: pytest.fail("read for its hash"))
    assert files(sync(store, [folder])) == (0, 0, 6, 0, 0)


def test_a_file_that_was_only_touched_is_read_once_more(
    store: PGVector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(store, [folder])
    age(folder / "page0.md", 50)
    assert files(sync(store, [folder])) == (0, 0, 6, 0, 0)
    monkeypatch.setattr("howdah.retrieval.sources._digest_of", lambda *_: pytest.fail("read for its hash"))
    assert files(sync(store, [folder])) == (0, 0, 6, 0, 0)


def test_a_file_that_changes_within_one_tick_is_seen(store: PGVector, folder: Path) -> None:
    path = folder / "page0.md"
    path.write_text("# One\n\nfirst words")
    status = path.stat()
    sync(store, [folder])
    path.write_text("# One\n\nother words")  # of the same size, and by its clock at the same time
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert files(sync(store, [folder])) == (0, 1, 5, 0, 0)
    assert texts(store, "corpus/page0.md") == ["# One\n\nother words"]


# -- archives


def test_members_of_an_archive_are_sources_like_files(store: PGVector, folder: Path, counting: Counting) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("one.txt", "the first member")
        archive.writestr("sub/two.txt", "the second member")
        archive.writestr("bad.pdf", "%PDF-1.7\n")
    report = sync(store, [folder])
    assert files(report) == (8, 0, 0, 0, 1)
    assert [error.source for error in report.failures] == ["corpus/a.zip/bad.pdf"]
    assert texts(store, "corpus/a.zip/sub/two.txt") == ["the second member"]
    counting.seen.clear()
    assert files(sync(store, [folder])) == (0, 0, 8, 0, 1)
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("one.txt", "the first member, changed")
        archive.writestr("sub/two.txt", "the second member")
    assert files(sync(store, [folder], prune=True)) == (0, 1, 7, 0, 0)
    assert failed(store) == {}
    assert counting.seen == ["the first member, changed"]
    check_whole(store.store, "docs")


# -- failures


def test_a_failure_is_kept_until_the_source_is_mended(store: PGVector, folder: Path) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    (folder / "empty.txt").write_bytes(b"")
    for _ in range(2):
        report = sync(store, [folder])
        assert report.files.failed == 2
        assert failed(store) == {error.source: error.reason for error in report.failures}
        assert failed(store).keys() == {"corpus/broken.pdf", "corpus/empty.txt"}
    (folder / "broken.pdf").unlink()
    (folder / "empty.txt").write_text("no longer empty")
    assert files(sync(store, [folder])) == (1, 0, 6, 0, 0)
    assert failed(store) == {}


def test_the_same_failure_is_not_tried_in_vain_unless_told(
    store: PGVector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\nnothing else")
    [first] = sync(store, [folder]).failures
    tried: list[str] = []
    put = Crew.put
    monkeypatch.setattr(Crew, "put", lambda crew, task: (tried.append(task.job.source), put(crew, task)))
    [again] = sync(store, [folder]).failures
    assert (again.source, again.reason, again.hint) == (first.source, first.reason, first.hint)
    assert tried == []
    report = sync(store, [folder], retry=True, only=["corpus/broken.pdf"])
    assert tried == ["corpus/broken.pdf"]
    assert files(report) == (0, 0, 0, 0, 1)
    sync(store, [folder], options=LoadOptions(passwords=("secret",)))
    assert tried == ["corpus/broken.pdf"] * 2


def test_a_failed_source_keeps_what_was_loaded_of_it(store: PGVector, folder: Path) -> None:
    sync(store, [folder])
    before = contents(store.store, "docs")
    (folder / "page0.md").write_bytes(b"")
    assert files(sync(store, [folder], prune=True)) == (0, 0, 5, 0, 1)
    assert contents(store.store, "docs") == before
    assert failed(store).keys() == {"corpus/page0.md"}


def test_only_some_sources_and_prune_exclude_each_other(store: PGVector, folder: Path) -> None:
    with pytest.raises(InvalidInput, match="prune must see all of a root"):
        sync(store, [folder], only=["corpus/page0.md"], prune=True)


# -- what made a document


def test_another_reader_does_its_own_documents_anew(
    store: PGVector, folder: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "plain.txt", ["words"])
    sync(store, [folder])
    counting.seen.clear()
    monkeypatch.setitem(versions.VERSIONS, "text/markdown", 2)
    report = sync(store, [folder])
    assert files(report) == (0, 6, 1, 0, 0)
    assert report.chunks.added == 0  # what it reads is the same
    assert counting.seen == []
    assert files(sync(store, [folder])) == (0, 0, 7, 0, 0)


def test_other_columns_do_tables_anew(store: PGVector, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "table.csv").write_text("name,age\nada,36\nalan,41\n")
    assert files(sync(store, [folder])) == (1, 0, 0, 0, 0)
    assert files(sync(store, [folder], options=LoadOptions(columns=("name",)))) == (0, 1, 0, 0, 0)
    assert texts(store, "corpus/table.csv") == ["name: ada", "name: alan"]
    assert {hit.metadata["age"] for hit in store.hits("ada", k=5)} == {36, 41}
