"""Does memory grow with what is loaded? The peak of a `sync`, this process and its workers summed, at N files and at 10 N.

N files are ../shared/data/files (PDF, Office, archives, mail, hostile ones …), FastAPI's documentation and pages of the
PostgreSQL manual, in as many copies that each worker meets every format; 10 N are ten times as many copies. Each load runs
in a process of its own, into an empty database of an embedded server. The vectors are drawn from the text's hash, for the
model takes the same memory whatever it reads, and would take all of the time. What is summed every 20 ms is the
proportional set size (PSS) of the process that syncs and of its descendants, so that what several of them share counts
once; the server is not among them.

    python benchmarks/ingest_memory.py [--times 10] [--pages 200] [--copies 2] [--rounds 2]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from corpus import DATA, MANUAL
from langchain_core.embeddings import Embeddings
from scratch import scratch_database

from howdah import PGVector, sync
from howdah.retrieval.types import Array

EVERY = 0.02  # seconds
DIMENSIONS = 384


class Drawn(Embeddings):
    """Unit vectors that depend on the text alone, and cost nearly nothing."""

    model = "benchmark:drawn"

    def embed_array(self, texts: Sequence[str]) -> Array:
        drawn = np.empty((len(texts), DIMENSIONS), np.float32)
        for row, text in zip(drawn, texts, strict=True):
            row[:] = np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSIONS, np.float32)
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_array(texts).tolist()  # type: ignore[no-any-return]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class Watch(threading.Thread):
    """Sums the memory of this process and of its descendants until it is told to stop; keeps the most, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.before = self.most = self.main = self.workers = 0

    def run(self) -> None:
        self.before = sum(self._now())
        while not self.over.wait(EVERY):
            main, workers = self._now()
            self.most = max(self.most, main + workers)
            self.main, self.workers = max(self.main, main), max(self.workers, workers)

    def _now(self) -> tuple[int, int]:
        mine = psutil.Process()
        return _memory(mine), sum(map(_memory, mine.children(recursive=True)))


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0  # it has just ended


def load(url: str, folder: Path, name: str) -> dict[str, float]:
    """One load in this process, and what it took."""
    watch = Watch()
    with PGVector(Drawn(), collection_name=name, connection=url, cache=False) as store:
        watch.start()
        report = sync(store, [folder])
        watch.over.set()
        watch.join()
    return {
        "files": sum((report.files.added, report.files.failed)), "chunks": report.chunks.added, "seconds": report.seconds,
        "before": watch.before, "most": watch.most, "main": watch.main, "workers": watch.workers,
    }  # fmt: skip


def apart(url: str, folder: Path, name: str) -> dict[str, float]:
    ran = subprocess.run(
        [sys.executable, __file__, "--load", url, str(folder), name], stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


def gather(into: Path, pages: int) -> Path:
    """The N files, in one folder."""
    once = into / "once"
    for name in ("files", "fastapi"):
        if (DATA / name).exists():
            shutil.copytree(DATA / name, once / name)
        else:
            print(f"../shared/data/{name} is not here and is left out", flush=True)
    (once / "manual").mkdir(parents=True)
    listed = sorted(MANUAL.glob("*.html"))
    for path in listed[:: max(len(listed) // pages, 1)][:pages]:
        shutil.copy(path, once / "manual")
    return once


def row(name: str, found: dict[str, float]) -> str:
    sizes = " | ".join(f"{found[part] / 1e6:,.0f}" for part in ("before", "main", "workers", "most"))
    return f"| {name} | {found['files']:,} | {found['chunks']:,} | {found['seconds']:.0f} | {sizes} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--pages", type=int, default=200, help="of the PostgreSQL manual")
    parser.add_argument("--copies", type=int, default=2, help="of the files, that are N")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        url, folder, name = given.load
        print(json.dumps(load(url, Path(folder), name)))
        return
    print("| load | files | chunks | seconds | before, MB | this process | workers | most at once |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with scratch_database() as url, tempfile.TemporaryDirectory() as temporary:
        once = gather(Path(temporary), given.pages)
        few_files, many = Path(temporary) / "few", Path(temporary) / "many"
        for number in range(given.copies * given.times):
            shutil.copytree(once, (few_files if number < given.copies else many) / f"copy_{number:02}")
        for number in range(given.copies):
            shutil.copytree(once, many / f"copy_{number:02}")
        ratios = []
        for number in range(given.rounds):
            few = apart(url, few_files, f"once_{number}")
            print(row("N files", few), flush=True)
            all_ = apart(url, many, f"many_{number}")
            print(row(f"{given.times} N files", all_), flush=True)
            ratios.append(all_["most"] / few["most"])
        print("peak at the many by peak at the few: " + ", ".join(f"{ratio:.3f}" for ratio in ratios))


if __name__ == "__main__":
    main()
