"""kill -9 of an ingesting process: each document is as before or after, and the next run goes on from there.

The server's process is met in the middle of a statement because a trigger, a slow client or an open transaction holds it
there; pg_stat_activity says which statement that is at the moment of the kill. Readers look on all the time.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from howdah import PGVector, sync
from howdah.retrieval import failures, upkeep
from howdah.retrieval.cutting import chunk_id
from howdah.retrieval.maintenance import MaintenanceReport, maintain
from tests.integration import killing as at
from tests.integration.checks import check_whole, contents, rows
from tests.integration.victim import Quick, splitter

DOCUMENTS, PARTS, COMMON, READERS = 2, 300, 60, 2

SHORT = [at.COPY_CHUNKS, at.COMMIT, at.INDEX, at.RENAME_CHUNKS, at.COPY_PASSAGES]
FULL = [
    at.COPY_CHUNKS, at.COMMIT, at.INDEX, at.COPY_PASSAGES, at.POSTINGS, at.COMMIT, at.RENAME, at.COPY_CHUNKS, at.DELETE,
    at.COMMIT, at.PARSING, at.COPY_PASSAGES, at.RENAME_CHUNKS, at.COMMIT, at.EMBEDDING, at.COPY_CHUNKS, at.PRUNE,
    at.COMMIT, at.MOVE, at.BETWEEN,
    at.COPY_CHUNKS, at.COMMIT, at.INDEX, at.COPY_PASSAGES, at.FAILURES, at.COMMIT, at.RENAME, at.COPY_CHUNKS, at.DELETE,
    at.COMMIT, at.PARSING, at.COPY_PASSAGES, at.RENAME_CHUNKS, at.COMMIT, at.BETWEEN, at.COPY_CHUNKS, at.PRUNE,
    at.COMMIT, at.COPY_PASSAGES, at.COPY_CHUNKS,
]  # fmt: skip
INSIDE = ("COPY", "COMMIT")


def write_version(folder: Path, version: int) -> int:
    """Two documents change, one is renamed, one comes, one goes and one that is broken comes or goes; how many are broken.

    Those that change have more chunks than one statement takes, so that COPY is used, and some the same in every version.
    """
    folder.mkdir(exist_ok=True)
    for old in [*folder.glob("guest-*"), *folder.glob("moved-*"), *folder.glob("broken*")]:
        old.unlink()
    for number in range(DOCUMENTS):
        own = [f"document {number} version {version} part {part} of a journey" for part in range(PARTS + version % 7)]
        common = [f"document {number} part {part} which every version has" for part in range(COMMON)]
        (folder / f"{number}.txt").write_text("\n\n".join(own + common))
    moved = [f"part {part} of what is renamed and stays the same" for part in range(COMMON)]
    (folder / f"moved-{version}.txt").write_text("\n\n".join(moved))
    (folder / f"guest-{version}.txt").write_text(
        f"a guest of version {version} of the corpus, who came late\n\nand who is gone in the next of them"
    )
    if version % 2:
        (folder / "broken.docx").write_bytes(b"PK\x03\x04\x00\x00 no archive at all, \xff\x00 version %d" % version)
    return version % 2


def seen_wrong(store: PGVector) -> list[str]:
    """What is wrong in one statement's snapshot: a document that is half there, twice there, or lost."""
    collection = store.store.get("docs")
    found = rows(
        store.store,
        """
        SELECT d.source, d.text, c.id, p.title, p.section, p.content FROM {chunks} AS c JOIN {passages} AS p USING (n)
        JOIN howdah.documents AS d ON d.id = c.document WHERE d.collection = {id} ORDER BY d.source, p.ordinal
        """,
        collection,
    )
    texts = {row["source"]: row["text"] for row in found}
    pieces: dict[str, list[str]] = {source: [] for source in texts}
    for row in found:
        pieces[row["source"]].append(row["content"])
    wrong = [
        f"half: {source}" for source, text in texts.items() if sorted(pieces[source]) != sorted(text.split("\n\n"))
    ]
    seen: dict[str, int] = {}
    wrong += [
        f"not its id: {row['id']} of {row['source']}"
        for row in found
        if row["id"] != chunk_id([row["source"], row["title"], row["section"], row["content"]], seen)
    ]
    kinds = Counter(source.removeprefix("corpus/").partition("-")[0] for source in texts)
    stay = {"moved": 1, **{f"{number}.txt": 1 for number in range(DOCUMENTS)}}
    return wrong + [f"{kinds[kind]} of {kind}" for kind, count in stay.items() if kinds[kind] != count]


