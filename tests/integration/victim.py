"""An ingest to be killed; arguments: URL FOLDER. It is slow where it is to be met: in pieces of a COPY, between two
statements, and while it parses and embeds, of which a file beside FOLDER tells.
"""

import functools
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_text_splitters import CharacterTextSplitter

from howdah import PGVector, sync
from howdah.retrieval import documents, syncing, wire
from howdah.retrieval import store as store_module
from howdah.retrieval.loaders import job as job_module
from howdah.retrieval.loaders.apart import Apart
from howdah.retrieval.loaders.job import Job
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.types import Extract

PIECES, PAUSE, LEASE = 8, 0.04, 1.5
MARKS = "marks"
"""The folder of the marks lies beside that of the documents: a worker knows it by its file."""


class Quick(DeterministicFakeEmbedding):
    """Vectors in no time; each text has its own."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [np.random.default_rng([*text.encode()]).standard_normal(self.size).tolist() for text in texts]


class Slow(Quick):
    """As `Quick`, and takes a while."""

    marks: Path

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        with marked(self.marks / "embedding"):
            return super().embed_documents(texts)


@contextmanager
def marked(mark: Path) -> Iterator[None]:
    mark.touch()
    time.sleep(0.15)
    yield
    mark.unlink(missing_ok=True)


def parse_slowly(job: Job) -> Extract:
    assert isinstance(job.content, Path)
    with marked(job.content.parent.parent / MARKS / "parsing"):
        return job_module.parse(job)


def splitter() -> CharacterTextSplitter:
    return CharacterTextSplitter(separator="\n\n", chunk_size=60, chunk_overlap=0)


def slow_blocks(rows: Iterable[bytes]) -> Iterator[bytes]:
    whole = b"".join(wire.copy_blocks(rows))
    size = len(whole) // PIECES + 1
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
        time.sleep(PAUSE)


def later(make: Callable[..., object]) -> Callable[..., object]:
    """Made a while later: the transaction is open, and no statement is under way."""

    def made(*args: object) -> object:
        time.sleep(0.1)
        return make(*args)

    return made


def main() -> None:
    store_module.copy_blocks = slow_blocks
    documents.lock_chunks = later(documents.lock_chunks)
    syncing.Apart = functools.partial(Apart, parse="tests.integration.victim:parse_slowly")
    url, folder = sys.argv[1], Path(sys.argv[2])
    model = Slow(size=32, marks=folder.parent / MARKS)
    store = PGVector(model, connection=url, collection_name="docs")
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    sync(store, [folder], splitter=splitter(), prune=True, prune_all=True)
    maintain(store, index="hnsw", lease_seconds=LEASE)
