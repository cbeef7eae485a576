"""Up to 250,000 chunks of real text, some 400 characters each, and their embeddings by the local model.

    python benchmarks/corpus.py [--chunks 100000] [--threads 1]      embed what is not embedded yet; go on where it stopped

Texts: SciFact's abstracts, FastAPI's documentation, Chroma's chunking corpora and XQuAD's English paragraphs
(../shared/data), and the PostgreSQL manual (Debian: apt-get install postgresql-doc-15), read by the project's own
loaders; what is absent is left out, with a word on it. `chunks(n)` are the first n of one fixed order, so that 10,000
are part of 100,000. The texts are about 50,000 chunks long: those come first, without overlap, in a random order; then
the same texts cut half a chunk later, then a quarter, and so on. No two chunks are equal, neighbours overlap by as much
as it takes. `describe` says how many of which kind.

Embeddings: .bench/embeddings/<model fingerprint>/<name>.npz, some thousand chunks a file, in no order. Each holds
`digests` (n, dtype S32: the first 32 hexadecimal digits of the SHA-256 of the text in UTF-8) and `vectors` (n, 384;
float32, unit length), row by row. `embedded(chunks)` reads them: shape (n, 384), and embeds what is not there.
"""

import argparse
import hashlib
import json
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.errors import HowdahError
from howdah.retrieval.loaders import extract
from howdah.retrieval.loaders.versions import VERSIONS
from howdah.retrieval.local_models import BGE_SMALL
from howdah.retrieval.types import Array

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
MANUAL = Path("/usr/share/doc/postgresql-doc-15/html")
CACHE = ROOT / ".bench"
SIZE, SHORTEST, NEAR, LIMIT, SHARD = 400, 120, 45, 250_000, 1_024
SENTENCE_END = re.compile(r"[.!?:;]['\")\]]*\s+|\n\n+")


class Chunk(NamedTuple):
    text: str
    corpus: str
    source: str
    start: int


