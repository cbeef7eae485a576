"""sync beside others: several at once, and readers in between; and after any series of changes."""

import multiprocessing
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_text_splitters import CharacterTextSplitter

from howdah import PGVector, sync
from howdah.retrieval.removal import remove
from tests.integration.checks import check_whole, contents, rows

VERSIONS, DOCUMENTS = 6, 4


def open_store(url: str, name: str = "docs") -> PGVector:
    return PGVector(DeterministicFakeEmbedding(size=8), connection=url, collection_name=name)


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    with open_store(url) as store:
        yield store
        store.database.close()


def splitter() -> CharacterTextSplitter:
    return CharacterTextSplitter(separator="\n\n", chunk_size=60, chunk_overlap=0)


def write_version(folder: Path, version: int) -> Path:
    """Every paragraph of a document names its version; a third of them stay the same in the next."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(DOCUMENTS):
        lines = [f"document {number} version {version} of {20 + version}, part {part}" for part in range(20 + version)]
        common = [f"document {number} common part {part} of all its versions" for part in range(10)]
        (folder / f"{number}.txt").write_text("\n\n".join([*lines, *common]))
    return folder


def versions_seen(store: PGVector) -> list[str]:
    """What is wrong with what a reader sees now: a document of two versions, or not all of one."""
    collection = store.store.find("docs")
    if collection is None:
        return []
    found = rows(
        store.store,
        """
        SELECT d.source, d.text, p.content FROM {chunks} AS c JOIN {passages} AS p USING (n)
        JOIN howdah.documents AS d ON d.id = c.document
        """,
        collection,
    )
    by_source: dict[str, tuple[str, set[str]]] = {}
    for row in found:
        by_source.setdefault(row["source"], (row["text"], set()))[1].add(row["content"])
    return [source for source, (text, pieces) in by_source.items() if pieces != set(text.split("\n\n"))]


def test_readers_never_see_a_document_half_replaced(store: PGVector, url: str, tmp_path: Path) -> None:
    done, wrong, looks = threading.Event(), [], 0

    def read() -> None:
        nonlocal looks
        while not done.is_set():
            wrong.extend(versions_seen(store))
            looks += 1

    reader = threading.Thread(target=read)
    reader.start()
    with open_store(url) as writer:
        for version in range(VERSIONS):
            sync(writer, [write_version(tmp_path / "corpus", version)], splitter=splitter())
    done.set()
    reader.join()
    assert wrong == []
    assert looks > VERSIONS
    check_whole(store.store, "docs")


def test_threads_that_sync_at_once_neither_corrupt_nor_duplicate(store: PGVector, tmp_path: Path) -> None:
    """Each has a version of its own of the same sources, and prunes: whichever is last is there, whole."""
    folders = [write_version(tmp_path / str(version) / "corpus", version) for version in range(4)]

    def work(folder: Path) -> None:
        for _ in range(3):
            sync(store, [folder], splitter=splitter(), prune=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, folders))
    check_whole(store.store, "docs")
    assert versions_seen(store) == []
    assert len(contents(store.store, "docs")) == DOCUMENTS


def test_a_sync_and_writes_through_the_api_do_not_deadlock(store: PGVector, url: str, tmp_path: Path) -> None:
    """Deletes by filter take any chunk of any document, in an order of their own choice."""
    folder, done = tmp_path / "corpus", threading.Event()
    sync(store, [write_version(folder, 0)], splitter=splitter())

    def delete() -> None:
        number = 0
        with open_store(url) as other:
            while not done.is_set():
                number += 1
                other.delete(filter={"source": f"corpus/{number % DOCUMENTS}.txt"})

    deleting = [threading.Thread(target=delete) for _ in range(2)]
    for thread in deleting:
        thread.start()
    for version in range(1, VERSIONS):
        sync(store, [write_version(folder, version)], splitter=splitter())
    done.set()
    for thread in deleting:
        thread.join()
    sync(store, [write_version(folder, VERSIONS)], splitter=splitter())
    check_whole(store.store, "docs")
    assert versions_seen(store) == []


class Held:
    """Holds up the first text that is cut until `go`; the run that cuts it has looked at what is stored by then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._cut = CharacterTextSplitter.split_text

        def split_text(cutting: CharacterTextSplitter, text: str) -> list[str]:
            if not self.reached.is_set():
                self.reached.set()
                assert self.go.wait(30)
            return self._cut(cutting, text)

        monkeypatch.setattr(CharacterTextSplitter, "split_text", split_text)


@pytest.fixture
def renamed(store: PGVector, tmp_path: Path) -> Path:
    """A folder that was loaded before one of its files, 0.txt, was renamed to new.txt."""
    folder = write_version(tmp_path / "corpus", 0)
    sync(store, [folder], splitter=splitter())
    (folder / "0.txt").rename(folder / "new.txt")
    return folder


