"""sync: what is loaded, left alone, replaced, deleted and reported."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_text_splitters import CharacterTextSplitter, RecursiveCharacterTextSplitter

from howdah import PGVector, sync
from howdah.retrieval import documents
from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.retrieval.loaders.crew import Crew
from howdah.retrieval.report import Progress
from howdah.retrieval.sync import sync_async
from tests.integration.checks import check_whole, contents, numbers, rows

SIZE = 16


class Counting(Embeddings):
    """Counts the texts it was given; the same text has the same vector."""

    def __init__(self) -> None:
        self.fake, self.seen = DeterministicFakeEmbedding(size=SIZE), []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.seen += texts
        return self.fake.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self.fake.embed_query(text)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def store(url: str, counting: Counting) -> Iterator[PGVector]:
    with PGVector(counting, connection=url, collection_name="docs") as store:
        yield store
        store.database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten files of three paragraphs, each long enough for a chunk of its own."""
    folder = tmp_path / "corpus"
    for number in range(10):
        write(folder / f"part{number % 2}" / f"page{number}.txt", [f"{number}.{part}" for part in range(3)])
    return folder


def write(path: Path, paragraphs: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(paragraph(words) for words in paragraphs), encoding="utf-8", newline="")


def paragraph(words: str) -> str:
    """About 200 tokens, so that no two share a chunk, in sentences that are too long to be repeated as overlap."""
    sentence = f"The elephant {words} carries its howdah" + " over the river and through the high grass" * 5
    return f"Paragraph {words}: " + ". ".join([sentence] * 3) + "."


def files(report: object) -> tuple[int, ...]:
    counts = report.files
    return counts.added, counts.updated, counts.unchanged, counts.deleted, counts.failed


def chunks(report: object) -> tuple[int, ...]:
    return report.chunks.added, report.chunks.reused, report.chunks.deleted


def at_home(store: PGVector) -> set[str]:
    return set(contents(store.store, "docs"))


# -- counted


def test_a_first_sync_adds_everything_once(store: PGVector, folder: Path, counting: Counting) -> None:
    report = sync(store, [folder])
    assert files(report) == (10, 0, 0, 0, 0)
    assert chunks(report) == (30, 0, 0)
    assert len(counting.seen) == 30
    assert at_home(store) == {f"corpus/part{n % 2}/page{n}.txt" for n in range(10)}
    check_whole(store.store, "docs")


