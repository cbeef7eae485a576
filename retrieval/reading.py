"""Sources read, cut and compared with what is stored, ahead of their embedding."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from howdah.retrieval import cutting
from howdah.retrieval.cutting import Cutter, Ready
from howdah.retrieval.errors import LoadError
from howdah.retrieval.failures import Failure
from howdah.retrieval.known import Known
from howdah.retrieval.loaders.apart import Apart
from howdah.retrieval.loaders.job import Job
from howdah.retrieval.sources import Source
from howdah.retrieval.types import Extract

BATCH_CHUNKS, BATCH_DOCUMENTS = 128, 64


@dataclass(frozen=True)
class Step:
    """A source and what comes of it: a document to be written, why there is none, or None where it is unchanged."""

    source: Source
    outcome: Ready | LoadError | None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads what is new or changed. `stored` gives the ids of a source's chunks; `moves` are new sources' old ones.

    `failed` are sources that are not tried again while they are the same and `failed_by` would fail them.
    """

    cutter: Cutter
    apart: Apart
    known: Mapping[str, Known]
    failed: Mapping[str, Failure]
    failed_by: str
    moves: Mapping[str, str]
    stored: Callable[[str], Collection[str]]
    stop: threading.Event

    def batches(self, sources: Iterable[Source], *, chunks: int = BATCH_CHUNKS) -> Iterator[list[Step]]:
        """The steps, some `chunks` missing chunks together: what is worth a call of the embedding model."""
        batch: list[Step] = []
        missing = 0
        for step in self.steps(sources):
            batch.append(step)
            missing += len(step.outcome.missing) if isinstance(step.outcome, Ready) else 0
            if missing >= chunks or len(batch) >= BATCH_DOCUMENTS:
                yield batch
                batch, missing = [], 0
        if batch:
            yield batch

    def steps(self, sources: Iterable[Source]) -> Iterator[Step]:
        settled: deque[Step] = deque()
        reading: dict[str, Source] = {}
        for job, found in self.apart.extracts(self._jobs(sources, settled, reading)):
            yield from _drained(settled)
            yield self._step(reading.pop(job.source), found)
        yield from _drained(settled)

    def _jobs(self, sources: Iterable[Source], settled: deque[Step], reading: dict[str, Source]) -> Iterator[Job]:
        """What workers have to read; what needs no worker is `settled`."""
        for source in sources:
            if self.stop.is_set():
                return
            try:
                if self._unchanged(source):
                    settled.append(Step(source, None))
                elif failure := self._failed_before(source):
                    settled.append(Step(source, LoadError(source.source, failure.error, hint=failure.hint)))
                elif source.job is not None:
                    job = source.job()
                    reading[job.source] = source
                    yield job
                elif source.text is not None:
                    settled.append(self._step(source, source.text()))
            except LoadError as error:
                settled.append(Step(source, error))

    def _unchanged(self, source: Source) -> bool:
        known = self.known.get(source.source)
        return (
            known is not None
            and known.root == source.root
            and self.cutter.current(known.made_by)
            and known.content_hash == source.content_hash
        )

    def _failed_before(self, source: Source) -> Failure | None:
        failure = self.failed.get(source.source)
        same = failure is not None and (failure.content_hash, failure.made_by) == (source.content_hash, self.failed_by)
        return failure if same else None

    def _step(self, source: Source, found: Extract | LoadError) -> Step:
        if isinstance(found, LoadError):
            return Step(source, found)
        try:
            row, chunks = self.cutter.cut(source, found)
        except LoadError as error:
            return Step(source, error)
        before = self.moves.get(source.source)
        stored = self.stored(before or source.source) if before or source.source in self.known else ()
        return Step(source, cutting.ready(row, chunks, stored, before=before))


def _drained(settled: deque[Step]) -> Iterator[Step]:
    while settled:
        yield settled.popleft()
