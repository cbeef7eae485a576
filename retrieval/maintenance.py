"""Keep a collection quick: fold its statistics, measure c0, vacuum, and build or mend its vector index.

One process at a time does it, under a lease that ends by itself when its holder dies; another that comes meanwhile
returns at once. Searches and writes go on throughout. Indexes are built here alone: never by add_*, never inside a
caller's transaction.
"""

import asyncio
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection, errors

from howdah.retrieval import catalog, postings, queries, upkeep
from howdah.retrieval.building import Builder, Says
from howdah.retrieval.choosing import Wish, threshold_for
from howdah.retrieval.collection import SCHEMA, Metric
from howdah.retrieval.errors import DatabaseUnavailable
from howdah.retrieval.indexing import Indexing
from howdah.retrieval.lease import Lease, LeaseLost
from howdah.retrieval.queries import check_whole
from howdah.retrieval.report import MaintenanceReport
from howdah.retrieval.server import connect
from howdah.retrieval.tracing import expire

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

MOST_WORKERS = 1_024
"""PostgreSQL's own bound of max_parallel_maintenance_workers."""
LEASE_SECONDS = 60.0
C0_DRIFT = 0.02
"""A c0 that moved by less stays: scores of one collection should not change with every load."""


def maintain(
    store: "PGVector",
    *,
    index: str | None = None,
    m: int | None = None,
    ef_construction: int | None = None,
    lists: int | None = None,
    workers: int | None = None,
    reindex: bool = False,
    threshold: int | None = None,
    lease_seconds: float = LEASE_SECONDS,
    progress: Says | None = None,
) -> MaintenanceReport:
    """Bring the collection's statistics, tables and index into shape.

    Args:
        index: "auto" chooses by dimensions, storage, metric and rows: none below `threshold` chunks, then HNSW, over bits
            where there are too many dimensions; a valid index is not dropped when rows get fewer. "hnsw", "ivfflat" and
            "bits" are built whatever the size, "none" is none. The collection remembers this and the three options that
            follow; None is what was said last, at first "auto".
        m, ef_construction: of HNSW and bits (16; 128). A larger m suits hard data and more dimensions.
        lists: of IVFFlat (rows / 1,000, at least 10, and their root beyond a million rows).
        workers: processes of the build beside the first; None is the server's max_parallel_maintenance_workers.
        reindex: build the index anew, beside the old one: after many deletes, or an upgrade of pgvector.
        threshold: None is 10,000 chunks, and 2,000 where vectors are too long for their rows.
        lease_seconds: how long after its death a maintainer is still waited for.
        progress: told, in a few words, what takes time.

    Raises:
        NotFound, NotAdopted: there is no such collection.
        InvalidInput: an index or option that is not known or does not fit; IVFFlat over fewer than 1,000 rows.
        DatabaseUnavailable: the server is a replica.
    """
    options = {"m": m, "ef_construction": ef_construction, "lists": lists}
    order = _Order(index, options, workers=workers, reindex=reindex, threshold=threshold)
    return _Upkeep(store, order, lease_seconds, progress).run()


async def maintain_async(
    store: "PGVector",
    *,
    index: str | None = None,
    m: int | None = None,
    ef_construction: int | None = None,
    lists: int | None = None,
    workers: int | None = None,
    reindex: bool = False,
    threshold: int | None = None,
    lease_seconds: float = LEASE_SECONDS,
    progress: Says | None = None,
) -> MaintenanceReport:
    """As `maintain`, in a thread. Cancelling it cancels the statement under way and gives the lease back."""
    options = {"m": m, "ef_construction": ef_construction, "lists": lists}
    order = _Order(index, options, workers=workers, reindex=reindex, threshold=threshold)
    work = _Upkeep(store, order, lease_seconds, progress)
    task = asyncio.ensure_future(asyncio.to_thread(work.run))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            work.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task], timeout=0.2)
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains about it later
        raise


class _Order:
    """What a maintenance was told about the index; checked before anything is done."""

    def __init__(
        self, index: str | None, options: Mapping[str, int | None], *,
        workers: int | None, reindex: bool, threshold: int | None,
    ) -> None:  # fmt: skip
        self.index, self.options = index, options
        self.workers, self.reindex, self.threshold = workers, reindex, threshold
        if index is not None:
            Wish().changed(index, options)
        if workers is not None:
            check_whole("workers", workers, 0, MOST_WORKERS)

    @property
    def says(self) -> bool:
        """Whether it says what is to be remembered."""
        return self.index is not None or any(value is not None for value in self.options.values())


