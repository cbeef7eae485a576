"""How much of a load is embedding: `sync` from files to PostgreSQL, beside embedding the same chunks alone.

FastAPI's documentation (Markdown) and pages of the PostgreSQL manual (HTML) are loaded into an empty database on an
embedded server, without the cache of embeddings. The texts of each call of the model are kept, and the model is given the
same calls once more with nothing around them. Both are timed in one run, in turn, and each is first in half of the
rounds; the first load of a process also loads the model, so that one is not counted.

The ratio is the time of the embedding alone by that of the load. What keeps it below 1 is either a model that waits
("asked": the share of the load that it is at work), or work that takes cores from it: reading, cutting, writing and the
server run beside it. So the CPU seconds of each are shown, and the ratio that they allow where every core is busy.

    python benchmarks/ingest_speed.py [--rounds 4] [--pages 300] [--data ../shared/data/fastapi]
"""

import argparse
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from corpus import DATA, MANUAL
from scratch import scratch_database

from howdah import PGVector, sync
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.types import Array

TICKS = os.sysconf("SC_CLK_TCK")


class Watched(LocalEmbeddings):
    """The local model; keeps what it was given, and how long it was at work."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []
        self.seconds = 0.0

    def embed_array(self, texts: Sequence[str]) -> Array:
        began = time.perf_counter()
        vectors = super().embed_array(texts)
        self.seconds += time.perf_counter() - began
        self.calls.append(list(texts))
        return vectors


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds by the clock, and CPU seconds: of this process, of the workers that parse, of the server."""

    clock: float
    process: float
    workers: float
    server: float


@dataclass
class Rounds:
    chunks: int = 0
    load: list[Cost] = field(default_factory=list)
    alone: list[Cost] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        ratios = [alone.clock / load.clock for alone, load in zip(self.alone, self.load, strict=True)]
        load, alone = (_median([cost.clock for cost in costs]) for costs in (self.load, self.alone))
        model = _median([cost.process for cost in self.alone])
        parts = [_median([getattr(cost, part) for cost in self.load]) for part in ("process", "workers", "server")]
        share = model / max(sum(parts), model)
        cpu = " | ".join(f"{part:.1f}" for part in (model, parts[0] - model, *parts[1:]))
        spread = f"{min(ratios):.2f}–{max(ratios):.2f}"
        return (
            f"| {name} | {self.chunks:,} | {self.chunks / load:.1f} | {self.chunks / alone:.1f} "
            f"| {_median(ratios):.3f} ({spread}) | {_median(self.asked):.2f} | {cpu} | {share:.2f} |"
        )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


class Server:
    """A scratch server, and the CPU seconds of all its processes, those that have ended included."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as conn:
            found = conn.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int").fetchone()
        assert found is not None
        self.pid: int = found[0]

    def cpu(self) -> float:
        """Ticks of the postmaster, of its children, and of those that it has waited for."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            if int(stat.parent.name) == self.pid:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == self.pid:
                ticks += sum(map(int, fields[11:13]))
        return ticks / TICKS

    @contextmanager
    def costs(self, into: list[Cost]) -> Iterator[None]:
        began, cpu = time.perf_counter(), (_used(resource.RUSAGE_SELF), _used(resource.RUSAGE_CHILDREN), self.cpu())
        yield
        clock = time.perf_counter() - began
        process = _used(resource.RUSAGE_SELF) - cpu[0]
        workers = _used(resource.RUSAGE_CHILDREN) - cpu[1]
        into.append(Cost(clock=clock, process=process, workers=workers, server=self.cpu() - cpu[2]))


def _used(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def measured(folder: Path, server: Server, *, rounds: int) -> Rounds:
    found = Rounds()
    calls = _load(folder, server, found, "warm")
    found.load.clear()
    found.asked.clear()
    found.chunks = sum(map(len, calls))
    for number in range(rounds):
        if number % 2:
            _alone(calls, server, found)
        _load(folder, server, found, f"round_{number}")
        if not number % 2:
            _alone(calls, server, found)
    return found


def _load(folder: Path, server: Server, found: Rounds, name: str) -> list[list[str]]:
    model = Watched()
    store = PGVector(model, collection_name=f"{folder.name}_{name}", connection=server.url, cache=False)
    with store, server.costs(found.load):
        report = sync(store, [folder])
    assert report.files.failed == 0, report.failures
    found.asked.append(model.seconds / found.load[-1].clock)
    return model.calls


def _alone(calls: list[list[str]], server: Server, found: Rounds) -> None:
    model = LocalEmbeddings()
    with server.costs(found.alone):
        for texts in calls:
            model.embed_array(texts)


def pages(folder: Path, most: int) -> None:
    """Every so many of the manual's pages, so that short and long ones are among them."""
    listed = sorted(MANUAL.glob("*.html"))
    for path in listed[:: max(len(listed) // most, 1)][:most]:
        shutil.copy(path, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pages", type=int, default=300, help="of the PostgreSQL manual")
    parser.add_argument("--data", type=Path, default=DATA / "fastapi", help="a folder of Markdown files")
    given = parser.parse_args()
    print("| files | chunks | load, chunks/s | alone, chunks/s | ratio (from–to) | asked ", end="")
    print("| CPU s: model | rest of process | workers | server | the model's share |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    with scratch_database() as url, tempfile.TemporaryDirectory() as temporary:
        server, html = Server(url), Path(temporary) / "manual"
        html.mkdir()
        pages(html, given.pages)
        for name, folder, absent in (
            (f"Markdown of {given.data.name}", given.data, "give a folder with --data"),
            (f"{given.pages} pages of the manual", html, "apt-get install postgresql-doc-15"),
        ):
            if folder.exists() and any(folder.iterdir()):
                print(measured(folder, server, rounds=given.rounds).row(name), flush=True)
            else:
                print(f"{name}: left out, for it is not here ({absent})", flush=True)


if __name__ == "__main__":
    main()
