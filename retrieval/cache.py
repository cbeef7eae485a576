"""Embeddings kept in PostgreSQL, so that no text is embedded twice: queries and passages, bounded, a model apart."""

from howdah.retrieval import cache_rows
from howdah.retrieval.cache_async import AsyncCache
from howdah.retrieval.cache_base import Cache, Embedded, cache_options
from howdah.retrieval.cache_key import model_key
from howdah.retrieval.cache_sync import SyncCache
from howdah.retrieval.store import GONE, Row, Store

__all__ = ["Cache", "Embedded", "EmbeddingCache", "cache_options", "clear", "listing", "model_key"]

CLEAR = 10_000
"""Rows deleted in one statement."""


class EmbeddingCache(SyncCache, AsyncCache):
    """One model's embeddings: the last queries in this process, the rest in `howdah.embedding_cache`.

    Safe across threads, tasks and event loops; a fork and a pickle begin with an empty memory.
    """


def listing(store: Store) -> list[Row]:
    """The tenant's rows and bytes, by model and kind."""
    try:
        return store.rows(cache_rows.listing(store.tenant))
    except GONE:
        return []


def clear(store: Store, model: str | None = None) -> int:
    """Delete the tenant's rows, or one model's, by its name with or without the digest; how many there were."""
    store.prepare_schema()
    deleted = 0
    while count := store.execute(cache_rows.clear(store.tenant, model, most=CLEAR)):
        deleted += count
    return deleted
