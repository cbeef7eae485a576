"""Build, rebuild and drop vector indexes: beside readers and writers, with the memory and workers that each kind wants."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import Connection, errors
from psycopg.rows import dict_row
from psycopg.sql import Composed

from howdah.retrieval import upkeep
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import DatabaseUnavailable
from howdah.retrieval.kinds import Index, Method
from howdah.retrieval.query import Query
from howdah.retrieval.store import Store

Row = dict[str, Any]
Says = Callable[[str], None]
PARALLEL_SOUND = (0, 8, 2)
"""pgvector before it overflows in a parallel build of HNSW (CVE-2026-3172)."""
SHORT_OF_MEMORY = (errors.DiskFull, errors.OutOfMemory, errors.InsufficientResources)
LOOK_SECONDS = 1.0
"""How often the progress of a build is looked at."""
MB = 1 << 20
A_WORKERS_SHARE = 32 * MB
"""PostgreSQL gives a build fewer workers where maintenance_work_mem has less than this for each of them and the leader."""
WORTH_WORKERS = 8 * MB
KMEANS_LIMIT = 1_024 * MB
"""What k-means may take beyond the server's own settings: it fails with less than it needs."""


class TooLittleMemory(RuntimeError):
    """IVFFlat's k-means needs more than the server has for a build."""


class Builder:
    """At work on the indexes of one collection, on a connection of its own. `workers` None: the server's setting."""

    def __init__(
        self, conn: Connection[Any], store: Store, collection: Collection, *, say: Says, warn: Says, workers: int | None
    ) -> None:
        self.conn, self.store, self.collection = conn, store, collection
        self.say, self.warn, self.workers = say, warn, workers

    def rows(self, query: Query) -> list[Row]:
        return self.conn.cursor(row_factory=dict_row).execute(*query).fetchall()

    def set(self, settings: Mapping[str, str]) -> None:
        """Set them for the session, which behind a pooler may be another's a moment later: not there."""
        if not self.store.database.server.pooler:
            self.conn.execute(*upkeep.session_settings(dict(settings)))

    def indexes(self) -> list[Row]:
        return self.rows(upkeep.indexes(self.collection))

    def drop(self, found: list[Row]) -> None:
        for row in found:
            self.say(f"dropping the index {row['name']}")
            self.conn.execute(upkeep.drop_index(row["schema"], row["name"]))

    def create(self, index: Index, rows: int) -> float:
        """Build it under a name that is free; the seconds that it took. Raises TooLittleMemory."""
        taken = {row["name"] for row in self.indexes()}
        name = next(name for name in _names(self.collection, index) if name not in taken)
        began = time.perf_counter()
        self._run(upkeep.create_index(self.collection, index, name), index, rows, "building the index")
        if index.reranks(self.collection.spec):
            self.conn.execute(upkeep.without_statistics(name))
        return time.perf_counter() - began

    def rebuild(self, row: Row, rows: int) -> None:
        """Build it anew under its own name. Raises TooLittleMemory."""
        statement = upkeep.rebuild_index(row["schema"], row["name"])
        self._run(statement, Index.of(row), rows, f"rebuilding the index {row['name']}")

    def _run(self, statement: Composed, index: Index, rows: int, saying: str) -> None:
        settings = self._settings(index, rows)
        try:
            self._watched(statement, settings, saying)
        except errors.ProgramLimitExceeded as exc:  # k-means, where the settings above could not be made
            self.drop([row for row in self.indexes() if not row["valid"]])
            raise TooLittleMemory(f"{exc.diag.message_primary}: raise it on the server, or give fewer lists") from exc
        except SHORT_OF_MEMORY as exc:
            self.warn(
                f"the build ran short ({exc.diag.message_primary}) and was repeated by one process; see --shm-size"
            )
            self.drop([row for row in self.indexes() if not row["valid"]])
            self._watched(statement, settings | _ALONE, saying)

    # -- memory and workers

    def _settings(self, index: Index, rows: int) -> dict[str, str]:
        [server] = self.rows(upkeep.server_memory())
        workers = self._workers(index, server)
        wanted = index.build_memory(self.collection.spec.dimensions, rows)
        graph = index.method is Method.HNSW
        memory = self._for_graph(wanted, workers, server) if graph else _for_kmeans(wanted, server)
        settings = {"maintenance_work_mem": f"{memory // 1024}kB", "max_parallel_maintenance_workers": f"{workers}"}
        if rows * index.form.row_bytes(self.collection.spec.dimensions) > WORTH_WORKERS:
            # PostgreSQL counts the table's own pages, and long vectors lie beside them.
            settings["min_parallel_table_scan_size"] = "0"
        return settings

    def _workers(self, index: Index, server: Row) -> int:
        if index.method.guarded and self.store.database.server.vector_version < PARALLEL_SOUND:
            return 0
        return int(server["workers"]) if self.workers is None else self.workers

    def _for_graph(self, wanted: int, workers: int, server: Row) -> int:
        """Memory for the whole graph and for every worker, up to what the server gives its buffers."""
        room = max(wanted, A_WORKERS_SHARE * (workers + 1))
        memory: int = max(server["memory"], min(room, server["buffers"]))
        if wanted > memory:
            self.warn(
                f"the index's graph takes some {wanted // MB:,} MB and the build has {memory // MB:,} MB, so it goes on on"
                " disk, several times slower; raise maintenance_work_mem"
            )
        return memory

    # -- progress

    def _watched(self, statement: Composed, settings: Mapping[str, str], saying: str) -> None:
        self.set(settings)
        self.say(saying)
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done, saying), daemon=True)
        watcher.start()
        try:
            self.conn.execute(statement)
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event, saying: str) -> None:
        while not done.wait(LOOK_SECONDS):
            with suppress(psycopg.Error, DatabaseUnavailable):
                for row in self.store.rows(upkeep.building(self.collection)):
                    self.say(f"{saying}: {_stage(row)}")


def _stage(row: Row) -> str:
    """A row of pg_stat_progress_create_index in words."""
    if row["waits_for"] is not None:
        return f"{row['phase']} (server process {row['waits_for']} has not ended its transaction)"
    return f"{row['phase']}, {row['percent']:.0f} %" if row["percent"] else str(row["phase"])


def _for_kmeans(wanted: int, server: Row) -> int:
    most: int = max(server["memory"], server["buffers"], KMEANS_LIMIT)
    if wanted > most:
        raise TooLittleMemory(
            f"IVFFlat's k-means needs {wanted // MB:,} MB and there are {most // MB:,}: raise maintenance_work_mem, or give"
            " fewer lists"
        )
    return max(int(server["memory"]), wanted)


def _names(collection: Collection, index: Index) -> list[str]:
    """Names to choose from: while one is replaced there are two of a kind, and a third may have been left."""
    first = f"{collection.chunks_name}_embedding_{index.kind}"
    return [first, *(f"{first}_{number}" for number in range(2, 10))]


_ALONE = {"max_parallel_maintenance_workers": "0"}
