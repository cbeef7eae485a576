"""What a sync would cost, said before it is done."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from langchain_core.embeddings import Embeddings

from howdah.retrieval.atoms import TokenSpans
from howdah.retrieval.collection import Storage
from howdah.retrieval.embeddings import LocalEmbeddings, identity
from howdah.retrieval.prices import price

SAMPLE = 32
"""Texts that are embedded to see how fast this machine is."""
PAGE, M = 8_156, 16
"""Bytes of a page of PostgreSQL that rows can take, and HNSW's m."""
ROW, ELEMENT = 130, 60
"""Bytes of a chunk's row and of an index element beside the vector: headers, id, numbers, and what metadata usually is."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Bytes of the table of vectors and of its HNSW index; None where it has too many dimensions for one."""

    table: int
    index: int | None


@dataclass
class Estimate:
    """`tokens` to be embedded, by the model's tokenizer where it is at hand; `seconds` None and `price` (US$) None where
    they are not known. `sizes` are those of the whole collection afterwards, by kind of storage.
    """

    tokens: int = 0
    seconds: float | None = None
    price: float | None = None
    sizes: Mapping[str, Size] = field(default_factory=dict)


class Forecast:
    """Adds up what is to be embedded, and keeps some of the texts."""

    def __init__(self, token_spans: TokenSpans) -> None:
        self.token_spans = token_spans
        self.tokens = 0
        self.sample: list[str] = []

    def add(self, texts: list[str]) -> None:
        self.tokens += sum(len(self.token_spans(text)) for text in texts)
        if len(self.sample) < SAMPLE * SAMPLE:
            self.sample += texts[:SAMPLE]

    def of(self, model: Embeddings, chunks: int, *, rows: int, dimensions: object) -> Estimate:
        """For so many chunks to be embedded, in a collection of `rows` chunks afterwards."""
        return Estimate(
            tokens=self.tokens,
            seconds=seconds(model, self.sample, of=chunks),
            price=price(identity(model).name, self.tokens),
            sizes=sizes(rows, dimensions) if isinstance(dimensions, int) else {},
        )


def seconds(model: Embeddings, texts: Sequence[str], *, of: int) -> float | None:
    """How long the local model takes for `of` texts like these; None for others, whose calls may cost money."""
    if not isinstance(model, LocalEmbeddings) or not texts:
        return None
    model.embed_array(texts[:1])  # the first one loads the model
    sample = texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]
    began = time.perf_counter()
    model.embed_array(sample)
    return (time.perf_counter() - began) / len(sample) * of


def sizes(rows: int, dimensions: int) -> dict[str, Size]:
    """Of halfvec and vector with HNSW, and of halfvec with HNSW over bits: whole pages of rows, and of index elements with
    2 m neighbours of 6 bytes at the bottom level. The passages' text and words come to it.
    """
    found = {}
    for name, stored, indexed in (
        ("halfvec", Storage.HALFVEC.row_bytes(dimensions), Storage.HALFVEC.row_bytes(dimensions)),
        ("vector", Storage.VECTOR.row_bytes(dimensions), Storage.VECTOR.row_bytes(dimensions)),
        ("bits", Storage.HALFVEC.row_bytes(dimensions), 8 + -(-dimensions // 8)),
    ):
        element = indexed + ELEMENT + 6 * 2 * M
        found[name] = Size(table=_bytes(rows, stored + ROW), index=_bytes(rows, element) if element <= PAGE else None)
    return found


def _bytes(rows: int, size: int) -> int:
    """Of the pages that so many rows of this size take; what is larger than a page goes into pages of its own."""
    each = PAGE // size
    return 8_192 * (-(-rows // each) if each else rows * -(-size // PAGE))
