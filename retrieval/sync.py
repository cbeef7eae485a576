"""Bring a collection in line with files or Documents: only what changed is embedded, each document in one transaction.

A document's row is written first and so locked; its chunks are then compared under that lock. Two runs at once wait for
each other document by document, readers see the old chunks until the commit, and a crash leaves whole documents.
Chunks are known by their text: a chunk whose header, text and metadata stayed the same keeps its row and vector.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from howdah.retrieval import cutting, documents, values, writes
from howdah.retrieval.atoms import TokenSpans
from howdah.retrieval.collection import Collection
from howdah.retrieval.cutting import Cutter, Ready
from howdah.retrieval.database import Conn
from howdah.retrieval.embeddings import embed_with_retry
from howdah.retrieval.errors import LoadError
from howdah.retrieval.report import Known, Progress, SyncReport, check_prune
from howdah.retrieval.sources import Given, Source, of_documents, of_paths, root_names, split
from howdah.retrieval.tokens import approximate_spans
from howdah.retrieval.types import Array

if TYPE_CHECKING:
    from langchain_text_splitters import TextSplitter

    from howdah.retrieval.vectorstore import PGVector

BATCH_CHUNKS = 128


def sync(
    store: "PGVector",
    paths_or_documents: Given,
    *,
    splitter: "TextSplitter | None" = None,
    prune: bool = False,
    prune_all: bool = False,
    root: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Load files, folders or LangChain Documents into the store's collection; unchanged ones are left alone.

    Args:
        splitter: any LangChain text splitter; else chunks follow headings, pages and sentences.
        prune: also delete documents of the given roots that are no longer there. Nothing is deleted of a root that is
            missing, empty or unreadable; more than 20 % of a root is an error unless `prune_all`.
        root: the name of the ingest target; default the folder's name.
        include, exclude: globs (see loaders.walk).
        dry_run: report what would be done, and write nothing.
        progress: called after every source.

    A source that cannot be read is in the report's `failures`, and the rest is loaded.
    """
    return _Run(store, splitter, dry_run, progress, threading.Event()).of(
        paths_or_documents, root=root, include=tuple(include), exclude=tuple(exclude), prune=prune, prune_all=prune_all
    )


