"""The database's own figures as Prometheus' families: one statement a part, each with its own time-out.

A part that fails (no privilege, too slow, an older schema) is left out, and howdah_scrape_success says so for it.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from howdah.retrieval import metrics_sql
from howdah.retrieval.errors import DependencyMissing
from howdah.retrieval.query import Query
from howdah.retrieval.store import Row, Store

BOUNDED = {"statement_timeout": "2s", "lock_timeout": "500ms"}
Rows = Sequence[Row]


def families(store: Store) -> list[Metric]:
    """All of them; howdah_up is 0 where the database does not answer, and nothing else is asked then."""
    up = GaugeMetricFamily("howdah_up", "Whether the database answers.")
    success = GaugeMetricFamily(
        "howdah_scrape_success", "Whether this part of the figures could be read.", labels=["part"]
    )
    took = GaugeMetricFamily("howdah_scrape_duration_seconds", "Time that reading the part took.", labels=["part"])
    found: list[Metric] = []
    for part, (statement, shown) in PARTS.items():
        began = time.perf_counter()
        try:
            rows = store.fetch(statement(store.tenant), BOUNDED)
        except DependencyMissing:
            up.add_metric([], 0)
            return [up]
        except psycopg.Error:
            success.add_metric([part], 0)
        else:
            success.add_metric([part], 1)
            found += shown(rows)
        took.add_metric([part], time.perf_counter() - began)
    up.add_metric([], 1)
    return [up, success, took, *found]


def _server(rows: Rows) -> Iterator[Metric]:
    [row] = rows
    yield InfoMetricFamily(
        "howdah_server",
        "Versions.",
        value={
            "howdah": version("howdah"),
            "postgresql": row["postgresql"],
            "pgvector": row["pgvector"] or "",
            "replica": str(row["replica"]).lower(),
        },
    )
    connections = GaugeMetricFamily(
        "howdah_server_connections", "Connections of all programs to this database.", labels=["state"]
    )
    for state in ("active", "idle", "idle in transaction"):
        connections.add_metric([state], row["connections"].get(state, 0))
    yield connections
    yield GaugeMetricFamily("howdah_server_connections_limit", "The server's max_connections.", value=row["most"])
    yield GaugeMetricFamily(
        "howdah_embedding_cache_entries",
        "Embeddings that are kept, by PostgreSQL's estimate.",
        value=row["cached"] or 0,
    )
    yield GaugeMetricFamily(
        "howdah_embedding_cache_size_bytes",
        "Size of the embedding cache with its index.",
        value=row["cache_bytes"] or 0,
    )


def _schema(rows: Rows) -> Iterator[Metric]:
    yield GaugeMetricFamily("howdah_schema_version", "Version of Howdah's tables.", value=rows[0]["version"] or 0)


def _collections(rows: Rows) -> Iterator[Metric]:
    total = rows[0]["collections"] if rows else 0
    yield GaugeMetricFamily("howdah_collections", "Collections, those without labels included.", value=total)
    yield _gauge(rows, "chunks", "howdah_chunks", "Chunks.", ["collection"])
    yield _gauge(rows, "documents", "howdah_documents", "Documents that ingest has loaded.", ["collection"])
    yield _gauge(
        rows, "synced", "howdah_document_written_timestamp_seconds",
        "When ingest last wrote a document: time() minus this is how far the collection lags behind.", ["collection"],
    )  # fmt: skip
    yield _gauge(rows, "failed", "howdah_failed_sources", "Sources that could not be loaded.", ["collection"])
    yield _gauge(
        rows, "failed_since", "howdah_failed_source_oldest_timestamp_seconds",
        "When the oldest of them failed last.", ["collection"],
    )  # fmt: skip


def _tables(rows: Rows) -> Iterator[Metric]:
    labels = ["collection", "table"]
    yield _gauge(rows, "bytes", "howdah_table_size_bytes", "Size of a table without its indexes.", labels)
    yield _gauge(rows, "live", "howdah_table_live_tuples", "Rows by PostgreSQL's estimate.", labels)
    yield _gauge(rows, "dead", "howdah_table_dead_tuples", "Dead rows that a vacuum will take away.", labels)
    yield _gauge(rows, "vacuumed", "howdah_table_vacuumed_timestamp_seconds", "When it was last vacuumed.", labels)


def _indexes(rows: Rows) -> Iterator[Metric]:
    labels = ["collection", "table", "index"]
    yield _gauge(rows, "bytes", "howdah_index_size_bytes", "Size of an index.", labels)
    yield _counter(rows, "scans", "howdah_index_scans", "Searches of an index since statistics were reset.", labels)
    yield _counter(rows, "hit", "howdah_index_blocks_hit", "Blocks of an index found in shared_buffers.", labels)
    yield _counter(rows, "read", "howdah_index_blocks_read", "Blocks of an index that had to be read.", labels)
    used = [{**row, "ratio": row["hit"] / (row["hit"] + row["read"])} for row in rows if row["hit"] + row["read"]]
    yield _gauge(
        used,
        "ratio",
        "howdah_index_cache_hit_ratio",
        "Share of its blocks found in shared_buffers, of all times.",
        labels,
    )


def _answers(rows: Rows) -> Iterator[Metric]:
    yield _windows(rows, "outcome", "howdah_traced_answers", "Answers that have a trace, of the last hour and day.")


def _sentences(rows: Rows) -> Iterator[Metric]:
    said = "Sentences of these answers: marked and dropped ones had no support."
    yield _windows(rows, "status", "howdah_traced_sentences", said)


def _gauge(rows: Rows, column: str, name: str, said: str, labels: Sequence[str]) -> Metric:
    family = GaugeMetricFamily(name, said, labels=labels)
    for row in rows:
        if row[column] is not None:
            family.add_metric([row[label] for label in labels], row[column])
    return family


def _counter(rows: Rows, column: str, name: str, said: str, labels: Sequence[str]) -> Metric:
    family = CounterMetricFamily(name, said, labels=labels)
    for row in rows:
        family.add_metric([row[label] for label in labels], row[column] or 0)
    return family


def _windows(rows: Rows, what: str, name: str, said: str) -> Metric:
    family = GaugeMetricFamily(name, said, labels=["collection", what, "window"])
    for row in rows:
        for window in metrics_sql.WINDOWS:
            family.add_metric([row["collection"], row[what], window], row[window])
    return family


Part = tuple[Callable[[str], Query], Callable[[Rows], Iterator[Metric]]]
PARTS: Mapping[str, Part] = {
    "server": (lambda _: metrics_sql.server(), _server),
    "schema": (lambda _: metrics_sql.schema(), _schema),
    "collections": (metrics_sql.collections, _collections),
    "tables": (metrics_sql.tables, _tables),
    "indexes": (metrics_sql.indexes, _indexes),
    "answers": (metrics_sql.answers, _answers),
    "sentences": (metrics_sql.sentences, _sentences),
}
"""What a scrape reads, in this order."""
