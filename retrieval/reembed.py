"""Give a collection another embedding model while it is searched and written to.

The other model's vectors go into a table of their own, `chunks_<id>_<generation>`: as `chunks_<id>`, but for the type of
the column. Not into a second column: each row filled in there would be a new version of the row, which PostgreSQL puts
into every index of the table again, the vector index in use above all, for as long as the fill takes. So readers and
writers do not notice a fill, and the new index is built over a table that nobody writes to.

* Passages, postings and statistics are keyed by a row's number, which is the same in both tables: they are not touched.
* Rows that are added, changed or deleted meanwhile: a filled row carries the xmin of the row that it was made from
  (reembed_rows). Where that is no longer its xmin, the vector is stale and made anew. Writers do nothing for it.
* The switch: writers are locked out, the last few rows are filled in, and one UPDATE of the collection's row says which
  table is in use. Readers wait for nothing: a statement sees the one table or the other.
* Programs that have looked the collection up within the last minute go on with the old table: old model, old vectors,
  right answers of a minute ago. Then they look again, and a store with the old model raises CollectionMismatch, which
  names both; one that was given `next_embeddings` goes on with these. A write to the old table is refused by a trigger
  as if the table were gone, so that the writer looks again at once.
* The way back is the same work the other way round: what was written since is embedded with the former model.
* Killed anywhere, it goes on where it was: each batch is one transaction, and what is missing is asked of the tables.

One process at a time does it, under a lease that ends by itself when its holder dies.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings
from psycopg import Connection, errors

from howdah.retrieval import options, reembed_rows, upkeep
from howdah.retrieval.building import Says
from howdah.retrieval.cache import EmbeddingCache
from howdah.retrieval.collection import Collection
from howdah.retrieval.embeddings import embed_query_with_retry, identity
from howdah.retrieval.errors import DatabaseUnavailable, InvalidInput
from howdah.retrieval.lease import Lease, LeaseLost
from howdah.retrieval.queries import set_local
from howdah.retrieval.reembed_fill import LOCK_SECONDS, LOCK_TRIES, Filling, check_same, in_use
from howdah.retrieval.reembed_report import ReembedReport, compare
from howdah.retrieval.reembed_state import FILLING, RETURNED, SWITCHED, Generation, Reembedding
from howdah.retrieval.server import connect
from howdah.retrieval.unknown_model import model_of

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

LEASE_SECONDS = 60.0


def reembed(
    store: "PGVector", embeddings: Embeddings | None = None, *, storage: str | None = None,
    queries: Sequence[str] = (), switch: bool = True, lease_seconds: float = LEASE_SECONDS, progress: Says | None = None,
) -> ReembedReport:  # fmt: skip
    """Make the vectors of another model and switch to them; begun before, it goes on where it was.

    Args:
        embeddings: the other model; None goes on with the one that was begun with.
        storage: "halfvec" or "vector"; None is what the collection has.
        queries: what both models find for these is compared, before the switch.
        switch: False makes everything ready and does not switch.
        lease_seconds: how long after its death another run is still waited for.
        progress: told, in a few words, what takes time.

    Raises:
        NotFound: there is no such collection.
        InvalidInput: the model is the one in use; another change is under way; or a vector that cannot be stored.
        DatabaseUnavailable: the server is a replica, or a long transaction holds the tables.
        ModelUnavailable: a model fails; what was made is kept.
    """
    work = _Work(store, lease_seconds, progress)
    return work.run(lambda conn: work.reembed(conn, embeddings, storage, queries, switch=switch))


def rollback(
    store: "PGVector", embeddings: Embeddings | None = None, *,
    lease_seconds: float = LEASE_SECONDS, progress: Says | None = None,
) -> ReembedReport:  # fmt: skip
    """Go back to the former model's vectors; before the switch, drop what has been made of the other's.

    Rows written since the switch are embedded with the former model, `embeddings`, or the one that its name loads.
    """
    work = _Work(store, lease_seconds, progress)
    return work.run(lambda conn: work.rollback(conn, embeddings))


def finish(store: "PGVector", *, lease_seconds: float = LEASE_SECONDS, progress: Says | None = None) -> ReembedReport:
    """Drop the vectors that are not in use. There is no way back from it."""
    work = _Work(store, lease_seconds, progress)
    return work.run(work.finish)


class _Work:
    """One piece of work on one collection. The constructor does no I/O."""

    def __init__(self, vectors: "PGVector", lease_seconds: float, progress: Says | None) -> None:
        self.vectors, self.lease_seconds = vectors, lease_seconds
        self.say: Says = progress or (lambda _: None)
        self.report = ReembedReport(collection=vectors.collection_name)

    @property
    def name(self) -> str:
        return self.vectors.collection_name

    def run(self, work: Callable[[Connection[Any]], None]) -> ReembedReport:
        began = time.perf_counter()
        store = self.vectors.store
        self.used = self._look()
        if store.database.server.read_only:
            place = store.database.conninfo.place
            raise DatabaseUnavailable(f"{place} is a replica and cannot be written to", hint="run it on the primary")
        store.prepare_schema()
        self.lease = Lease(store, self.used, self.lease_seconds, "reembed")
        self.report.held_by = self.lease.take()
        if self.report.held_by is None:
            with self.lease.kept(), connect(store.database.conninfo) as (conn, _):
                store.database.server.register(conn.adapters)
                if not store.database.server.pooler:
                    conn.execute(*upkeep.session_settings({"statement_timeout": "0"}))
                self.used = self._look()  # the lease's last holder may have changed it
                work(conn)
        self._told(self._look())
        self.report.seconds = time.perf_counter() - began
        return self.report

    def _look(self) -> Collection:
        for half in (self.vectors.store, self.vectors.astore):
            half.forget(self.name)
        return self.vectors.store.get(self.name)

    def _told(self, now: Collection) -> None:
        report, found = self.report, now.reembedding
        report.model, report.dimensions, report.storage = now.spec.model, now.dimensions, now.spec.storage.type_name
        report.stage, report.other = (found.stage, found.other.model) if found else ("none", None)
        report.chunks = self.vectors.store.count(now)

    def _may_go_on(self) -> None:
        try:
            self.lease.check()
        except LeaseLost:
            raise DatabaseUnavailable(
                "another process has taken over: this one had not reached the server for too long",
                hint="what is there is kept: run it again",
            ) from None

    def _cache(self, embeddings: Embeddings) -> EmbeddingCache:
        return EmbeddingCache(embeddings, self.vectors._cache_options, tenant=self.used.tenant)

    def _filling(self, conn: Connection[Any], found: Reembedding) -> Filling:
        return Filling(
            conn, self.vectors.store, self.used, found, report=self.report, say=self.say, may_go_on=self._may_go_on
        )

    # -- forth

    def reembed(
        self, conn: Connection[Any], embeddings: Embeddings | None, storage: str | None, queries: Sequence[str], *,
        switch: bool,
    ) -> None:  # fmt: skip
        embeddings, wanted = self._wanted(embeddings, storage)
        if self.used.reembedding is None:
            self._begin(conn, wanted)
        found = self._under_way()
        work, cache = self._filling(conn, found), self._cache(embeddings)
        self.report.pending = self.vectors.store.count(self.used)
        work.all(cache)
        work.index(self._warn)
        work.measure()
        work.all(cache)
        if queries:
            self._compare(work, embeddings, queries)
        if switch:
            self.say(f"switching to {found.other.model}")
            work.switch(lambda: cache, stage=SWITCHED)

    def _wanted(self, embeddings: Embeddings | None, storage: str | None) -> tuple[Embeddings, Generation]:
        """The other model, and what is to be made with it; its number is not known yet. Raises InvalidInput."""
        found, used = self.used.reembedding, Generation.of(self.used)
        if embeddings is None and found is None:
            raise InvalidInput(f"no change of the model of {self.name!r} has begun", hint="name a model: --model")
        if found is not None and found.stage == SWITCHED:
            raise InvalidInput(
                f"collection {self.name!r} has been switched from {found.other.model!r} to {used.model!r} already",
                hint=f"first end that: howdah collections reembed {self.name} --finish (or --rollback)",
            )
        if embeddings is None:
            assert found is not None
            embeddings = model_of(found.other.model)
        wanted_storage = options.storage_of(storage) or self.used.spec.storage
        wanted = Generation(
            number=0,
            model=identity(embeddings).name,
            dimensions=len(embed_query_with_retry(embeddings, "one embedding tells its dimensions")),
            storage=found.other.storage if found and storage is None else wanted_storage.type_name,
        )
        if wanted.same(used):
            raise InvalidInput(f"collection {self.name!r} is embedded with {used.model!r} already")
        if found is not None and not wanted.same(found.other):
            raise InvalidInput(
                f"collection {self.name!r} is being embedded with {found.other.model!r} and this says {wanted.model!r}",
                hint=f"to drop what has been made: howdah collections reembed {self.name} --rollback",
            )
        return embeddings, wanted

    def _begin(self, conn: Connection[Any], wanted: Generation) -> None:
        """Make the other table, and remember it."""
        with self._locked(conn) as settings:
            number = settings.get("generations", 0) + 1
            begun = Reembedding(stage=FILLING, other=replace(wanted, number=number))
            for statement in reembed_rows.prepare(self.used, begun.other.within(self.used)):
                conn.execute(statement)
            state = {"generations": number, "reembedding": begun.to_json()}
            conn.execute(*reembed_rows.remember(self.used, state))
        self.used = self._look()

    @contextmanager
    def _locked(self, conn: Connection[Any]) -> Iterator[dict[str, Any]]:
        """A transaction in which nobody else reads or writes the chunks; gives the collection's settings."""
        with conn.transaction():
            self._lock(conn)
            rows = conn.execute(*reembed_rows.settings_of(self.used, lock=True)).fetchall()
            check_same([{"settings": row[0]} for row in rows], self.used, self.used.reembedding)
            yield rows[0][0]

    def _lock(self, conn: Connection[Any]) -> None:
        conn.execute(*set_local({"lock_timeout": f"{LOCK_SECONDS}s", "statement_timeout": "0"}))
        for _ in range(LOCK_TRIES):
            try:
                with conn.transaction():
                    conn.execute(reembed_rows.lock_whole(self.used))
                return
            except errors.LockNotAvailable:
                time.sleep(0.1)  # those who came meanwhile go first
        raise in_use(self.used)

    def _compare(self, work: Filling, embeddings: Embeddings, queries: Sequence[str]) -> None:
        self.say(f"comparing the answers to {len(queries):,} queries")
        mine = self.vectors.embeddings
        current = mine if identity(mine).name == self.used.spec.model else model_of(self.used.spec.model)
        store = self.vectors.store
        caches = [self._cache(model) for model in (current, embeddings)]
        before, after = (lambda query, cache=cache: cache.query(store, query) for cache in caches)
        self.report.overlap = compare(store, (self.used, before), (work.other, after), queries)
        for cache in caches:
            cache.flush(store)

    def _warn(self, text: str) -> None:
        self.report.warnings.append(text)
        self.say(text)

    # -- back, and the end

    def rollback(self, conn: Connection[Any], embeddings: Embeddings | None) -> None:
        found = self._under_way()
        if found.stage != SWITCHED:
            self._drop_other(conn, found)
            return
        if embeddings is not None and identity(embeddings).name != found.other.model:
            raise InvalidInput(
                f"the former model of {self.name!r} is {found.other.model!r} and this is {identity(embeddings).name!r}",
                hint="leave the model out",
            )
        former: list[EmbeddingCache] = []

        def cache() -> EmbeddingCache:
            """Only where something was written since: the former model may be gone, and is then not missed."""
            if not former:
                former.append(self._cache(embeddings or model_of(found.other.model)))
            return former[0]

        self.say(f"going back to {found.other.model}")
        self._filling(conn, found).switch(cache, stage=RETURNED)

    def finish(self, conn: Connection[Any]) -> None:
        found = self._under_way()
        if found.stage == FILLING:
            raise InvalidInput(
                f"collection {self.name!r} has not been switched to {found.other.model!r} yet",
                hint=f"run: howdah collections reembed {self.name} (or --rollback, which drops what has been made)",
            )
        self._drop_other(conn, found)

    def _under_way(self) -> Reembedding:
        if self.used.reembedding is None:
            raise InvalidInput(f"no change of the model of {self.name!r} is under way or can be taken back")
        return self.used.reembedding

    def _drop_other(self, conn: Connection[Any], found: Reembedding) -> None:
        self.say(f"dropping the vectors of {found.other.model}")
        with self._locked(conn):
            for statement in reembed_rows.finish(self.used, found.other.within(self.used)):
                conn.execute(statement)
            conn.execute(*reembed_rows.remember(self.used, {"reembedding": None}))
