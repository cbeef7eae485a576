"""Rows on their way into the tables, and their form in a COPY."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from howdah.retrieval import wire
from howdah.retrieval.collection import Collection
from howdah.retrieval.types import Array, Chunk


@dataclass(frozen=True)
class Batch:
    """Rows ready to be written: one of each for every chunk. `fresh` says that no row can have these ids yet."""

    chunks: Sequence[Chunk]
    metadata: Sequence[str]
    embeddings: Array
    fresh: bool
    document: int | None = None

    def __len__(self) -> int:
        return len(self.chunks)


def unique(batch: Batch) -> Batch:
    """The batch with the last of each repeated id, in id order, so that concurrent upserts lock in one order."""
    last = {chunk.id: place for place, chunk in enumerate(batch.chunks)}
    places = [last[chunk_id] for chunk_id in sorted(last)]
    if places == list(range(len(batch))):
        return batch
    return Batch(
        [batch.chunks[place] for place in places],
        [batch.metadata[place] for place in places],
        batch.embeddings[places],
        batch.fresh,
        batch.document,
    )


def staged_chunk_rows(collection: Collection, batch: Batch) -> Iterator[bytes]:
    encoded = wire.encode(batch.embeddings, collection.spec.storage)
    for chunk, metadata, embedding in zip(batch.chunks, batch.metadata, encoded, strict=True):
        yield wire.row(wire.text(chunk.id), wire.text(metadata), wire.field(embedding))


def staged_passage_rows(batch: Batch) -> Iterator[bytes]:
    for c in batch.chunks:
        yield wire.row(
            wire.text(c.id), wire.text(c.content), wire.text(c.title), wire.text(c.section), wire.int4(c.page),
            wire.int4(c.ordinal), wire.int4(c.start), wire.int4(c.end),
        )  # fmt: skip


def chunk_rows(collection: Collection, batch: Batch, numbers: Sequence[int]) -> Iterator[bytes]:
    encoded = wire.encode(batch.embeddings, collection.spec.storage)
    tenant, document = wire.text(collection.tenant), wire.int8(batch.document)
    for n, chunk, metadata, embedding in zip(numbers, batch.chunks, batch.metadata, encoded, strict=True):
        yield wire.row(wire.int8(n), document, tenant, wire.text(chunk.id), wire.field(embedding), wire.jsonb(metadata))


def passage_rows(collection: Collection, batch: Batch, numbers: Sequence[int]) -> Iterator[bytes]:
    tenant = wire.text(collection.tenant)
    for n, c in zip(numbers, batch.chunks, strict=True):
        yield wire.row(
            wire.int8(n), wire.int4(c.ordinal), wire.int4(c.page), wire.int4(c.start), wire.int4(c.end), tenant,
            wire.text(c.title), wire.text(c.section), wire.text(c.content),
        )  # fmt: skip