def test_a_rename_beside_a_load_under_the_new_name_leaves_one_document(
    store: PGVector, url: str, renamed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    with ThreadPoolExecutor(1) as pool, open_store(url) as other:
        renaming = pool.submit(sync, store, [renamed], splitter=splitter())
        assert held.reached.wait(30)
        loaded = sync(other, [renamed / "new.txt"], root="corpus", splitter=splitter())
        held.go.set()
        report = renaming.result(60)
    assert (loaded.files.added, loaded.moved) == (1, {})
    assert report.moved == {"corpus/new.txt": "corpus/0.txt"}
    assert report.chunks.deleted == loaded.chunks.added
    assert contents(store.store, "docs").keys() == {"corpus/new.txt", *(f"corpus/{n}.txt" for n in range(1, DOCUMENTS))}
    check_whole(store.store, "docs")
    assert sync(store, [renamed], splitter=splitter()).files.unchanged == DOCUMENTS


def test_a_rename_beside_the_same_rename_moves_the_document_once(
    store: PGVector, url: str, renamed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks, held = len(contents(store.store, "docs")["corpus/0.txt"]), Held(monkeypatch)
    with ThreadPoolExecutor(1) as pool, open_store(url) as other:
        renaming = pool.submit(sync, store, [renamed], splitter=splitter())
        assert held.reached.wait(30)
        first = sync(other, [renamed], splitter=splitter(), prune=True)
        held.go.set()
        second = renaming.result(60)
    assert first.moved == second.moved == {"corpus/new.txt": "corpus/0.txt"}
    assert (second.chunks.added, second.chunks.reused, second.chunks.deleted) == (0, chunks, 0)
    assert "corpus/0.txt" not in contents(store.store, "docs")
    check_whole(store.store, "docs")


def test_runs_that_rename_prune_and_delete_at_once_neither_corrupt_nor_deadlock(
    store: PGVector, url: str, tmp_path: Path
) -> None:
    """Two runs whose copies of a folder name its files differently, each moving them to its own names, and deletes beside."""
    folders = [write_version(tmp_path / str(run) / "corpus", 0) for run in range(2)]
    for path in folders[1].glob("*.txt"):
        path.rename(path.with_name(f"{DOCUMENTS - 1 - int(path.stem)}.txt"))
    extra = ["corpus/0.txt", "corpus/1.txt"]

    def work(folder: Path) -> None:
        for _ in range(8):
            sync(store, [folder], splitter=splitter(), prune=True, prune_all=True)
            for path in sorted(folder.glob("*.txt"))[::2]:
                path.rename(path.with_name("x" + path.name) if path.name[0] != "x" else path.with_name(path.name[1:]))

    def delete() -> None:
        with open_store(url) as other:
            for number in range(40):
                remove(other.store, other.store.get("docs"), sources=[extra[number % 2]])
                other.delete(filter={"source": extra[number % 2]})

    sync(store, [folders[0]], splitter=splitter())
    with ThreadPoolExecutor(3) as pool:
        for job in [*(pool.submit(work, folder) for folder in folders), pool.submit(delete)]:
            job.result(120)
    check_whole(store.store, "docs")
    assert versions_seen(store) == []
    sync(store, [folders[0]], splitter=splitter(), prune=True, prune_all=True)
    with open_store(url, "fresh") as fresh:
        sync(fresh, [folders[0]], splitter=splitter())
        assert contents(store.store, "docs") == contents(fresh.store, "fresh")
    check_whole(store.store, "docs")


def work_in_process(url: str, folder: str, seed: int) -> None:
    with open_store(url) as store:
        for version in random.Random(seed).sample(range(VERSIONS), 3):
            sync(store, [Path(folder) / str(version) / "corpus"], splitter=splitter(), prune=True)


def test_processes_that_sync_at_once_neither_corrupt_nor_duplicate(store: PGVector, url: str, tmp_path: Path) -> None:
    for version in range(VERSIONS):
        write_version(tmp_path / str(version) / "corpus", version)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work_in_process, args=(url, str(tmp_path), seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    check_whole(store.store, "docs")
    assert versions_seen(store) == []
    assert len(contents(store.store, "docs")) == DOCUMENTS


@pytest.mark.parametrize("seed", range(3))
def test_after_any_series_of_changes_it_equals_a_fresh_load(
    store: PGVector, url: str, tmp_path: Path, seed: int
) -> None:
    chance, folder = random.Random(seed), tmp_path / "corpus"
    folder.mkdir()
    for step in range(8):
        for _ in range(chance.randint(1, 3)):
            change(folder, chance)
        report = sync(store, [folder], splitter=splitter(), prune=True, prune_all=True)
        assert report.failures == []
        with open_store(url, f"fresh{step}") as fresh:
            sync(fresh, [folder], splitter=splitter())
            expected = contents(fresh.store, f"fresh{step}")
        assert contents(store.store, "docs") == expected
        check_whole(store.store, "docs")


def change(folder: Path, chance: random.Random) -> None:
    """Add, edit, move, copy, delete or touch something; one file always stays."""
    there = sorted(path for path in folder.rglob("*.txt"))
    new = folder / chance.choice(["", "a", "a/b"]) / f"{chance.randrange(6)}.txt"
    kind = chance.choice(["write", "write", "edit", "edit", "move", "delete"]) if len(there) > 1 else "write"
    if kind == "write":
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_text("\n\n".join(part(chance) for _ in range(chance.randint(1, 30))))
        return
    old = chance.choice(there)
    parts = old.read_text().split("\n\n")
    if kind == "edit":
        parts.insert(chance.randint(0, len(parts)), part(chance))
        if chance.random() < 0.5:
            parts.pop(chance.randrange(len(parts)))
        chance.random() < 0.3 and chance.shuffle(parts)
        old.write_text("\n\n".join(parts))
    elif kind == "move":
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
    else:
        old.unlink()


def part(chance: random.Random) -> str:
    words = ["elephant", "river", "howdah", "🐘", "naïve", "carries", "carried", "the", "palace", "monsoon"]
    return " ".join(chance.choices(words, k=chance.randint(1, 7)))
