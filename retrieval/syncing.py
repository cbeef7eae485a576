"""One sync at work. A document's row is written first and so locked; its chunks are then compared under that lock: two
runs wait for each other document by document, readers see the old chunks until the commit, a crash leaves whole documents.

Three things go on at once: workers parse files and a thread cuts and compares their texts (reading.py), another thread
embeds what is missing, and the caller's writes. Each is a batch or two ahead of the next, and no more.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from psycopg.errors import ForeignKeyViolation

from howdah.retrieval import documents, failures, removal
from howdah.retrieval.ahead import ahead
from howdah.retrieval.atoms import TokenSpans
from howdah.retrieval.collection import Collection as Target
from howdah.retrieval.cutting import Cutter, Ready
from howdah.retrieval.embeddings import LocalEmbeddings, embed_with_retry, pace_of_model
from howdah.retrieval.errors import LoadError, NotFound
from howdah.retrieval.estimate import Forecast
from howdah.retrieval.failures import Failure
from howdah.retrieval.known import Known, moved
from howdah.retrieval.loaders import FoundFile, walk
from howdah.retrieval.loaders.apart import Apart
from howdah.retrieval.memory import Freed
from howdah.retrieval.reading import BATCH_CHUNKS, Reader, Step
from howdah.retrieval.replacing import Replacing
from howdah.retrieval.report import Progress, SyncReport, check_prune, places
from howdah.retrieval.sources import (
    DOCUMENTS_ROOT,
    Given,
    Source,
    of_documents,
    of_files,
    of_urls,
    root_names,
    split,
    whole_roots,
)
from howdah.retrieval.store import GONE
from howdah.retrieval.sync_order import Order
from howdah.retrieval.tokens import approximate_spans
from howdah.retrieval.types import Array

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

AHEAD = 2  # batches that wait between two of the three


@dataclass(frozen=True)
class Batch:
    """Steps, and what their missing chunks embed and the vectors of that, in order."""

    steps: list[Step]
    texts: list[str]
    vectors: Array


class Syncing:
    """One sync of one store. The constructor does no I/O."""

    def __init__(self, store: "PGVector", order: Order, stop: threading.Event) -> None:
        self.store, self.order, self.stop = store, order, stop
        spans: TokenSpans = getattr(store.embeddings, "token_spans", approximate_spans)
        self.cutter = Cutter(token_spans=spans, splitter=order.splitter, options=order.options)
        self.failed_by = f"howdah {version('howdah')}; {self.cutter.settings}"
        self.report = SyncReport(collection=store.collection_name, dry_run=order.dry_run)
        self.collection: Target | None = None
        self.known: dict[str, Known] = {}
        self.failed: dict[str, Failure] = {}
        self.failures: list[Failure] = []
        self.fine: set[str] = set()
        self.forecast = Forecast(self.cutter.token_spans)
        self.freed = Freed(every=1_000)
        self.whole: list[str] = []
        self.done = self.total = self.read = self.to_read = 0

    def of(self, given: Given) -> SyncReport:
        began = time.perf_counter()
        self.store.store.forget(self.store.collection_name)  # another process may have made it anew
        self.collection = self.store._found()
        sources = self._sources(given)
        with self._not_dropped():
            self._load(sources)
            self._prune(self.report.pruned)
            self._remember(sources)
        if self.order.dry_run:
            self._estimate()
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

    # -- what there is

    def _sources(self, given: Given) -> list[Source]:
        """All that is given and wanted; what is known of it, where it has been before, and what is to be deleted."""
        order, (paths, urls, docs) = self.order, split(given)
        files = list(
            walk(paths, root=order.root, include=order.include, exclude=order.exclude, gitignore=order.gitignore)
        )
        listed = [*of_urls(urls, root=order.root, web=order.web, options=order.options)]
        listed += of_documents(docs, root=order.root)
        named: list[FoundFile | Source] = [*(item for item in files if isinstance(item, FoundFile)), *listed]
        roots = list(dict.fromkeys([*root_names(paths, order.root), *(item.root for item in named)]))
        self._look_up(roots, [item.source for item in named])
        found = [item for item in (*of_files(files, self.known, order.options), *listed) if order.wants(item.source)]
        for error in (item for item in found if isinstance(item, LoadError)):
            self._fail(error)
        sources = [item for item in found if isinstance(item, Source)]
        for source in order.missing(item.source for item in found):
            self._fail(LoadError(source, "is no longer there", hint="load its folder to forget it", lasting=False))
        self._compare(paths, docs != [], roots, sources)
        return sources

    def _look_up(self, roots: list[str], named: list[str]) -> None:
        if self.collection is None:
            return
        rows = self.store.store.rows(documents.stored(self.collection, roots, named))
        self.known = {row["source"]: Known.of(row) for row in rows}
        rows = self.store.store.rows(failures.stored(self.collection))
        self.failed = {row["source"]: Failure.of(row) for row in rows}

    def _compare(self, paths: list[Path], documents_given: bool, roots: list[str], sources: list[Source]) -> None:
        order = self.order
        self.whole = [] if order.only is not None else whole_roots(paths, order.root)
        if documents_given and not (order.root and paths):
            self.whole.append(order.root or DOCUMENTS_ROOT)
        unread = {error.source for error in self.report.failures}
        readable = {source: known for source, known in self.known.items() if unread.isdisjoint(places(source))}
        self.report.moved = moved(sources, readable, self.whole)
        if order.prune:
            check_prune(
                roots, self.whole, sources, self.report.failures, self.known, self.report,
                moved=set(self.report.moved.values()), prune_all=order.prune_all,
            )  # fmt: skip
        self.total, self.to_read = len(sources), sum(item.size or 0 for item in sources if not self._same_stamp(item))

    def _same_stamp(self, source: Source) -> bool:
        known = self.known.get(source.source)
        return known is not None and known.stamp == (source.size, source.modified_at)

    # -- reading and embedding, in threads of their own

    def _load(self, sources: list[Source]) -> None:
        with Apart(processes=self.order.processes) as apart:
            reader = Reader(
                cutter=self.cutter, apart=apart, known=self.known, failed_by=self.failed_by, stop=self.stop,
                failed={} if self.order.retry or self.order.options.passwords else self.failed,
                moves=self.report.moved, stored=self._stored,
            )  # fmt: skip
            with closing(ahead(self._embedded(reader, sources), room=AHEAD)) as batches:
                for batch in batches:
                    self._take(batch)
                    self.freed.after(len(batch.texts))

    def _stored(self, source: str) -> set[str]:
        found = self.store.store.rows(documents.chunk_ids(self.collection, source)) if self.collection else []
        return {row["id"] for row in found}

    def _embedded(self, reader: Reader, sources: list[Source]) -> Iterator[Batch]:
        local = isinstance(self._model, LocalEmbeddings)
        chunks = BATCH_CHUNKS if local else pace_of_model(self._model).texts_at_once
        with closing(ahead(reader.batches(sources, chunks=chunks), room=AHEAD)) as batches:
            for steps in batches:
                ready = [step.outcome for step in steps if isinstance(step.outcome, Ready)]
                texts = [item.texts[place] for item in ready for place in item.missing]
                yield Batch(steps, texts, self._vectors([] if self.order.dry_run else texts))

    def _vectors(self, texts: list[str]) -> Array:
        """The texts' vectors, from the cache where they are kept; a text that occurs again is embedded once."""
        dimensions = self.collection.dimensions if self.collection else None
        embedded = self.store._cache_of(self.collection).passages(self.store.store, texts, dimensions=dimensions)
        self.report.cached += embedded.found
        return embedded.vectors

    # -- writing

    def _take(self, batch: Batch) -> None:
        if self.collection is None and batch.texts and not self.order.dry_run:
            self.collection = self._made(batch.vectors, batch.texts)
        begin = 0
        for step in batch.steps:
            if self.stop.is_set():
                return
            missing = len(step.outcome.missing) if isinstance(step.outcome, Ready) else 0
            self._settle(step, batch.vectors[begin : begin + missing])
            begin += missing
            self._tell(step.source)
        self._write_failures()

    def _settle(self, step: Step, vectors: Array) -> None:
        """Count the step, and write what is to be written."""
        if isinstance(step.outcome, LoadError):
            self._fail(step.outcome, step.source)
            return
        self.fine.add(step.source.source)
        if step.outcome is None:
            self.report.files.unchanged += 1
            return
        ready = step.outcome
        if not self.order.dry_run:
            mine = {ready.chunks[place].id: vectors[i] for i, place in enumerate(ready.missing)}
            self.report.chunks += self._replacing().put(ready, mine)
        else:
            self.report.expect(ready)
            self.forecast.add([ready.texts[place] for place in ready.missing])
        if ready.before is None and ready.row.source not in self.known:
            self.report.files.added += 1
        else:
            self.report.files.updated += 1

    def _estimate(self) -> None:
        dimensions = self.collection.dimensions if self.collection else getattr(self._model, "dimensions", None)
        rows = self.store.store.count(self.collection) if self.collection else 0
        rows += self.report.chunks.added - self.report.chunks.deleted
        self.report.estimate = self.forecast.of(self._model, self.report.chunks.added, rows=rows, dimensions=dimensions)

    def _replacing(self) -> Replacing:
        assert self.collection is not None
        # In a document's transaction: without the cache, which would want another connection.
        return Replacing(
            self.store.store, self.collection, lambda texts: embed_with_retry(self.store.embeddings, texts)
        )

    @property
    def _model(self) -> Embeddings:
        return self.store._cache_of(self.collection).embeddings

    def _made(self, vectors: Array, texts: list[str]) -> Target:
        """The new collection; its language is that of a hundred texts from all over the first batch."""
        step = max(len(texts) // 100, 1)
        order = sorted(range(len(texts)), key=lambda place: (place % step, place))
        return self.store._made(list(vectors[order]), [texts[place] for place in order])

    def _tell(self, source: Source) -> None:
        self.done += 1
        self.read += 0 if self._same_stamp(source) else source.size or 0
        if self.order.progress is not None:
            self.order.progress(
                Progress(
                    done=self.done, total=self.total, source=source.source, chunks=self.report.chunks.added,
                    read=self.read, to_read=self.to_read,
                )
            )  # fmt: skip

    def _prune(self, sources: list[str]) -> None:
        """Who deleted the file wants it gone: also from traces, chats and the cache."""
        self.report.files.deleted = len(sources)
        if not self.order.dry_run and self.collection is not None:
            self.report.erased += removal.prune(self.store.store, self.collection, sources, self.stop)
            self.report.chunks.deleted += self.report.erased.chunks

    # -- failures, and the times of files

    def _fail(self, error: LoadError, source: Source | None = None) -> None:
        self.report.failures.append(error)
        self.report.files.failed += 1
        self.failures.append(Failure.by(error, source, self.failed_by))

    def _write_failures(self) -> None:
        if self.failures and self.collection is not None and not self.order.dry_run:
            self.store.store.execute(failures.put(self.collection, self.failures))
            self.failures = []

    def _remember(self, sources: list[Source]) -> None:
        """What failed this time, what does so no more, and the times of files that were only touched."""
        if self.collection is None or self.order.dry_run or self.stop.is_set():
            return
        self._write_failures()
        failing = {error.source for error in self.report.failures}
        gone = {source for source in self.failed if source.split("/")[0] in self.whole}
        fine = {place for source in self.fine for place in places(source)} if self.failed else set()
        if mended := (self.failed.keys() & fine) | (gone - failing):
            self.store.store.execute(failures.clear(self.collection, sorted(mended)))
        touched = {
            item.source: (item.size, item.modified_at)
            for item in sources
            if item.source in self.fine and item.source in self.known and not self._same_stamp(item)
        }
        if touched:
            self.store.store.execute(documents.touch(self.collection, touched))