def scifact() -> Iterator[tuple[str, str]]:
    for line in (DATA / "scifact" / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield row["_id"], f"{row['title']} {row['text']}".strip()


def xquad() -> Iterator[tuple[str, str]]:
    for line in (DATA / "xquad" / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield row["_id"], row["text"]


def files(folder: Path, pattern: str) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob(pattern)):
        try:
            yield path.relative_to(folder).as_posix(), extract(path).text
        except HowdahError as error:
            print(f"  left out: {error}", file=sys.stderr)


CORPORA = {
    "scifact": (DATA / "scifact", scifact),
    "postgresql": (MANUAL, lambda: files(MANUAL, "*.html")),
    "fastapi": (DATA / "fastapi" / "en", lambda: files(DATA / "fastapi" / "en", "*.md")),
    "chroma": (DATA / "chroma_chunking" / "corpora", lambda: files(DATA / "chroma_chunking" / "corpora", "*.md")),
    "xquad": (DATA / "xquad", xquad),
}


def documents() -> Iterator[tuple[str, str, str]]:
    """Corpus, source and text of every document that is here; extracted once, then read from the cache."""
    for name, (folder, read) in CORPORA.items():
        if not folder.exists():
            how = " (apt-get install postgresql-doc-15)" if name == "postgresql" else ""
            print(f"  {name} is left out: {folder} is not here{how}", file=sys.stderr)
            continue
        cached = CACHE / "texts" / f"{name}-{_state(folder)}.json"
        if not cached.exists():
            _write(cached, json.dumps(list(read())).encode())
        for source, text in json.loads(cached.read_bytes()):
            yield name, source, text


def _state(folder: Path) -> str:
    """Changes with the files' names and sizes, and with the loader."""
    listed = [(path.name, path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()]
    return hashlib.sha256(repr((sorted(VERSIONS.items()), listed)).encode()).hexdigest()[:12]


def cut(text: str, offset: int) -> Iterator[tuple[int, int]]:
    """Start and end of the chunks of a text, the first at `offset`; they end with a sentence, else with a word."""
    grid = list(range(offset, max(offset + 1, len(text) - SHORTEST), SIZE))
    edges = [0 if place == 0 else _edge(text, place) for place in grid] + [len(text)]
    for start, end in pairwise(edges):
        if end - start >= SHORTEST:
            yield start, end


def _edge(text: str, place: int) -> int:
    """Where a sentence begins near `place`, else where a word does."""
    near = [match.end() for match in SENTENCE_END.finditer(text, place - NEAR, place + NEAR)]
    if near:
        return min(near, key=lambda edge: abs(edge - place))
    space = text.find(" ", place, place + 200)
    return space + 1 if space >= 0 else place


def offsets() -> Iterator[int]:
    """0, then halves, quarters, eighths … of a chunk (van der Corput's sequence)."""
    for number in range(64):
        yield int(SIZE * sum((number >> bit & 1) / 2 ** (bit + 1) for bit in range(6)))


@lru_cache(maxsize=1)
def passes() -> list[list[Chunk]]:
    """The chunks of each pass over the texts, up to LIMIT together; all different."""
    texts, seen, found = list(documents()), set[str](), list[list[Chunk]]()
    for number, offset in enumerate(offsets()):
        fresh = []
        for corpus, source, text in texts:
            for start, end in cut(text, offset):
                chunk = Chunk(text[start:end].strip(), corpus, source, start)
                if len(chunk.text) >= SHORTEST and chunk.text not in seen:
                    seen.add(chunk.text)
                    fresh.append(chunk)
        random.Random(number).shuffle(fresh)
        found.append(fresh)
        if len(seen) >= LIMIT:
            break
    return found


def chunks(count: int) -> list[Chunk]:
    """The first `count` chunks, the same in every run. Raises SystemExit where the texts are too few for that."""
    listed = [chunk for part in passes() for chunk in part][:count]
    if len(listed) < count:
        sys.exit(f"there are only {len(listed):,} chunks, wanted {count:,}: see ../shared/data and postgresql-doc-15")
    return listed


def describe(listed: Sequence[Chunk]) -> str:
    """How many chunks, how long, from where, and how many stand without overlap."""
    names = {name: sum(chunk.corpus == name for chunk in listed) for name in CORPORA}
    whole = len(passes()[0])
    overlap = f", the other {len(listed) - whole:,} overlap them" if len(listed) > whole else ""
    return (
        f"{len(listed):,} chunks, all different, {np.mean([len(chunk.text) for chunk in listed]):.0f} characters each; "
        f"{min(whole, len(listed)):,} side by side{overlap}; "
        + ", ".join(f"{name} {count:,}" for name, count in names.items() if count)
    )


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).hexdigest()[:32].encode()


def shards() -> Path:
    return CACHE / "embeddings" / BGE_SMALL.fingerprint


def known() -> dict[bytes, Array]:
    """Vector by digest, of all texts that are embedded."""
    found: dict[bytes, Array] = {}
    for path in sorted(shards().glob("*.npz")):
        with np.load(path) as shard:
            found.update(zip(shard["digests"].tolist(), shard["vectors"], strict=True))
    return found


def embedded(listed: Sequence[Chunk | str], *, threads: int | None = None) -> Array:
    """The vectors of chunks, or of passages, in their order: shape (n, 384), float32; kept for the next run."""
    texts = [item if isinstance(item, str) else item.text for item in listed]
    digests, there = [digest(text) for text in texts], known()
    missing = [number for number, name in enumerate(digests) if name not in there]
    model, began = LocalEmbeddings(threads=threads), time.perf_counter()
    for low in range(0, len(missing), SHARD):
        part = missing[low : low + SHARD]
        vectors = model.embed_array([texts[number] for number in part])
        keep([digests[number] for number in part], vectors)
        there.update(zip((digests[number] for number in part), vectors, strict=True))
        rate = (low + len(part)) / (time.perf_counter() - began)
        print(f"  embedded {low + len(part):,} of {len(missing):,}, {rate:.0f}/s", file=sys.stderr, flush=True)
    return np.stack([there[name] for name in digests])


def keep(digests: list[bytes], vectors: Array) -> None:
    """One more file, named by what it holds."""
    path = shards() / f"{hashlib.sha256(b''.join(digests)).hexdigest()[:16]}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, digests=np.array(digests, dtype="S32"), vectors=vectors)
    unfinished.replace(path)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=None)
    given = parser.parse_args()
    listed = chunks(given.chunks)
    print(describe(listed), flush=True)
    print(f"{embedded(listed, threads=given.threads).shape} in {shards()}")


if __name__ == "__main__":
    main()
