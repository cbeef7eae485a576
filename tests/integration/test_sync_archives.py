"""sync of what lies in archives."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah import PGVector, sync
from howdah.scripts.ask import _within


@pytest.fixture
def docs(url: str, embeddings: DeterministicFakeEmbedding) -> Iterator[PGVector]:
    with PGVector(embeddings, connection=url, collection_name="docs") as store:
        yield store
        store.database.close()


def pack(path: Path, members: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_members_change_and_go_one_by_one_and_a_damaged_archive_deletes_nothing(docs, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "plain.txt").write_text("a plain file")
    members = {f"in/{n}.txt": f"member number {n}" for n in range(8)}
    pack(folder / "a.zip", members)
    assert sync(docs, [folder]).files.added == 9
    assert sync(docs, [folder], prune=True).files.unchanged == 9
    del members["in/7.txt"]
    pack(folder / "a.zip", {**members, "in/0.txt": "another text"})
    files = sync(docs, [folder], prune=True).files
    assert (files.updated, files.unchanged, files.deleted) == (1, 7, 1)
    whole = (folder / "a.zip").read_bytes()
    (folder / "a.zip").write_bytes(whole[: len(whole) // 2])
    report = sync(docs, [folder], prune=True)
    assert (report.files.deleted, [error.source for error in report.failures]) == (0, ["corpus/a.zip"])


def test_a_question_to_an_archive_is_held_to_its_members(docs, tmp_path):
    for name in ("a_b.zip", "axb.zip"):
        pack(tmp_path / name, {"in.txt": f"of {name}"})
        sync(docs, [tmp_path / name], root=None)
    [hit] = docs.similarity_search("of", k=9, filter=_within([tmp_path / "a_b.zip"], None))
    assert hit.page_content == "of a_b.zip"
