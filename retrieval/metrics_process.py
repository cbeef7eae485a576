"""This process's counts as Prometheus' families. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from howdah.retrieval.database_base import PoolCount
from howdah.retrieval.tally import Counts, Histogram, Key


def families(counts: Counts) -> Iterator[Metric]:
    """Searches, their times, and embeddings that were looked for in the cache."""
    searches = CounterMetricFamily(
        "howdah_searches",
        "Searches since this process started, by how they ended.",
        labels=["collection", "mode", "outcome"],
    )
    for key, number in sorted(counts.searches.items()):
        searches.add_metric(key, number)
    yield searches
    slow = CounterMetricFamily(
        "howdah_slow_searches", "Searches slower than slow_ms, logged or not.", labels=["collection", "mode"]
    )
    for pair, number in sorted(counts.slow.items()):
        slow.add_metric(pair, number)
    yield slow
    yield _histogram(
        "howdah_search_duration_seconds",
        "Time of a search from the call to its hits: embedding, statement and reranking.",
        counts.whole,
    )
    yield _histogram(
        "howdah_search_database_duration_seconds",
        "Time of a search in the database: its statements, and the wait for a connection.",
        counts.database,
    )
    lookups = CounterMetricFamily(
        "howdah_embedding_cache_lookups", "Embeddings that were looked for in the cache.", labels=["kind", "result"]
    )
    for pair, number in sorted(counts.cache.items()):
        lookups.add_metric(pair, number)
    yield lookups


def pools(found: Sequence[PoolCount]) -> Iterator[Metric]:
    """The connections of this process: those of several event loops are added up."""
    size = GaugeMetricFamily("howdah_pool_connections", "Connections of this process.", labels=["pool", "state"])
    limit = GaugeMetricFamily("howdah_pool_connections_limit", "Connections that it may have.", labels=["pool"])
    waiting = GaugeMetricFamily("howdah_pool_requests_waiting", "Who waits for a connection now.", labels=["pool"])
    asked = CounterMetricFamily("howdah_pool_requests", "How often a connection was asked for.", labels=["pool"])
    refused = CounterMetricFamily(
        "howdah_pool_requests_failed", "How often none came in time, or none could be made.", labels=["pool"]
    )
    waited = CounterMetricFamily("howdah_pool_wait_seconds", "Time waited for connections.", labels=["pool"])
    for kind in sorted({count.kind for count in found}):
        of_kind = _sum(count for count in found if count.kind == kind)
        size.add_metric([kind, "used"], of_kind["size"] - of_kind["free"])
        size.add_metric([kind, "free"], of_kind["free"])
        for family, name in (
            (limit, "most"),
            (waiting, "waiting"),
            (asked, "asked"),
            (refused, "refused"),
            (waited, "waited"),
        ):
            family.add_metric([kind], of_kind[name])
    return iter([size, limit, waiting, asked, refused, waited])


def _sum(counts: Iterator[PoolCount]) -> Mapping[str, float]:
    total: Counter[str] = Counter()
    for count in counts:
        found = count._asdict()
        found.pop("kind")
        total.update(found)
    return total


def _histogram(name: str, said: str, held: Mapping[Key, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, said, labels=["collection", "mode"])
    for key, histogram in sorted(held.items()):
        family.add_metric(key, buckets=histogram.cumulative(), sum_value=histogram.total)
    return family
