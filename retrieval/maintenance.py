"""Keep a collection quick: fold its statistics, measure c0, vacuum, and build or mend its HNSW index.

One process at a time does it, under a lease that ends by itself when its holder dies; another that comes meanwhile
returns at once. Searches and writes go on throughout. Indexes are built here alone: never by add_*, never inside a
caller's transaction.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection, errors
from psycopg.rows import dict_row

from howdah.retrieval import catalog, postings, queries, upkeep
from howdah.retrieval.collection import INDEX_LIMIT, SCHEMA, Metric
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput
from howdah.retrieval.lease import Lease, LeaseLost
from howdah.retrieval.query import Query
from howdah.retrieval.report import MaintenanceReport
from howdah.retrieval.server import connect

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

Says = Callable[[str], None]
THRESHOLD = 10_000
"""Chunks from which "auto" builds an index: there an exact scan takes three times as long (docs/indexes.md)."""
POLICIES = ("auto", "hnsw", "none")
LEASE_SECONDS = 60.0
C0_DRIFT = 0.02
"""A c0 that moved by less stays: scores of one collection should not change with every load."""
PARALLEL_SOUND = (0, 8, 2)
"""pgvector before it overflows in a parallel build (CVE-2026-3172)."""
SHORT_OF_MEMORY = (errors.DiskFull, errors.OutOfMemory, errors.InsufficientResources)


def maintain(
    store: "PGVector",
    *,
    index: str | None = None,
    threshold: int = THRESHOLD,
    lease_seconds: float = LEASE_SECONDS,
    progress: Says | None = None,
) -> MaintenanceReport:
    """Bring the collection's statistics, tables and index into shape.

    Args:
        index: "auto" builds an HNSW index from `threshold` chunks on, and never drops a valid one; "hnsw" builds it
            whatever the size; "none" drops it. The collection remembers; None is what was said last, at first "auto".
        lease_seconds: how long after its death a maintainer is still waited for.
        progress: told, in a few words, what takes time.

    Raises:
        NotFound, NotAdopted: there is no such collection.
        DatabaseUnavailable: the server is a replica.
    """
    return _Upkeep(store, index, threshold, lease_seconds, progress).run()


async def maintain_async(
    store: "PGVector",
    *,
    index: str | None = None,
    threshold: int = THRESHOLD,
    lease_seconds: float = LEASE_SECONDS,
    progress: Says | None = None,
) -> MaintenanceReport:
    """As `maintain`, in a thread. Cancelling it cancels the statement under way and gives the lease back."""
    work = _Upkeep(store, index, threshold, lease_seconds, progress)
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


class _Upkeep:
    """One maintenance of one collection. The constructor does no I/O."""

    def __init__(
        self, store: "PGVector", index: str | None, threshold: int, lease_seconds: float, progress: Says | None
    ) -> None:
        if index is not None and index not in POLICIES:
            raise InvalidInput(f"index {index!r} is not known", hint=f"use one of {', '.join(POLICIES)}")
        self.vectors, self.index, self.threshold = store, index, threshold
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
        with connect(store.database.conninfo) as (direct, _):
            self.conn = direct
            try:
                self._tables(direct, lease)
            except errors.InsufficientPrivilege as exc:
                self._warn(f"not allowed: {exc.diag.message_primary}; the tables' owner must run: howdah db maintain")
            finally:
                self.conn = None

    def _policy(self) -> None:
        store = self.vectors.store
        if self.index is None:
            self.report.policy = store.rows(upkeep.policy(self.collection))[0]["policy"] or "auto"
        else:
            store.execute(upkeep.set_policy(self.collection, self.index))
            self.report.policy = self.index

    def _measure(self) -> None:
        """c0, where the dense scale begins: kept as it is unless the collection has really become another."""
        if self.collection.spec.metric is not Metric.COSINE:
            return
        found = self.vectors.store.rows(upkeep.mean_cosine(self.collection))[0]["c0"]
        if found is None:
            return
        scales, c0 = dict(self.collection.scales), min(max(float(found), 0.0), 0.99)
        if "c0" not in scales or abs(scales["c0"] - c0) > C0_DRIFT:
            scales["c0"] = c0
            self.vectors.store.execute(catalog.set_scales(self.collection, scales))
            for half in (self.vectors.store, self.vectors.astore):
                half.forget(self.collection.name)
        self.report.c0 = scales["c0"]

    # -- tables and index, on a connection of our own

    def _tables(self, conn: Connection[Any], lease: Lease) -> None:
        self._set(conn, {"statement_timeout": "0", "lock_timeout": "0", "synchronous_commit": "on"})
        found = self._index_names(conn)
        at_work = _rows(conn, upkeep.building(self.collection))
        if at_work:  # VACUUM and CREATE INDEX would wait for it
            self.report.index = "building"
            self._warn(f"server process {at_work[0]['pid']} is building an index on it; run this again when it is done")
            return
        dead = [row for row in found if not row["valid"]]
        self.report.dead = len(dead)
        self._drop(conn, found if self.report.policy == "none" else dead)
        self.say("vacuuming")
        for statement in upkeep.vacuum(self.collection):
            self._may_go_on(lease)
            conn.execute(statement)
        self._index(conn, lease, valid=len(found) > len(dead))
        self._metadata_index(conn, lease)

    def _set(self, conn: Connection[Any], settings: dict[str, str]) -> None:
        """Set them for the session, which behind a pooler may be another's a moment later: not there."""
        if not self.vectors.store.database.server.pooler:
            conn.execute(*upkeep.session_settings(settings))

    def _index_names(self, conn: Connection[Any]) -> list[dict[str, Any]]:
        return _rows(conn, upkeep.indexes(self.collection))

    def _drop(self, conn: Connection[Any], found: Sequence[dict[str, Any]]) -> None:
        for row in found:
            self.say(f"dropping the index {row['name']}")
            conn.execute(upkeep.drop_index(row["schema"], row["name"]))

    def _index(self, conn: Connection[Any], lease: Lease, *, valid: bool) -> None:
        self.report.rows = self.vectors.store.count(self.collection)
        if self.report.policy == "none":
            self.report.index = "dropped" if valid else "none"
        elif valid:
            self.report.index = "kept"
        elif self.report.policy == "hnsw" or self.report.rows >= self.threshold:
            self._indexable(conn, lease)
        with suppress(IndexError):
            self.report.index_bytes = self._index_names(conn)[0]["bytes"]

    def _metadata_index(self, conn: Connection[Any], lease: Lease) -> None:
        """The index of filters goes with that of vectors: below its threshold a look at every row is as quick."""
        found = _rows(conn, upkeep.metadata_index(self.collection))
        wanted = self.report.index in ("built", "rebuilt", "kept")
        if found and not (found[0]["valid"] and wanted):
            conn.execute(upkeep.drop_index(SCHEMA, found[0]["name"]))
        if wanted and not (found and found[0]["valid"]):
            self._may_go_on(lease)
            self.say("building the index of the metadata")
            conn.execute(upkeep.create_metadata_index(self.collection))

    def _indexable(self, conn: Connection[Any], lease: Lease) -> None:
        spec = self.collection.spec
        if not self.collection.indexable:
            limit = INDEX_LIMIT[spec.storage.type_name]
            other = " (halfvec: up to 4,000)" if limit < INDEX_LIMIT["halfvec"] else ""
            self._warn(
                f"{spec.dimensions:,} dimensions of {spec.storage.type_name} are beyond what HNSW indexes, {limit:,}{other}:"
                " every search scans all rows; use a model of fewer dimensions"
            )
            return
        self._may_go_on(lease)
        began = time.perf_counter()
        size = _rows(conn, upkeep.server_memory())[0]
        try:
            self._build(conn, self._build_settings(size))
        except SHORT_OF_MEMORY as exc:
            self._warn(
                f"the build ran short ({exc.diag.message_primary}) and was repeated by one process; see --shm-size"
            )
            self._drop(conn, [row for row in self._index_names(conn) if not row["valid"]])
            self._build(conn, {"maintenance_work_mem": f"{size['memory'] // 1024}kB", **_ALONE})
        self.report.build_seconds = time.perf_counter() - began
        self.report.index = "rebuilt" if self.report.dead else "built"

    def _build_settings(self, size: dict[str, Any]) -> dict[str, str]:
        """Memory for the whole graph, up to what the server gives its buffers; parallel where that is sound."""
        wanted = upkeep.build_memory(self.collection, self.report.rows)
        memory = max(size["memory"], min(wanted, size["buffers"]))
        if wanted > memory:
            self._warn(
                f"the index's graph takes some {wanted >> 20:,} MB and the build has {memory >> 20:,} MB, so it goes on on"
                " disk, several times slower; raise maintenance_work_mem"
            )
        sound = self.vectors.store.database.server.vector_version >= PARALLEL_SOUND
        settings = {"maintenance_work_mem": f"{memory // 1024}kB"}
        return settings if sound else settings | _ALONE

    def _build(self, conn: Connection[Any], settings: dict[str, str]) -> None:
        self._set(conn, settings)
        self.say("building the index")
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), daemon=True)
        watcher.start()
        try:
            conn.execute(upkeep.create_index(self.collection))
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(1.0):
            with suppress(psycopg.Error, DatabaseUnavailable):
                for row in self.vectors.store.rows(upkeep.building(self.collection)):
                    percent = f", {row['percent']:.0f} %" if row["percent"] else ""
                    self.say(f"building the index: {row['phase']}{percent}")

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


_ALONE = {"max_parallel_maintenance_workers": "0"}


def _rows(conn: Connection[Any], query: Query) -> list[dict[str, Any]]:
    return conn.cursor(row_factory=dict_row).execute(*query).fetchall()