class _Upkeep:
    """One maintenance of one collection. The constructor does no I/O."""

    def __init__(self, store: "PGVector", order: _Order, lease_seconds: float, progress: Says | None) -> None:
        self.vectors, self.order = store, order
        self.say: Says = progress or (lambda _: None)
        self.lease_seconds = lease_seconds
        self.report = MaintenanceReport(collection=store.collection_name)
        self.stopped = threading.Event()
        self.conn: Connection[Any] | None = None

    def cancel(self) -> None:
        self.stopped.set()
        if self.conn is not None:
            with suppress(psycopg.Error):
                self.conn.cancel_safe(timeout=2)

    def run(self) -> MaintenanceReport:
        began = time.perf_counter()
        store = self.vectors.store
        store.forget(self.report.collection)
        self.collection = store.get(self.report.collection)
        if store.database.server.read_only:
            raise DatabaseUnavailable(
                f"{store.database.conninfo.place} is a replica and cannot be maintained", hint="run it on the primary"
            )
        store.prepare_schema()
        lease = Lease(store, self.collection, self.lease_seconds)
        self.report.held_by = lease.take()
        if self.report.held_by is None:
            with lease.kept(), suppress(LeaseLost):
                self._work(lease)
        self.report.seconds = time.perf_counter() - began
        return self.report

    def _work(self, lease: Lease) -> None:
        store = self.vectors.store
        if store.database.server.warning:
            self.report.warnings.append(store.database.server.warning)
        self._policy()
        self._measure()
        self.say("folding the statistics")
        with store.database.connection() as conn, conn.transaction():
            # What was committed asynchronously just now VACUUM would take for not yet visible: a real commit flushes it.
            conn.execute(*queries.set_local({"synchronous_commit": "on"}))
            conn.execute(*postings.fold_stats(self.collection))
            if self.collection.spec.lexical:
                conn.execute(*postings.fold_terms(self.collection))
            if store.database.server.version >= 150_000:
                # Told only after VACUUM, the rows that are folded away would be counted as dead ones for another minute.
                conn.execute("SELECT pg_stat_force_next_flush()")
        self._expire()
        with connect(store.database.conninfo) as (direct, _):
            self.conn = direct
            try:
                self._tables(direct, lease)
            except errors.InsufficientPrivilege as exc:
                self._warn(f"not allowed: {exc.diag.message_primary}; the tables' owner must run: howdah db maintain")
            finally:
                self.conn = None

    def _expire(self) -> None:
        """Traces are the tenant's and not the collection's; whoever maintains any of its collections deletes old ones."""
        try:
            expire(self.vectors.store)
        except errors.InsufficientPrivilege as exc:
            self._warn(f"traces whose time is over were not deleted: {exc.diag.message_primary}")

    def _policy(self) -> None:
        """What was wished of the index; said now, it is remembered, unless it cannot be."""
        store = self.vectors.store
        [row] = store.rows(upkeep.wish(self.collection))
        self.wish, self.indexed_rows = Wish(policy=row["policy"], **row["options"]), row["indexed_rows"]
        self.report.rows = store.count(self.collection)
        if self.order.says:
            self.wish = self.wish.changed(self.order.index, self.order.options)
            self.wish.check(self.report.rows)
            said = {"index": self.wish.policy, "index_options": self.wish.options}
            store.execute(upkeep.remember(self.collection, said))
        self.report.policy = self.wish.policy

    def _measure(self) -> None:
        """c0, where the dense scale begins: kept as it is unless the collection has really become another."""
        if self.collection.spec.metric is not Metric.COSINE:
            return
        found = self.vectors.store.rows(upkeep.mean_cosine(self.collection))[0]["c0"]
        if found is None:
            return
        scales, c0 = dict(self.collection.scales), upkeep.c0_of(found)
        if "c0" not in scales or abs(scales["c0"] - c0) > C0_DRIFT:
            scales["c0"] = c0
            self.vectors.store.execute(catalog.set_scales(self.collection, scales))
            self._changed()
        self.report.c0 = scales["c0"]

    def _changed(self) -> None:
        """Let this process' searches look the collection up again; others do within a minute."""
        for half in (self.vectors.store, self.vectors.astore):
            half.forget(self.collection.name)

    # -- tables and index, on a connection of our own

    def _tables(self, conn: Connection[Any], lease: Lease) -> None:
        builder = Builder(
            conn, self.vectors.store, self.collection, say=self.say, warn=self._warn, workers=self.order.workers
        )
        builder.set({"statement_timeout": "0", "lock_timeout": "0", "synchronous_commit": "on"})
        at_work = builder.rows(upkeep.building(self.collection))
        if at_work:  # VACUUM and CREATE INDEX would wait for it
            self.report.index = "building"
            self._warn(f"server process {at_work[0]['pid']} is building an index on it; run this again when it is done")
            return
        threshold = self.order.threshold
        indexing = Indexing(
            builder,
            self.report,
            self.wish,
            threshold=threshold_for(self.collection.spec) if threshold is None else threshold,
            indexed_rows=self.indexed_rows,
            may_go_on=lambda: self._may_go_on(lease),
            changed=self._changed,
        )
        indexing.mend(reindex=self.order.reindex)
        self.say("vacuuming")
        for statement in upkeep.vacuum(self.collection):
            self._may_go_on(lease)
            conn.execute(statement)
        indexing.settle()
        self._metadata_index(builder, lease)

    def _metadata_index(self, builder: Builder, lease: Lease) -> None:
        """The index of filters goes with that of vectors: below its threshold a look at every row is as quick."""
        found = builder.rows(upkeep.metadata_index(self.collection))
        wanted = self.report.index in ("built", "rebuilt", "reindexed", "kept")
        if found and not (found[0]["valid"] and wanted):
            builder.conn.execute(upkeep.drop_index(SCHEMA, found[0]["name"]))
        if wanted and not (found and found[0]["valid"]):
            self._may_go_on(lease)
            self.say("building the index of the metadata")
            builder.conn.execute(upkeep.create_metadata_index(self.collection))

    def _may_go_on(self, lease: Lease) -> None:
        if self.stopped.is_set():
            raise errors.QueryCanceled("maintenance was cancelled")
        try:
            lease.check()
        except LeaseLost:
            self._warn("another process has taken over: this one had not reached the server for too long")
            raise

    def _warn(self, text: str) -> None:
        self.report.warnings.append(text)
        self.say(text)