def read(url: str, done: threading.Event, wrong: list[str], looks: Counter[str]) -> None:
    with PGVector(Quick(size=32), connection=url, collection_name="docs") as store:
        while not done.is_set():
            for kind in ("hybrid", "similarity"):
                hits = store.hits("part 7 of what is renamed and stays the same", k=20, search_type=kind)
                wrong.extend(
                    f"{kind}: {hit.content!r} is in {hit.source} and {hit.also_in}" for hit in hits if hit.also_in
                )
                looks[kind] += len(hits) > 0
            wrong.extend(seen_wrong(store))
            looks["whole"] += 1
            time.sleep(0.05)


@contextmanager
def readers(url: str) -> Iterator[Counter[str]]:
    """Searches and looks at everything, in threads; what was wrong, or raised, fails the test at the end."""
    done, wrong, looks = threading.Event(), list[str](), Counter[str]()

    def work() -> None:
        try:
            read(url, done, wrong, looks)
        except Exception as exc:  # told at the end
            wrong.append(f"a reader got {exc!r}")

    threads = [threading.Thread(target=work) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield looks
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    with PGVector(Quick(size=32), connection=url, collection_name="docs") as store:
        yield store
        store.database.close()


@pytest.mark.drill
@pytest.mark.timeout(1_800)
def test_a_kill_leaves_every_document_as_before_or_after(
    store: PGVector, url: str, tmp_path: Path, full_drill: bool
) -> None:
    folder, chance, caught, mended = tmp_path / "corpus", random.Random(5), Counter[str](), Counter[str]()
    write_version(folder, 0)
    sync(store, [folder], splitter=splitter())
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(at.SLOW)
    with readers(url) as looks:
        for version, moment in enumerate(FULL if full_drill else SHORT, start=1):
            doing, index = one_kill(store, url, folder, moment, version=version, delay=chance.uniform(0, 0.12))
            caught[doing[:28]] += 1
            mended[index] += 1
    print(f"looks: {dict(looks)}, killed in: {caught}")
    inside = sum(count for doing, count in caught.items() if doing.startswith(INSIDE))
    assert inside >= (20 if full_drill else 2), caught
    assert mended["rebuilt"] >= 1, mended
    assert all(looks[kind] > 5 for kind in ("hybrid", "similarity", "whole")), looks


def one_kill(store: PGVector, url: str, folder: Path, moment: str, *, version: int, delay: float) -> tuple[str, str]:
    """Kill a sync of the version, and have another finish it; what it was doing, and what became of the index."""
    failed_before = failing(store)
    broken = write_version(folder, version)
    if moment == at.FAILURES:
        assert broken
    before = contents(store.store, "docs")
    if moment == at.INDEX:
        maintain(store, index="none")
    doing = at.kill_at(url, folder, moment, delay, noticed=version % 20 == 3)
    between, failed_between = contents(store.store, "docs"), failing(store)
    check_whole(store.store, "docs")
    upkept = go_on(store, folder, broken)
    after = contents(store.store, "docs")
    assert all(between.get(s) in (before.get(s), after.get(s)) for s in {*before, *between, *after})
    assert failed_between in (failed_before, failing(store))
    assert {source: [row[7] for row in found] for source, found in after.items()} == wanted(folder)
    done = sum(between.get(source) == found for source, found in after.items())
    print(f"killed in: {doing[:60]!r:64} documents as after: {done} of {len(after)}, index: {upkept.index}")
    return doing, upkept.index


def wanted(folder: Path) -> dict[str, list[str]]:
    return {f"corpus/{path.name}": path.read_text().split("\n\n") for path in folder.glob("*.txt")}


def failing(store: PGVector) -> list[str]:
    return [row["source"] for row in store.store.rows(failures.stored(store.store.get("docs")))]


def go_on(store: PGVector, folder: Path, broken: int) -> MaintenanceReport:
    """What the next run does: it completes, waits for a dead holder's lease to end, and mends the index."""
    report = sync(store, [folder], splitter=splitter(), prune=True, prune_all=True)
    assert report.files.failed == broken
    deadline = time.monotonic() + 30
    while (upkept := maintain(store, index="hnsw")).held_by is not None:
        assert time.monotonic() < deadline, "a dead holder lets go when its lease ends"
        time.sleep(0.1)
    assert [row["valid"] for row in store.store.rows(upkeep.indexes(store.store.get("docs")))] == [True]
    check_whole(store.store, "docs")
    files = sync(store, [folder], splitter=splitter(), prune=True, prune_all=True).files
    assert (files.added, files.updated, files.deleted, files.failed) == (0, 0, 0, broken)
    assert files.unchanged == len(wanted(folder))
    assert failing(store) == ["corpus/broken.docx"] * broken
    return upkept
