"""The queries that an index is tuned with: a file's, those that people asked (traces), or rows, moved a little."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg.sql import SQL

from howdah.retrieval import upkeep
from howdah.retrieval.collection import Collection, Metric, Storage
from howdah.retrieval.errors import DimensionMismatch, InvalidInput
from howdah.retrieval.query import Query
from howdah.retrieval.search import AT_ONCE
from howdah.retrieval.store import Store
from howdah.retrieval.types import Array
from howdah.retrieval.values import query_embedding
from howdah.retrieval.wire import decode

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

FEW = 30
"""Distinct questions below which traces say too little of what people ask."""
MOVED = 0.3
"""How far a row is moved, in its own length: the cosine with the row it was is about 0.96."""
TEXT_KEYS = ("text", "question", "query")
FORM = 'a text a line, JSONL with "text" (or "question", "query") or "embedding", or NumPy\'s .npy of shape (n, d)'
SEED = 7


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Queries as they were given: texts that are still to be embedded, or vectors (n, d). `origin` says where from."""

    origin: str
    texts: Sequence[str] = ()
    vectors: Array | None = None

    def __len__(self) -> int:
        return len(self.texts) if self.vectors is None else len(self.vectors)


def read(path: Path, *, collection: Collection, most: int) -> Asked:
    """The queries of a file, at most so many, spread over it. Raises InvalidInput, naming the line."""
    try:
        found = _read_npy(path) if path.suffix == ".npy" else _read_lines(path)
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"{path} cannot be read ({exc})", hint=f"give {FORM}") from exc
    if not len(found):
        raise InvalidInput(f"{path} has no query in it", hint=f"give {FORM}")
    if not isinstance(found, list) and found.shape[1] != collection.dimensions:
        raise DimensionMismatch(got=found.shape[1], want=collection.dimensions, collection=collection.name)
    places = np.linspace(0, len(found) - 1, min(most, len(found))).astype(int)
    if isinstance(found, list):
        return Asked(origin=f"texts of {path.name}", texts=[found[place] for place in places])
    return Asked(origin=f"vectors of {path.name}", vectors=found[places])


def _read_npy(path: Path) -> Array:
    try:
        array = np.load(path, allow_pickle=False)
    except ValueError as exc:
        raise InvalidInput(f"{path} is not a NumPy array ({exc})", hint=f"give {FORM}") from exc
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InvalidInput(f"{path} has the shape {array.shape} of {array.dtype}, wanted numbers of shape (n, d)")
    found: Array = array.astype(np.float32)
    return found


def _read_lines(path: Path) -> "list[str] | Array":
    lines = [(number, line.strip()) for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not path.suffix.startswith(".json"):
        return [line for _, line in lines]
    rows = [_row(line, f"{path}, line {number}") for number, line in lines]
    vectors = [row for row in rows if not isinstance(row, str)]
    if not vectors:
        return [row for row in rows if isinstance(row, str)]
    if len(vectors) < len(rows) or len({len(row) for row in vectors}) > 1:
        raise InvalidInput(f"{path} has embeddings of several lengths, or beside texts", hint=f"give {FORM}")
    return np.asarray(vectors, dtype=np.float32)


def _row(line: str, where: str) -> str | list[float]:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as exc:
        raise InvalidInput(f"{where} is not JSON ({exc.msg})", hint=f"give {FORM}") from None
    if isinstance(row, str) and row.strip():
        return row
    given = row if isinstance(row, dict) else {}
    embedding = given.get("embedding", row if isinstance(row, list) else None)
    if isinstance(embedding, list) and embedding and all(type(value) in (int, float) for value in embedding):
        return embedding
    text = next((given[key] for key in TEXT_KEYS if isinstance(given.get(key), str) and given[key].strip()), None)
    if text is None:
        raise InvalidInput(f"{where} has no query in it", hint=f"give {FORM}")
    return str(text)


def questions(collection: Collection, most: int) -> Query:
    """What people asked this collection, as it was searched, newest first and each once."""
    return Query(
        SQL("""
            SELECT coalesce(t.rewritten, t.question) AS text, max(t.at) AS at FROM howdah.traces AS t
            WHERE t.tenant = %(tenant)s AND t.collection = %(collection)s AND t.erased_at IS NULL AND t.expires_at >= now()
              AND coalesce(t.rewritten, t.question) ~ '[^[:space:]]'
            GROUP BY 1 ORDER BY 2 DESC LIMIT %(most)s
        """),
        {"tenant": collection.tenant, "collection": collection.id, "most": most},
    )


def collected(store: Store, collection: Collection, *, most: int) -> Asked:
    """The questions of traces where there are enough of them; else rows of the collection, moved a little."""
    asked = [str(row["text"]) for row in store.rows_if_there(questions(collection, most))]
    if len(asked) >= FEW:
        return Asked(origin="questions that were asked (traces)", texts=asked)
    origin = "rows of the collection, moved a little"
    if asked:
        origin += f" (traces hold {len(asked)} questions, and {FEW} are needed)"
    return Asked(origin=origin, vectors=moved_rows(store, collection, most))


def moved_rows(store: Store, collection: Collection, count: int) -> Array:
    """So many rows, spread over the collection, each with noise of MOVED times its length; the same ones each time."""
    found = sorted(store.rows(upkeep.sample(collection, count)), key=lambda row: str(row["id"]))
    if not found:
        return np.empty((0, collection.dimensions), dtype=np.float32)
    rows = np.stack([decode(row["embedding"]) for row in found])
    noise = np.random.default_rng(SEED).standard_normal(rows.shape)
    noise *= MOVED * np.linalg.norm(rows, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    return (rows + noise).astype(np.float32)


def embedded(asked: Asked, store: "Callable[[], PGVector]", collection: Collection) -> Array:
    """The queries as vectors (n, d), checked as those of searches are; texts by the collection's model, nothing kept of them."""
    if not len(asked):
        return np.empty((0, collection.dimensions), dtype=np.float32)
    found = list(asked.vectors) if asked.vectors is not None else _by_model(asked.texts, store(), collection)
    spec = collection.spec
    checked = [
        query_embedding(
            each, dimensions=spec.dimensions, collection=collection.name, cosine=spec.metric is Metric.COSINE,
            half=spec.storage is Storage.HALFVEC,
        )
        for each in found
    ]  # fmt: skip
    return np.stack(checked)


def _by_model(texts: Sequence[str], store: "PGVector", collection: Collection) -> list[Array]:
    cache = store._cache_of(collection)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda text: cache.query(store.store, text, dimensions=collection.dimensions), texts)
        return list(found)
