"""An ingest to be killed; arguments: URL FOLDER. Its COPY goes in small pieces, so that it can be met in the middle."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_text_splitters import CharacterTextSplitter

from howdah import PGVector, sync
from howdah.retrieval import store as store_module
from howdah.retrieval import wire
from howdah.retrieval.maintenance import maintain

PIECES, PAUSE, LEASE = 8, 0.04, 1.5


class Quick(DeterministicFakeEmbedding):
    """Vectors in no time; each text has its own."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [np.random.default_rng([*text.encode()]).standard_normal(self.size).tolist() for text in texts]


def splitter() -> CharacterTextSplitter:
    return CharacterTextSplitter(separator="\n\n", chunk_size=60, chunk_overlap=0)


def slow_blocks(rows: Iterable[bytes]) -> Iterator[bytes]:
    whole = b"".join(wire.copy_blocks(rows))
    size = len(whole) // PIECES + 1
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
        time.sleep(PAUSE)


def main() -> None:
    store_module.copy_blocks = slow_blocks
    store = PGVector(Quick(size=32), connection=sys.argv[1], collection_name="docs")
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    sync(store, [Path(sys.argv[2])], splitter=splitter())
    maintain(store, index="hnsw", lease_seconds=LEASE)
