"""Bring a collection in line with files or Documents: only what changed is embedded, each document in one transaction.

A document's row is written first and so locked; its chunks are then compared under that lock. Two runs at once wait for
each other document by document, readers see the old chunks until the commit, and a crash leaves whole documents.
Chunks are known by their text: a chunk whose header, text and metadata stayed the same keeps its row and vector.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from psycopg.errors import ForeignKeyViolation

from howdah.retrieval import cutting, documents
from howdah.retrieval.atoms import TokenSpans
from howdah.retrieval.collection import Collection
from howdah.retrieval.cutting import Cutter, Ready
from howdah.retrieval.embeddings import embed_with_retry
from howdah.retrieval.errors import LoadError, NotFound
from howdah.retrieval.replacing import Replacing
from howdah.retrieval.report import Known, Progress, SyncReport, check_prune
from howdah.retrieval.sources import (
    DOCUMENTS_ROOT,
    Given,
    Source,
    of_documents,
    of_paths,
    root_names,
    split,
    whole_roots,
)
from howdah.retrieval.store import GONE
from howdah.retrieval.tokens import approximate_spans
from howdah.retrieval.types import Array

if TYPE_CHECKING:
    from langchain_text_splitters import TextSplitter

    from howdah.retrieval.vectorstore import PGVector

BATCH_CHUNKS, BATCH_DOCUMENTS = 128, 64


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
            missing, empty or unreadable, or of which single files are given; more than 20 % of a root is an error unless
            `prune_all`.
        root: the name of the ingest target; default the folder's name.
        include, exclude: globs (see loaders.walk). What they leave out is not there, for `prune` too.
        dry_run: report what would be done, and write nothing.
        progress: called after every source.

    A source that cannot be read is in the report's `failures`; what was loaded of it before stays, and the rest is loaded.
    Statistics, vacuum and index are `maintenance.maintain`'s, which a load of any size should be followed by.
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
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains about it later
        raise


class _Run:
    """One sync of one store. The constructor does no I/O."""

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
        self.collection: Collection | None = None

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
        paths, docs = split(given)
        self.store.store.forget(self.store.collection_name)  # another process may have made it anew
        self.collection = self.store._found()
        sources = [*of_paths(paths, root=root, include=include, exclude=exclude), *of_documents(docs, root=root)]
        found = [item for item in sources if isinstance(item, Source)]
        self._failed([item for item in sources if isinstance(item, LoadError)])
        roots = list(dict.fromkeys([*root_names(paths, root), *(item.root for item in found)]))
        known = self._known(roots, found)
        if prune:
            whole = [*whole_roots(paths, root), *([root or DOCUMENTS_ROOT] if docs and not (root and paths) else [])]
            check_prune(roots, whole, found, self.report.failures, known, self.report, prune_all=prune_all)
        with self._not_dropped():
            for batch in self._batches(found, known):
                self._write(batch)
            if prune:
                self._prune(self.report.pruned)
        self.report.language = self.collection.spec.language if self.collection else None
        self.report.seconds = time.perf_counter() - began
        return self.report

    @contextmanager
    def _not_dropped(self) -> Iterator[None]:
        try:
            yield
        except (ForeignKeyViolation, *GONE) as exc:
            name = self.store.collection_name
            self.store.store.forget(name)
            now = self.store._found()  # CollectionMismatch where its model is another one now than the store has
            what = "dropped" if now is None else "made anew, or given another embedding model,"
            raise NotFound(f"collection {name!r} was {what} while it was being written", hint="run it again") from exc

    def _failed(self, errors: Iterable[LoadError]) -> None:
        for error in errors:
            self.report.failures.append(error)
            self.report.files.failed += 1

    def _known(self, roots: list[str], found: list[Source]) -> dict[str, Known]:
        if self.collection is None:
            return {}
        query = documents.stored(self.collection, roots, [item.source for item in found])
        return {
            row["source"]: Known(bytes(row["content_hash"]), row["made_by"], row["root"])
            for row in self.store.store.rows(query)
        }

    # -- reading

    def _batches(self, found: list[Source], known: dict[str, Known]) -> Iterator[list[Ready]]:
        """Sources that are new or changed, read and cut, some 128 missing chunks together: one embedding call each."""
        batch: list[Ready] = []
        for done, source in enumerate(found, start=1):
            if self.stop.is_set():
                return
            ready = self._ready(source, known.get(source.source))
            if ready is not None:
                batch.append(ready)
            if len(batch) >= BATCH_DOCUMENTS or sum(len(item.missing) for item in batch) >= BATCH_CHUNKS:
                yield batch
                batch = []
            self.progress(Progress(done=done, total=len(found), source=source.source))
        if batch:
            yield batch

    def _ready(self, source: Source, known: Known | None) -> Ready | None:
        if known == Known(source.content_hash, self.cutter.made_by, source.root):
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
                self.report.chunks.deleted += len(self._there(ready.row.source) - {item.id for item in ready.chunks})
            return
        texts = [ready.texts[place] for ready in batch for place in ready.missing]
        vectors = self._embedded(texts)
        if self.collection is None:
            self.collection = self._made(vectors, texts)
        replacing = Replacing(self.store.store, self.collection, self._late)
        begin = 0
        for ready in batch:
            mine = {ready.chunks[place].id: vectors[begin + i] for i, place in enumerate(ready.missing)}
            begin += len(ready.missing)
            if self.stop.is_set():
                return
            self.report.chunks += replacing.put(ready, mine)

    def _embedded(self, texts: list[str]) -> Array:
        """The texts' vectors, from the cache where they are kept; a text that occurs again is embedded once."""
        dimensions = self.collection.dimensions if self.collection else None
        embedded = self.store._cache_of(self.collection).passages(self.store.store, texts, dimensions=dimensions)
        self.report.cached += embedded.found
        return embedded.vectors

    def _late(self, texts: list[str]) -> Array:
        """As `_embedded`, inside a document's transaction: without the cache, which would want a second connection."""
        return embed_with_retry(self.store._cache_of(self.collection).embeddings, texts)

    def _made(self, vectors: Array, texts: list[str]) -> Collection:
        """The new collection; its language is that of a hundred texts from all over the first batch."""
        step = max(len(texts) // 100, 1)
        order = sorted(range(len(texts)), key=lambda place: (place % step, place))
        return self.store._made(list(vectors[order]), [texts[place] for place in order])

    def _prune(self, sources: list[str]) -> None:
        self.report.files.deleted = len(sources)
        if self.dry_run or self.collection is None:
            return
        replacing = Replacing(self.store.store, self.collection, self._late)
        for source in sources:
            if self.stop.is_set():
                return
            self.report.chunks.deleted += replacing.remove(source)
