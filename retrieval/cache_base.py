"""What the halves of an EmbeddingCache share: what is kept of which model, and what this process remembers."""

import os
import secrets
import threading
import time
import weakref
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from langchain_core.embeddings import Embeddings
from psycopg import errors

from howdah.retrieval import cache_rows
from howdah.retrieval.cache_key import model_key, text_hash
from howdah.retrieval.cache_rows import ROW_BYTES, Kind, Shelf, decode
from howdah.retrieval.embeddings import LocalEmbeddings, identity
from howdah.retrieval.errors import InvalidInput, ModelUnavailable
from howdah.retrieval.query import Query
from howdah.retrieval.types import Array

if TYPE_CHECKING:
    from howdah.retrieval.database import Database

MAX_BYTES = 1_000_000_000
QUERY_SHARE = 8
"""One part in eight is for queries: they come all day, and would push out passages, which wait for the next load."""
RECENT, WAITING = 256, 2_000
"""Queries that this process remembers, and that wait for the search they are for to be over: then they are written."""
LOOK = 10_000
"""Texts asked for in one trip."""
PAUSE = 60.0
"""Seconds until a cache is tried again that the server refused: a migration or a GRANT may have come."""
NOT_HERE = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InvalidSchemaName,
    errors.InsufficientPrivilege,
    errors.ReadOnlySqlTransaction,
)


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Which embeddings of a store are kept in its database. None leaves it to the model's cost (docs/caching.md).

    queries: None keeps those of models that are called over a network. passages: None keeps those of every model with a
    name. True keeps them also for a model that is known by its class alone, which may be another model tomorrow.
    max_bytes: disk space for each tenant and model, an eighth of it for queries; those unused for longest go first.
    """

    queries: bool | None = None
    passages: bool | None = None
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        if isinstance(self.max_bytes, bool) or not isinstance(self.max_bytes, int) or self.max_bytes < 1:
            raise InvalidInput(
                f"max_bytes is {self.max_bytes!r} and must be a whole number of bytes",
                hint="cache=False turns the cache off",
            )

    def rows(self, kind: Kind, dimensions: int) -> int:
        """How many rows of that kind max_bytes has room for, at least one."""
        part = self.max_bytes // QUERY_SHARE
        return max((part if kind == "query" else self.max_bytes - part) // (4 * dimensions + ROW_BYTES), 1)


def cache_options(value: object) -> Cache:
    """The argument `cache`: a Cache, True (keep all), False (keep nothing) or None (by the model's cost)."""
    if value is None or isinstance(value, bool):
        return Cache(queries=value, passages=value)
    if isinstance(value, Cache):
        return value
    raise InvalidInput(
        f"cache is {type(value).__name__} and must be True, False or a Cache",
        hint="for example: from howdah.retrieval.cache import Cache; cache=Cache(max_bytes=200_000_000)",
    )


# -- what one call asks for


class Embedded(NamedTuple):
    """Embeddings (n, d) in the order of the texts; how many different texts were `found` and not embedded."""

    vectors: Array
    found: int


@dataclass
class Texts:
    """The different texts of one call by their hashes, and what is known of their embeddings."""

    order: list[bytes]
    texts: dict[bytes, str]
    known: dict[bytes, Array] = field(default_factory=dict)
    width: int | None = None
    old: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        listed = list(texts)
        order = [text_hash(text) for text in listed]
        return cls(order, dict(zip(order, listed, strict=True)))

    def missing(self) -> list[bytes]:
        return [key for key in self.texts if key not in self.known]

    def take(self, rows: Iterable[tuple[Any, ...]], dimensions: int | None) -> None:
        """Know what `find` returned; what has another length than `dimensions`, or than most, is not usable."""
        read = {bytes(key): (decode(bytes(data)), old) for key, data, old in rows}
        lengths = Counter(len(embedding) for embedding, _ in read.values() if embedding is not None)
        wanted = dimensions or (lengths.most_common(1)[0][0] if lengths else 0)
        for key, (embedding, old) in read.items():
            if embedding is not None and len(embedding) == wanted:
                self.known[key] = embedding
                if old:
                    self.old.append(key)

    def learn(self, keys: Sequence[bytes], vectors: Array) -> dict[bytes, Array]:
        """Know what the model gave; what was kept with another length is forgotten, for the model no longer gives it."""
        if self.width not in (None, vectors.shape[1]):
            raise ModelUnavailable("the embedding model changed the length of its vectors between two calls")
        if self.width is None:
            self.width = vectors.shape[1]
            self.known = {key: item for key, item in self.known.items() if len(item) == self.width}
        fresh = dict(zip(keys, vectors, strict=True))
        self.known |= fresh
        return fresh

    def vectors(self) -> Array:
        return np.stack([self.known[key] for key in self.order])


# -- state


class CacheBase:
    """State of an EmbeddingCache. The constructor does no I/O."""

    def __init__(self, embeddings: Embeddings, options: Cache, *, tenant: str = "") -> None:
        self.embeddings, self.options, self.tenant = embeddings, options, tenant
        named, local = identity(embeddings).strong, isinstance(embeddings, LocalEmbeddings)
        self.queries = named and not local if options.queries is None else options.queries
        self.passages_kept = named if options.passages is None else options.passages
        self.remembers = named if options.queries is None else options.queries
        self.model = model_key(embeddings)
        self._forget()

    def _forget(self) -> None:
        self._recent: OrderedDict[bytes, Array] = OrderedDict()
        self._waiting: dict[bytes, Array] = {}
        self._used: set[bytes] = set()
        self._left: dict[Kind, int] = {}
        self._not_before: dict[str, float] = {}
        self._lock = threading.Lock()
        _every.add(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def shelf(self, kind: Kind) -> Shelf:
        return Shelf(tenant=self.tenant, model=self.model, kind=kind)

    def _counted(self, database: "Database", kind: Kind, *, found: int, missed: int = 0) -> None:
        """Count what was looked for where anything is kept: a cache that is off has no misses."""
        if self.passages_kept if kind == "passage" else self.queries or self.remembers:
            database.tally.cached(kind, found=found, missed=missed)

    # -- the last queries, in this process

    def _remembered(self, key: bytes, dimensions: int | None) -> Array | None:
        with self._lock:
            found = self._recent.get(key)
            if found is None or (dimensions is not None and len(found) != dimensions):
                return None
            self._recent.move_to_end(key)
            return found.copy()

    def _remember(self, key: bytes, vector: Array) -> None:
        if self.remembers:
            with self._lock:
                self._recent[key] = vector.copy()
                self._recent.move_to_end(key)
                if len(self._recent) > RECENT:
                    self._recent.popitem(last=False)

    # -- queries that are to be written

    def _later(self, key: bytes, vector: Array) -> None:
        with self._lock:
            if len(self._waiting) < WAITING:
                self._waiting[key] = vector.copy()

    def _used_today(self, keys: Iterable[bytes]) -> None:
        with self._lock:
            self._used.update(keys)

    def _due(self, *, may_write: bool) -> tuple[dict[bytes, Array], list[bytes]]:
        """What is to be written now; where nothing may be, it is let go."""
        with self._lock:
            if not may_write:
                self._waiting.clear()
                self._used.clear()
            return dict(self._waiting), list(self._used)

    def _done(self, fresh: Iterable[bytes], old: Iterable[bytes]) -> None:
        with self._lock:
            for key in fresh:
                self._waiting.pop(key, None)
            self._used.difference_update(old)

    # -- the server's word, and the bound

    def _may(self, what: str) -> bool:
        return time.monotonic() >= self._not_before.get(what, 0.0)

    def _steps(self, kind: Kind, fresh: Mapping[bytes, Array], old: Sequence[bytes]) -> list[Query]:
        """The statements of a write; one, but where rows are to be marked or counted."""
        shelf, most = self.shelf(kind), self._bound(kind, fresh)
        steps = [cache_rows.keep(shelf, fresh)] if fresh else []
        steps += [cache_rows.touch(shelf, old)] if old else []
        return steps + ([cache_rows.evict(shelf, most=most)] if most is not None else [])

    def _refused(self, what: str, exc: Exception) -> None:
        if isinstance(exc, NOT_HERE):
            self._not_before[what] = time.monotonic() + PAUSE

    def _bound(self, kind: Kind, fresh: Mapping[bytes, Array]) -> int | None:
        """How many rows there may be, where it is time to count them; None where it is not.

        Counting takes time, so it is done once for a sixteenth of the bound; a process that writes one row begins
        anywhere in it, so that many such processes count as often as one.
        """
        if not fresh:
            return None
        most = self.options.rows(kind, len(next(iter(fresh.values()))))
        slack = max(most // 16, 1)
        with self._lock:
            left = self._left.get(kind)
            left = (secrets.randbelow(slack) + 1 if left is None else left) - len(fresh)
            self._left[kind] = left if left > 0 else slack
        return most - slack + 1 if left <= 0 else None


_every: "weakref.WeakSet[CacheBase]" = weakref.WeakSet()


def _begin_anew() -> None:
    """In a forked child: another of the parent's threads may have held a lock; what waits there the parent writes."""
    for cache in list(_every):
        cache._forget()


os.register_at_fork(after_in_child=_begin_anew)
