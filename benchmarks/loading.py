"""The corpus in a PGVector, and which metadata the benchmarks give its rows."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from corpus import Chunk

from howdah import PGVector
from howdah.retrieval.types import Array

STEP = 5_000


def load(
    store: PGVector, listed: Sequence[Chunk], vectors: Array, *, start: int = 0,
    metadata: Sequence[dict[str, Any]] | None = None,
) -> None:  # fmt: skip
    """Add the chunks from number `start` on; a row's id is its chunk's number."""
    for low in range(start, len(listed), STEP):
        part = range(low, min(low + STEP, len(listed)))
        about = [metadata[number] if metadata else {"corpus": listed[number].corpus} for number in part]
        texts = [listed[number].text for number in part]
        store.add_embeddings(texts, vectors[part.start : part.stop], about, [str(number) for number in part])
        print(f"\r  loaded {part.stop:,} of {len(listed):,}", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)


def no_vectors(rows: int) -> Array:
    """Two numbers a row, for searches that read no vector."""
    return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (rows, 1))