async def sync_async(
    store: "PGVector",
    paths_or_documents: Given,
    *,
    splitter: "TextSplitter | None" = None,
    prune: bool = False,
    prune_all: bool = False,
    root: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """As `sync`, in a thread of its own: reading and cutting files keep a processor busy, and the loop goes on.

    Cancelling it stops after the document being written.
    """
    stop = threading.Event()
    run = _Run(store, splitter, dry_run, progress, stop)
    work = asyncio.to_thread(
        run.of,
        paths_or_documents,
        root=root,
        include=tuple(include),
        exclude=tuple(exclude),
        prune=prune,
        prune_all=prune_all,
    )
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([task])
        raise


class _Run:
    """One sync of one store."""

    def __init__(
        self,
        store: "PGVector",
        splitter: "TextSplitter | None",
        dry_run: bool,
        progress: Callable[[Progress], None] | None,
        stop: threading.Event,
    ) -> None:
        self.store, self.dry_run, self.stop = store, dry_run, stop
        spans: TokenSpans = getattr(store.embeddings, "token_spans", approximate_spans)
        self.cutter = Cutter(token_spans=spans, splitter=splitter)
        self.progress = progress or (lambda _: None)
        self.report = SyncReport(collection=store.collection_name, dry_run=dry_run)
        self.collection: Collection | None = store._found()

    def of(
        self,
        given: Given,
        *,
        root: str | None,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        prune: bool,
        prune_all: bool,
    ) -> SyncReport:
        began = time.perf_counter()
        self.collection = self.store._found()
        paths, docs = split(given)
        sources = [*of_paths(paths, root=root, include=include, exclude=exclude), *of_documents(docs, root=root)]
        found = [item for item in sources if isinstance(item, Source)]
        self._failed([item for item in sources if isinstance(item, LoadError)])
        roots = list(dict.fromkeys([*root_names(paths, root), *(item.root for item in found)]))
        known = self._known(roots)
        if prune:
            check_prune(roots, found, known, sources, self.report, prune_all=prune_all)
        for batch in self._batches(found, known):
            self._write(batch)
        if prune:
            self._prune(self.report.pruned)
        self.report.seconds = time.perf_counter() - began
        return self.report

    def _failed(self, errors: Iterable[LoadError]) -> None:
        for error in errors:
            self.report.failures.append(error)
            self.report.files.failed += 1

    def _known(self, roots: list[str]) -> dict[str, "Known"]:
        if self.collection is None:
            return {}
        rows = self.store.store.rows(documents.stored(self.collection, roots))
        return {row["source"]: Known(bytes(row["content_hash"]), row["made_by"], row["root"]) for row in rows}

    # -- reading

    def _batches(self, found: list[Source], known: dict[str, "Known"]) -> Iterator[list[Ready]]:
        """Sources that are new or changed, read and cut, some 128 missing chunks together: one embedding call each."""
        batch: list[Ready] = []
        for done, source in enumerate(found, start=1):
            if self.stop.is_set():
                return
            ready = self._ready(source, known.get(source.source))
            if ready is not None:
                batch.append(ready)
            if sum(len(item.missing) for item in batch) >= BATCH_CHUNKS:
                yield batch
                batch = []
            self.progress(Progress(done=done, total=len(found), source=source.source))
        if batch:
            yield batch

    def _ready(self, source: Source, known: Known | None) -> Ready | None:
        if known is not None and (known.content_hash, known.made_by) == (source.content_hash, self.cutter.made_by):
            self.report.files.unchanged += 1
            return None
        try:
            row, chunks = self.cutter.read(source)
        except LoadError as error:
            self._failed([error])
            return None
        if known is None:
            self.report.files.added += 1
        else:
            self.report.files.updated += 1
        return cutting.ready(row, chunks, self._there(source.source))

    def _there(self, source: str) -> set[str]:
        if self.collection is None:
            return set()
        return {row["id"] for row in self.store.store.rows(documents.chunk_ids(self.collection, source))}

    # -- writing

    def _write(self, batch: list[Ready]) -> None:
        """Embed what the batch lacks in one call, then write document by document."""
        if self.dry_run:
            for ready in batch:
                self.report.chunks.added += len(ready.missing)
                self.report.chunks.reused += len(ready.chunks) - len(ready.missing)
            return
        vectors = self._embedded([ready.texts[place] for ready in batch for place in ready.missing])
        self._ensure_collection(batch, vectors)
        begin = 0
        for ready in batch:
            mine = {ready.chunks[place].id: vectors[begin + i] for i, place in enumerate(ready.missing)}
            begin += len(ready.missing)
            if self.stop.is_set():
                return
            self._write_document(ready, mine)

    def _embedded(self, texts: list[str]) -> Array:
        return embed_with_retry(self.store.embeddings, texts)

    def _ensure_collection(self, batch: list[Ready], vectors: Array) -> None:
        if self.collection is None:
            samples = [ready.row.text[:2_000] for ready in batch if ready.row.text]
            self.collection = self.store._made(list(vectors), samples)
            self.report.language = self.collection.spec.language

    def _write_document(self, ready: Ready, vectors: dict[str, Array]) -> None:
        collection = self.collection
        assert collection is not None
        store = self.store.store
        store.prepare_schema()
        with store.database.connection() as conn, conn.transaction():
            cursor = conn.execute(*documents.put(collection, ready.row))
            found = cursor.fetchone()
            assert found is not None
            there = {row[0] for row in conn.execute(*documents.chunk_ids(collection, ready.row.source))}
            added = [place for place, item in enumerate(ready.chunks) if item.id not in there]
            gone = there - {item.id for item in ready.chunks}
            if gone:
                store.delete(collection, writes.where_ids(sorted(gone)), conn=conn)
            kept = [item for item in ready.chunks if item.id in there]
            if kept:
                conn.execute(*documents.move(collection, kept))
            if added:
                self._add(conn, ready, added, vectors, document=found[0])
        self.report.chunks.added += len(added)
        self.report.chunks.deleted += len(gone)
        self.report.chunks.reused += len(kept)

    def _add(self, conn: Conn, ready: Ready, places: list[int], vectors: dict[str, Array], *, document: int) -> None:
        """Write the chunks that are not there; another run may have deleted some since they were compared: embed these."""
        assert self.collection is not None
        unknown = [place for place in places if ready.chunks[place].id not in vectors]
        if unknown:
            late = self._embedded([ready.texts[place] for place in unknown])
            vectors = {**vectors, **{ready.chunks[place].id: late[i] for i, place in enumerate(unknown)}}
        array = values.embeddings(
            [vectors[ready.chunks[place].id] for place in places],
            count=len(places),
            dimensions=self.collection.spec.dimensions,
            collection=self.collection.name,
        )
        batch = writes.Batch(
            [ready.chunks[place] for place in places],
            [ready.metadata[place] for place in places],
            array,
            False,
            document,
        )
        self.store.store.add(self.collection, batch, conn=conn)

    def _prune(self, sources: list[str]) -> None:
        self.report.files.deleted = len(sources)
        collection = self.collection
        if self.dry_run or collection is None:
            return
        store = self.store.store
        for source in sources:
            if self.stop.is_set():
                return
            with store.database.connection() as conn, conn.transaction():
                ids = [row[0] for row in conn.execute(*documents.remove(collection, [source]))]
                self.report.chunks.deleted += store.delete(collection, writes.where_documents(ids), conn=conn)
