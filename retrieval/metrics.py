"""Howdah's metrics for Prometheus: `registry(store)` is what an application, or `howdah db metrics`, shows.

Two sources: what this process has done (searches, embeddings, its pools) and what the database knows (rows, sizes, traced
answers). Nothing is registered with prometheus_client's process-wide registry, and nothing is counted there.
"""

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from howdah.retrieval.errors import PackageMissing

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

FRESH = 10.0
"""Seconds that what the database said is shown again: several scrapers cost as much as one."""
INSTALL = "pip install 'howdah[metrics]'"


def registry(store: Any, *, process: bool = True, database: bool = False, fresh: float = FRESH) -> "CollectorRegistry":
    """A registry of its own for the database of `store` (a PGVector, or its Store).

    Args:
        store: all stores of this process on the same URL count together.
        process: what this process has done with that database since it started.
        database: what the database knows of its collections; asked when it is scraped, for at most two seconds a statement.
        fresh: seconds that the database's figures are kept.

    Raises PackageMissing without prometheus-client.
    """
    try:
        from prometheus_client import CollectorRegistry
    except ImportError:
        raise PackageMissing("prometheus-client", needed_for="the export of metrics", install=INSTALL) from None
    found = CollectorRegistry(auto_describe=False)
    inner = getattr(store, "store", store)
    if process:
        found.register(ProcessCollector(inner.database))
    if database:
        found.register(DatabaseCollector(inner, fresh=fresh))
    return found


class ProcessCollector:
    """The counts of a Database and the state of its pools; reading them asks nobody."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def describe(self) -> Iterable["Metric"]:
        return []

    def collect(self) -> Iterable["Metric"]:
        from howdah.retrieval import metrics_process

        yield from metrics_process.families(self._database.tally.counts())
        yield from metrics_process.pools(self._database.pool_counts())


class DatabaseCollector:
    """What the database knows, asked at most once in `fresh` seconds, by one scrape at a time."""

    def __init__(self, store: Any, *, fresh: float) -> None:
        self._store, self._fresh = store, fresh
        self._lock = threading.Lock()
        self._until, self._found = 0.0, list["Metric"]()

    def describe(self) -> Iterable["Metric"]:
        return []

    def collect(self) -> Iterable["Metric"]:
        from howdah.retrieval import metrics_database

        with self._lock:
            if time.monotonic() >= self._until:
                self._found = metrics_database.families(self._store)
                self._until = time.monotonic() + self._fresh
            return list(self._found)
