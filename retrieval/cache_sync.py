"""An EmbeddingCache's synchronous methods; `cache_async` holds their twins."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors
from psycopg.rows import tuple_row

from howdah.retrieval import cache_rows
from howdah.retrieval.cache_base import LOOK, CacheBase, Embedded, Texts
from howdah.retrieval.cache_key import text_hash
from howdah.retrieval.cache_rows import Kind
from howdah.retrieval.embeddings import embed_each, embed_query_with_retry, embed_with_retry
from howdah.retrieval.errors import DatabaseUnavailable
from howdah.retrieval.query import Query
from howdah.retrieval.types import Array

if TYPE_CHECKING:
    from howdah.retrieval.database import Conn
    from howdah.retrieval.store import Store

Found = list[tuple[Any, ...]]


class SyncCache(CacheBase):
    """Embed through the cache."""

    def query(self, store: "Store", text: str, *, dimensions: int | None = None) -> Array:
        """The embedding of one query, shape (d,): this process's, else the database's, else the model's.

        What the model gave is written by the next `flush`, after the search.
        """
        key = text_hash(text)
        vector = self._remembered(key, dimensions)
        if vector is not None:
            self._counted(store.database, "query", found=1)
            return vector
        if self.queries:
            asked = Texts.of([text])
            asked.take(self._find(store, "query", [key]), dimensions)
            self._used_today(asked.old)
            vector = asked.known.get(key)
        self._counted(store.database, "query", found=vector is not None, missed=vector is None)
        if vector is None:
            vector = embed_query_with_retry(self.embeddings, text)
            if self.queries:
                self._later(key, vector)
        self._remember(key, vector)
        return vector

    def passages(
        self, store: "Store", texts: Sequence[str], *, dimensions: int | None = None, conn: "Conn | None" = None
    ) -> Embedded:
        """The embeddings of passages; equal texts are embedded once, and those that are kept not at all.

        What the model gives is written as each request comes back, before any chunk is: a failure later loses nothing
        that was paid for. With `conn`, the caller's transaction, the cache is read on it and not written: a row of an open
        transaction would make every other writer of this text wait for its end.
        """
        asked = Texts.of(texts)
        if not asked.texts:
            return Embedded(embed_with_retry(self.embeddings, []), 0)
        if self.passages_kept:
            store.prepare_schema()
            asked.take(self._find(store, "passage", list(asked.texts), conn), dimensions)
        found = len(asked.known)
        self._counted(store.database, "passage", found=found, missed=len(asked.texts) - found)
        while missing := asked.missing():

            def keep(places: Sequence[int], vectors: Array, keys: Sequence[bytes] = missing) -> None:
                fresh = asked.learn([keys[place] for place in places], vectors)
                if self.passages_kept and conn is None:
                    self._write(store, "passage", fresh, ())

            embed_each(self.embeddings, [asked.texts[key] for key in missing], keep)
        if asked.old and conn is None:
            self._write(store, "passage", {}, asked.old)
        return Embedded(asked.vectors(), found)

    def flush(self, store: "Store") -> None:
        """Write the queries that were embedded since the last time, and mark those that were found."""
        if not self._waiting and not self._used:
            return
        fresh, old = self._due(may_write=self._may("write"))
        if fresh or old:
            self._write(store, "query", fresh, old)
            self._done(fresh, old)

    def _find(self, store: "Store", kind: Kind, keys: list[bytes], conn: "Conn | None" = None) -> Found:
        if not self._may("read"):
            return []
        try:
            return [
                row
                for start in range(0, len(keys), LOOK)
                for row in _rows(store, cache_rows.find(self.shelf(kind), keys[start : start + LOOK]), conn)
            ]
        except errors.InFailedSqlTransaction:
            raise  # the caller's own: nothing could be written in it
        except psycopg.Error as exc:
            self._refused("read", exc)
            return []

    def _write(self, store: "Store", kind: Kind, fresh: Mapping[bytes, Array], old: Iterable[bytes]) -> None:
        """Write and mark rows, evict where it is time. A cache that cannot be written is no failure."""
        if not self._may("write") or store.database.server.read_only:
            return
        steps = self._steps(kind, fresh, list(old))
        try:
            with store.database.connection() as conn:
                for query in steps:
                    conn.execute(*query)
        except (psycopg.Error, DatabaseUnavailable) as exc:
            self._refused("write", exc)


def _rows(store: "Store", query: Query, conn: "Conn | None") -> Found:
    if conn is None:
        return store.database.read(lambda mine: _fetch(mine, query, prepare=True))
    with store._transaction(conn) as mine:
        return _fetch(mine, query)


def _fetch(conn: "Conn", query: Query, *, prepare: bool | None = None) -> Found:
    return conn.cursor(binary=True, row_factory=tuple_row).execute(*query, prepare=prepare).fetchall()