def test_unchanged_files_are_neither_read_for_text_nor_embedded(
    store: PGVector, folder: Path, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(store, [folder])
    counting.seen.clear()
    monkeypatch.setattr(Crew, "put", lambda *_: pytest.fail("read for its text"))
    os.utime(folder / "part0" / "page0.txt", (1, 1))  # another time is not another content
    assert files(sync(store, folder)) == (0, 0, 10, 0, 0)
    assert counting.seen == []


def test_every_kind_of_change_is_counted(store: PGVector, folder: Path, counting: Counting) -> None:
    sync(store, [folder])
    counting.seen.clear()
    write(folder / "part0" / "page0.txt", ["0.0", "changed", "0.2"])
    write(folder / "new.txt", ["new"])
    (folder / "part1" / "page1.txt").unlink()
    (folder / "part1" / "page3.txt").write_bytes(b"\x00\x01\x02\x03" * 100)
    report = sync(store, [folder], prune=True)
    assert files(report) == (1, 1, 7, 1, 1)
    assert chunks(report) == (2, 2, 1 + 3)
    assert len(counting.seen) == 2
    assert report.pruned == ["corpus/part1/page1.txt"]
    assert [error.source for error in report.failures] == ["corpus/part1/page3.txt"]
    assert "corpus/part1/page3.txt" in at_home(store), "what was loaded of a file that is bad now stays"
    check_whole(store.store, "docs")


def test_progress_is_told_after_every_source(store: PGVector, folder: Path) -> None:
    told: list[Progress] = []
    sync(store, [folder], progress=told.append)
    assert [(at.done, at.total) for at in told] == [(n, 10) for n in range(1, 11)]


def test_a_dry_run_counts_the_same_and_writes_nothing(store: PGVector, folder: Path, counting: Counting) -> None:
    assert files(sync(store, [folder], dry_run=True)) == (10, 0, 0, 0, 0)
    assert store.store.find("docs") is None
    sync(store, [folder])
    write(folder / "part0" / "page0.txt", ["0.0", "changed", "0.2"])
    (folder / "part1" / "page1.txt").unlink()
    before, counted = contents(store.store, "docs"), len(counting.seen)
    dry = sync(store, [folder], prune=True, dry_run=True)
    assert contents(store.store, "docs") == before
    assert len(counting.seen) == counted
    wet = sync(store, [folder], prune=True)
    assert files(dry) == files(wet)
    assert (dry.chunks.added, dry.chunks.reused) == (wet.chunks.added, wet.chunks.reused)


# -- replaced


def test_a_changed_file_keeps_the_rows_and_vectors_of_what_stayed(
    store: PGVector, folder: Path, counting: Counting
) -> None:
    page = folder / "part0" / "page0.txt"
    sync(store, [folder])
    before, places = numbers(store.store, "docs"), contents(store.store, "docs")["corpus/part0/page0.txt"]
    vectors = embeddings_of(store)
    counting.seen.clear()
    write(page, ["in front", "0.0", "0.2"])
    report = sync(store, [folder])
    assert chunks(report) == (1, 2, 1)
    assert [text.count("in front") > 0 for text in counting.seen] == [True]
    after, moved = numbers(store.store, "docs"), contents(store.store, "docs")["corpus/part0/page0.txt"]
    first, last = places[0][0], places[2][0]
    assert [chunk[0] for chunk in moved][1:] == [first, last]
    assert [after[first], after[last]] == [before[first], before[last]]
    assert [embeddings_of(store)[id_] for id_ in (first, last)] == [vectors[id_] for id_ in (first, last)]
    assert moved[1][2] == len(paragraph("in front")) + 2, "the moved chunk has its new offset"
    check_whole(store.store, "docs")


def embeddings_of(store: PGVector) -> dict[str, str]:
    found = rows(store.store, "SELECT id, embedding::text FROM {chunks}", store.store.get("docs"))
    return {row["id"]: row["embedding"] for row in found}


def test_changed_metadata_of_a_kept_chunk_is_written(store: PGVector, counting: Counting) -> None:
    sync(store, [Document(page_content=paragraph("a"), metadata={"source": "a", "year": 2024})])
    report = sync(store, [Document(page_content=paragraph("a"), metadata={"source": "a", "year": 2025})])
    assert chunks(report) == (0, 1, 0)
    assert len(counting.seen) == 1
    assert [doc.metadata["year"] for doc in store.similarity_search("elephant")] == [2025]
    check_whole(store.store, "docs")


def test_another_title_or_section_is_another_chunk(store: PGVector, tmp_path: Path) -> None:
    page = tmp_path / "corpus" / "page.md"
    page.parent.mkdir()
    for title in ("Elephants", "Camels"):
        page.write_text(f"# {title}\n\n{paragraph('x')}")
        sync(store, [page.parent])
        check_whole(store.store, "docs")
        assert {hit.title for hit in store.hits("elephant", k=9)} == {title}
        assert all(hit.section is None or hit.section.startswith(title) for hit in store.hits("elephant", k=9))


def test_equal_paragraphs_are_chunks_of_their_own(store: PGVector, folder: Path, counting: Counting) -> None:
    page = folder / "part0" / "page0.txt"
    sync(store, [folder])
    counting.seen.clear()
    write(page, ["same", "same", "same"])
    assert chunks(sync(store, [folder])) == (3, 0, 3)
    assert len(counting.seen) == 1, "equal text is embedded once"
    write(page, ["same", "same"])
    assert chunks(sync(store, [folder])) == (0, 2, 1)
    check_whole(store.store, "docs")


def test_a_document_is_written_whole_or_not_at_all(
    store: PGVector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(store, [folder])
    before = contents(store.store, "docs")
    write(folder / "part0" / "page0.txt", ["0.0", "changed", "0.2"])

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError("the write fails after the deletes")

    with monkeypatch.context() as patch:
        patch.setattr(store.store, "add", broken)
        with pytest.raises(OSError, match="the write fails"):
            sync(store, [folder])
    assert contents(store.store, "docs") == before
    check_whole(store.store, "docs")
    assert files(sync(store, [folder])) == (0, 1, 9, 0, 0)


def test_a_dropped_collection_is_made_anew(store: PGVector, folder: Path, url: str) -> None:
    sync(store, [folder])
    with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as other:
        other.delete_collection()
    assert files(sync(store, [folder])) == (10, 0, 0, 0, 0)


def test_a_collection_dropped_meanwhile_is_one_sentence(store: PGVector, folder: Path, url: str) -> None:
    with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as other:
        write(folder / "long.txt", [f"{n}" for n in range(150)])

        def drop(at: Progress) -> None:
            if at.source == "corpus/part1/page3.txt":
                other.delete_collection()

        with pytest.raises(NotFound, match="dropped while it was being written"):
            sync(store, [folder], progress=drop)


# -- roots and sources


def test_a_source_is_root_and_relative_path_wherever_the_folder_lies(store: PGVector, tmp_path: Path) -> None:
    for machine in ("here", "there"):
        write(tmp_path / machine / "docs" / "a" / "b.txt", ["same"])
    assert files(sync(store, [tmp_path / "here" / "docs"])) == (1, 0, 0, 0, 0)
    assert files(sync(store, [tmp_path / "there" / "docs"])) == (0, 0, 1, 0, 0)
    assert at_home(store) == {"docs/a/b.txt"}


def test_a_root_can_be_named(store: PGVector, tmp_path: Path) -> None:
    write(tmp_path / "docs" / "a.txt", ["a"])
    sync(store, [tmp_path / "docs"], root="manual")
    assert at_home(store) == {"manual/a.txt"}


def test_a_single_file_belongs_to_its_folder(store: PGVector, folder: Path) -> None:
    sync(store, folder / "part0" / "page0.txt")
    assert at_home(store) == {"part0/page0.txt"}


def test_relative_paths_and_strings_will_do(store: PGVector, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "part0")
    sync(store, ".")
    assert "part0/page0.txt" in at_home(store)


def test_globs_choose(store: PGVector, folder: Path) -> None:
    write(folder / "note.md", ["note"])
    assert files(sync(store, [folder], include=["*.md"])) == (1, 0, 0, 0, 0)
    assert files(sync(store, [folder], exclude=["part0"])) == (5, 0, 1, 0, 0)


# -- pruning


def test_without_prune_nothing_is_deleted(store: PGVector, folder: Path) -> None:
    sync(store, [folder])
    (folder / "part0" / "page0.txt").unlink()
    assert files(sync(store, [folder])) == (0, 0, 9, 0, 0)
    assert len(at_home(store)) == 10


def test_prune_deletes_within_the_given_roots_alone(store: PGVector, folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other" / "a.txt", ["a"])
    write(tmp_path / "other" / "b.txt", ["b"])
    sync(store, [folder, tmp_path / "other"])
    (tmp_path / "other" / "a.txt").unlink()
    (folder / "part0" / "page0.txt").unlink()
    assert sync(store, [folder], prune=True).pruned == ["corpus/part0/page0.txt"]
    assert "other/a.txt" in at_home(store)
    check_whole(store.store, "docs")


def test_prune_stops_above_a_fifth_of_a_root(store: PGVector, folder: Path) -> None:
    sync(store, [folder])
    for number in (0, 2, 4):
        (folder / "part0" / f"page{number}.txt").unlink()
    write(folder / "new.txt", ["new"])
    with pytest.raises(InvalidInput, match=r"3 of the 10 documents of root 'corpus'.*20 %") as raised:
        sync(store, [folder], prune=True)
    assert "prune_all" in raised.value.hint
    assert "corpus/new.txt" not in at_home(store), "it stops before anything is written"
    assert files(sync(store, [folder], prune=True, prune_all=True)) == (1, 0, 7, 3, 0)


def test_prune_goes_on_at_a_fifth(store: PGVector, folder: Path) -> None:
    sync(store, [folder])
    for number in (0, 2):
        (folder / "part0" / f"page{number}.txt").unlink()
    assert files(sync(store, [folder], prune=True)) == (0, 0, 8, 2, 0)


@pytest.mark.parametrize("state", ["empty", "missing"])
def test_prune_does_nothing_where_the_root_is(store: PGVector, folder: Path, state: str) -> None:
    sync(store, [folder])
    folder.rename(folder.with_name("elsewhere"))
    if state == "empty":
        folder.mkdir()
    report = sync(store, [folder], prune=True, prune_all=True)
    assert report.files.deleted == 0
    assert report.unpruned
    assert len(at_home(store)) == 10


def unreadable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As root nothing is: listing it fails as it would for another user."""
    listed = os.listdir

    def listdir(path: object) -> list[str]:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", listdir)


def test_prune_does_nothing_where_the_root_cannot_be_read(
    store: PGVector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(store, [folder])
    unreadable(monkeypatch, folder)
    report = sync(store, [folder], prune=True, prune_all=True)
    assert files(report) == (0, 0, 0, 0, 1)
    assert len(at_home(store)) == 10


def test_what_lies_in_an_unreadable_folder_is_not_gone(
    store: PGVector, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync(store, [folder])
    unreadable(monkeypatch, folder / "part0")
    (folder / "part1" / "page1.txt").unlink()
    report = sync(store, [folder], prune=True)
    assert report.pruned == ["corpus/part1/page1.txt"]
    assert files(report) == (0, 0, 4, 1, 1)
    assert len(at_home(store)) == 9


def test_a_file_given_by_itself_prunes_nothing(store: PGVector, folder: Path) -> None:
    sync(store, [folder / "part0"])
    (folder / "part0" / "page0.txt").unlink()
    report = sync(store, [folder / "part0" / "page2.txt"], prune=True, prune_all=True)
    assert files(report) == (0, 0, 1, 0, 0)
    assert report.unpruned == ["part0"]
    assert len(at_home(store)) == 5


def test_a_missing_half_of_a_root_prunes_nothing(store: PGVector, tmp_path: Path) -> None:
    for half in ("one", "two"):
        write(tmp_path / half / "docs" / f"{half}.txt", [half])
    halves = [tmp_path / "one" / "docs", tmp_path / "two" / "docs"]
    sync(store, halves)
    halves[1].rename(tmp_path / "unmounted")
    report = sync(store, halves, prune=True, prune_all=True)
    assert files(report) == (0, 0, 1, 0, 1)
    assert at_home(store) == {"docs/one.txt", "docs/two.txt"}


def test_rows_added_through_the_api_are_left_alone(store: PGVector, folder: Path) -> None:
    store.add_texts(["mine"], [{"source": "corpus/part0/page0.txt"}], ids=["mine"])
    sync(store, [folder])
    (folder / "part0" / "page0.txt").unlink()
    assert sync(store, [folder], prune=True).files.deleted == 1
    assert [doc.page_content for doc in store.get_by_ids(["mine"])] == ["mine"]
    check_whole(store.store, "docs")


# -- LangChain


def test_documents_of_one_source_are_one_document(store: PGVector) -> None:
    pages = [Document(page_content=paragraph(f"{n}"), metadata={"source": "book", "page": n}) for n in (1, 2, 3)]
    report = sync(store, [*pages, Document(page_content=paragraph("other"), id="other")])
    assert files(report) == (2, 0, 0, 0, 0)
    assert at_home(store) == {"book", "other"}
    assert [chunk[4] for chunk in contents(store.store, "docs")["book"]] == [1, 2, 3]
    check_whole(store.store, "docs")


def test_documents_are_synced_and_pruned_like_files(store: PGVector, counting: Counting) -> None:
    def given(*names: str) -> Iterator[Document]:
        return (Document(page_content=paragraph(name), metadata={"source": name}) for name in names)

    sync(store, given(*"abcdefghij"))
    counting.seen.clear()
    assert files(sync(store, given(*"abcdefghik"), prune=True)) == (1, 0, 9, 1, 0)
    assert len(counting.seen) == 1
    assert sync(store, [], prune=True, prune_all=True).files.deleted == 0


def test_files_and_documents_go_together(store: PGVector, folder: Path) -> None:
    report = sync(store, [folder, Document(page_content=paragraph("x"), metadata={"source": "x"})], prune=True)
    assert files(report) == (11, 0, 0, 0, 0)
    assert files(sync(store, [folder], prune=True)) == (0, 0, 10, 0, 0)
    assert "x" in at_home(store)


def test_any_splitter_cuts(store: PGVector, folder: Path, counting: Counting) -> None:
    splitter = RecursiveCharacterTextSplitter(chunk_size=300, chunk_overlap=50)
    sync(store, [folder], splitter=splitter)
    found = contents(store.store, "docs")
    assert all(len(chunk[7]) <= 300 for source in found.values() for chunk in source)
    check_whole(store.store, "docs")
    counting.seen.clear()
    again = RecursiveCharacterTextSplitter(chunk_size=300, chunk_overlap=50)
    assert files(sync(store, [folder], splitter=again)) == (0, 0, 10, 0, 0)
    assert counting.seen == []


@pytest.mark.parametrize(
    "other",
    [
        None,
        RecursiveCharacterTextSplitter(chunk_size=200, chunk_overlap=0),
        CharacterTextSplitter(chunk_size=300, chunk_overlap=0, separator="\n\n"),
        CharacterTextSplitter(chunk_size=300, chunk_overlap=0, separator=". "),
    ],
)
def test_another_splitter_cuts_anew(store: PGVector, folder: Path, other: object) -> None:
    sync(store, [folder], splitter=CharacterTextSplitter(chunk_size=300, chunk_overlap=0, separator="."))
    assert files(sync(store, [folder], splitter=other)) == (0, 10, 0, 0, 0)
    check_whole(store.store, "docs")


class Shouting(RecursiveCharacterTextSplitter):
    def split_text(self, text: str) -> list[str]:
        return [text.upper() if "0.1" in text else text]


def test_a_splitter_that_changes_the_text_fails_that_file(store: PGVector, folder: Path) -> None:
    report = sync(store, [folder], splitter=Shouting())
    assert report.files.failed >= 1
    assert "no piece of the text" in report.failures[0].reason
    assert report.files.added == 10 - report.files.failed


# -- language, failures, arguments


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Der Elefant trägt seine Sänfte über den Fluss, und die Menschen am Ufer schauen ihm lange nach. ", "german"),
        ("The elephant carries its howdah over the river while the people on the bank look on. ", "english"),
    ],
)
def test_the_language_is_detected_once_and_stored(store: PGVector, tmp_path: Path, text: str, language: str) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text(text * 20)
    assert sync(store, [folder]).language == language
    (folder / "b.txt").write_text("L'éléphant porte son palanquin de l'autre côté de la rivière. " * 20)
    assert sync(store, [folder]).language == language
    assert store.store.get("docs").spec.config == language


def test_bad_files_are_reported_and_the_rest_is_loaded(store: PGVector, folder: Path) -> None:
    (folder / "empty.txt").write_bytes(b"")
    (folder / "blank.txt").write_text(" \n\n ")
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 10)
    (folder / "no.pdf").write_bytes(b"%PDF-1.7 and no more")
    (folder / "dangling.txt").symlink_to(folder / "nowhere")
    report = sync(store, [folder, folder / "missing.txt"])
    assert files(report) == (10, 0, 0, 0, 6)
    assert all(error.source and error.reason for error in report.failures)
    check_whole(store.store, "docs")


def test_a_name_too_long_for_the_index_is_a_failure(store: PGVector) -> None:
    report = sync(store, [Document(page_content="a", metadata={"source": "x" * 5_000})])
    assert [error.reason for error in report.failures] == ["has a name of more than 2,000 bytes"]


def test_nothing_at_all_is_no_error(store: PGVector) -> None:
    assert files(sync(store, [])) == (0, 0, 0, 0, 0)
    assert store.store.find("docs") is None


def test_what_is_neither_a_path_nor_a_document_is_refused(store: PGVector) -> None:
    with pytest.raises(InvalidInput, match="paths, addresses and Documents, got int"):
        sync(store, [3])


def test_texts_with_what_postgresql_cannot_store_keep_their_offsets(store: PGVector, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_bytes(f"{paragraph('x')} nul \x00 here, and 🐘 after\r\nthat".encode())
    sync(store, [folder, Document(page_content="lone \ud800 surrogate 🐘 end", metadata={"source": "b\x00"})])
    check_whole(store.store, "docs")
    [row] = store.store.rows(documents.text_of(store.store.get("docs"), "corpus/a.txt"))
    assert row["text"].endswith("after\r\nthat")


def test_lexical_false_loads_vectors_alone(url: str, folder: Path) -> None:
    fake = DeterministicFakeEmbedding(size=SIZE)
    with PGVector(fake, connection=url, collection_name="docs", lexical=False) as store:
        sync(store, [folder])
        write(folder / "part0" / "page0.txt", ["0.0", "changed"])
        assert chunks(sync(store, [folder])) == (1, 1, 2)
        check_whole(store.store, "docs")
        store.database.close()


# -- async


async def test_sync_async_does_the_same(url: str, folder: Path) -> None:
    async with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as store:
        assert files(await sync_async(store, [folder])) == (10, 0, 0, 0, 0)
        assert files(await sync_async(store, [folder], prune=True)) == (0, 0, 10, 0, 0)
        check_whole(store.store, "docs")
        await store.database.aclose()


async def test_a_cancelled_sync_stops_after_a_document(url: str, folder: Path) -> None:
    import asyncio

    for number in range(100):
        write(folder / "more" / f"{number}.txt", [f"{number}.{part}" for part in range(3)])
    async with PGVector(DeterministicFakeEmbedding(size=SIZE), connection=url, collection_name="docs") as store:
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        def progress(at: Progress) -> None:
            if at.done == 50:
                loop.call_soon_threadsafe(begun.set)

        task = asyncio.create_task(sync_async(store, [folder], progress=progress))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 0 < len(at_home(store)) < 110
        check_whole(store.store, "docs")
        assert not [thread for thread in threading.enumerate() if thread.name == "howdah lease"]
        assert sum(files(await sync_async(store, [folder]))[:3]) == 110
        check_whole(store.store, "docs")
        await store.database.aclose()
