"""The vectors of the other model: made in batches beside readers and writers, with an index, and switched to."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from psycopg import Connection, errors
from psycopg.rows import dict_row

from howdah.retrieval import reembed_rows, upkeep
from howdah.retrieval.building import Builder, Row, Says, TooLittleMemory
from howdah.retrieval.cache import EmbeddingCache
from howdah.retrieval.choosing import Wish, choose, threshold_for
from howdah.retrieval.chunking import passage_text
from howdah.retrieval.collection import Collection, Metric
from howdah.retrieval.errors import DatabaseUnavailable, NotFound
from howdah.retrieval.kinds import Index
from howdah.retrieval.plans import checked
from howdah.retrieval.queries import set_local
from howdah.retrieval.query import Query
from howdah.retrieval.reembed_report import ReembedReport
from howdah.retrieval.reembed_state import Reembedding
from howdah.retrieval.store import Store

FEW = 32
"""Rows that may be left for the switch itself, while writers wait: a third of a second of the local model."""
PASSES = 20
LOCK_SECONDS, LOCK_TRIES = 2, 15
"""How long a lock is waited for at once, since all who come later wait behind it; and how often it is tried."""
PAUSE = 0.2
OURS = {"howdah.reembedding": "on"}


class Filling:
    """The work on one collection, on a connection of its own. `may_go_on` is asked before every batch, and raises."""

    def __init__(
        self, conn: Connection[Any], store: Store, used: Collection, found: Reembedding, *,
        report: ReembedReport, say: Says, may_go_on: Callable[[], None],
    ) -> None:  # fmt: skip
        self.conn, self.store, self.used, self.found = conn, store, used, found
        self.other = found.other.within(used)
        self.report, self.say, self.may_go_on = report, say, may_go_on

    def rows(self, query: Query) -> list[Row]:
        return self.conn.cursor(row_factory=dict_row).execute(*query).fetchall()

    # -- filling

    def all(self, cache: EmbeddingCache) -> None:
        """Pass after pass until hardly a row is left; what writers change meanwhile is the next pass's."""
        for _ in range(PASSES):
            if self.one_pass(cache) <= FEW:
                return
        raise DatabaseUnavailable(
            f"collection {self.used.name!r} is written to faster than {self.other.spec.model!r} embeds",
            hint="what is there is kept: run it again when the load is over",
        )

    def one_pass(self, cache: EmbeddingCache) -> int:
        """Fill in every row that is missing or stale; how many there were."""
        self._swept()
        after = count = 0
        while rows := self._pending(after):
            self.may_go_on()
            self.write(rows, cache)
            after, count = rows[-1]["n"], count + len(rows)
            self.say(f"embedding with {self.other.spec.model}: {self._progress()}")
        return count

    def _progress(self) -> str:
        done = self.report.embedded + self.report.cached
        return f"{done:,} chunks of {self.report.pending:,}" if self.report.pending >= done else f"{done:,} chunks"

    def _swept(self) -> None:
        with self.conn.transaction():
            self.conn.execute(*set_local(OURS | reembed_rows.PROBES))
            self.conn.execute(*reembed_rows.sweep(self.used, self.other))

    def _pending(self, after: int, limit: int = reembed_rows.BATCH) -> list[Row]:
        with self.conn.transaction():
            self.conn.execute(*set_local(reembed_rows.PROBES))
            return self.rows(reembed_rows.pending(self.used, self.other, after=after, limit=limit))

    def write(self, rows: list[Row], cache: EmbeddingCache) -> None:
        """Embed these rows, through the cache, and write what still holds, in one transaction."""
        texts = [passage_text(row["source"], row["title"], row["section"], row["content"]) for row in rows]
        embedded = cache.passages(self.store, texts, dimensions=self.other.dimensions)
        spec = self.other.spec
        vectors = checked(embedded.vectors, count=len(rows), spec=spec, collection=self.used.name)
        oid = self.store.database.server.types[spec.storage.type_name][0]
        with self.conn.transaction():
            self.conn.execute(*set_local(OURS))
            written = self.conn.execute(*reembed_rows.fill(self.used, self.other, rows, vectors, oid)).rowcount
        self.report.cached += min(embedded.found, written)
        self.report.embedded += written - min(embedded.found, written)

    # -- its index

    def index(self, warn: Says) -> None:
        """Give the new vectors the index that their number and dimensions call for, beside readers and writers."""
        builder = Builder(self.conn, self.store, self.other, say=self.say, warn=warn, workers=None)
        builder.set({"statement_timeout": "0", "lock_timeout": "0"})
        found = builder.indexes()
        builder.drop([row for row in found if not row["valid"]])
        self.say("vacuuming")
        self.conn.execute(reembed_rows.analyze(self.other))
        if not any(row["valid"] for row in found):
            self._build(builder, warn)
        if builder.rows(upkeep.metadata_index(self.used)) and not builder.rows(upkeep.metadata_index(self.other)):
            self.say("building the index of the metadata")
            self.conn.execute(upkeep.create_metadata_index(self.other))
        kept = [row for row in builder.indexes() if row["valid"]]
        self.other = replace(self.other, index=Index.of(kept[0]) if kept else None)
        self.report.index = self.other.index.kind if self.other.index else None

    def _build(self, builder: Builder, warn: Says) -> None:
        [row] = self.rows(upkeep.wish(self.used))
        wish, rows = Wish(policy=row["policy"], **row["options"]), self.store.count(self.used)
        choice = choose(wish, self.other.spec, rows=rows, threshold=threshold_for(self.other.spec))
        if choice.index is None:
            return
        self.may_go_on()
        try:
            builder.create(choice.index, rows)
        except (TooLittleMemory, errors.NumericValueOutOfRange) as exc:
            builder.drop([row for row in builder.indexes() if not row["valid"]])
            warn(f"no index was built, so searches are exact until maintenance builds one: {exc}")

    def measure(self) -> None:
        """c0 of the new vectors, where the dense scale begins."""
        if self.other.spec.metric is Metric.COSINE:
            c0 = self.rows(upkeep.mean_cosine(self.other))[0]["c0"]
            scales = {} if c0 is None else {"c0": upkeep.c0_of(c0)}
            self.found = replace(self.found, other=replace(self.found.other, scales=scales))

    # -- switching

    def switch(self, cache: Callable[[], EmbeddingCache], *, stage: str) -> None:
        """Put the other vectors in use, in one transaction: writers wait for it, readers do not."""
        for _ in range(LOCK_TRIES):
            self.may_go_on()
            with suppress(errors.LockNotAvailable):
                if self._switched(cache, stage):
                    return
                time.sleep(PAUSE)  # a row may be held by a transaction that goes on
                self.all(cache())
        raise in_use(self.used)

    def _switched(self, cache: Callable[[], EmbeddingCache], stage: str) -> bool:
        """False where more is left than writers can be kept waiting for."""
        with self.conn.transaction():
            self.conn.execute(*set_local({"lock_timeout": f"{LOCK_SECONDS}s", "statement_timeout": "0", **OURS}))
            self.conn.execute(reembed_rows.lock(self.used))
            self.conn.execute(reembed_rows.lock(self.other))
            check_same(self.rows(reembed_rows.settings_of(self.used, lock=True)), self.used, self.found)
            self._swept()
            left = self._pending(0, FEW + 1)
            if len(left) > FEW:
                return False
            if left:
                self.write(left, cache())
                if self._pending(0, 1):
                    return False
            for statement in (
                reembed_rows.guard(self.used, refuses=True),
                reembed_rows.guard(self.other, refuses=False),
            ):
                self.conn.execute(statement)
            self.rows(reembed_rows.go_on_numbering(self.used, self.other))
            self.conn.execute(*reembed_rows.put_in_use(self.used, self.found, stage=stage))
        self.report.in_the_switch = len(left)
        return True


def check_same(rows: Sequence[Mapping[str, Any]], used: Collection, found: Reembedding | None) -> None:
    """Raise NotFound or DatabaseUnavailable where another process has dropped the collection, or changed its vectors."""
    if not rows:
        raise NotFound(f"collection {used.name!r} was dropped meanwhile")
    settings = rows[0]["settings"]
    now = Reembedding.of(settings)
    mine = (found.stage, found.other.number) if found else None
    if settings.get("generation", 0) != used.generation or (now and (now.stage, now.other.number)) != mine:
        raise DatabaseUnavailable(
            f"another process has changed the embedding model of collection {used.name!r} meanwhile",
            hint="run it again",
        )


def in_use(used: Collection) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"collection {used.name!r} stayed in use; its vectors are the same as before",
        hint="run it again when no long transaction holds it",
    )
