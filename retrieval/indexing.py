"""Which of a collection's vector indexes stay, which go, and which are built: the new one first, then the old one goes."""

from collections.abc import Callable

from psycopg import errors

from howdah.retrieval import upkeep
from howdah.retrieval.building import Builder, Row, TooLittleMemory
from howdah.retrieval.choosing import Wish, choose
from howdah.retrieval.kinds import Index, Method
from howdah.retrieval.recall import index_recall
from howdah.retrieval.report import MaintenanceReport

POOR = 0.9
"""A recall below is a warning."""
OUTGROWN = 2
"""An IVFFlat index over so many times the rows that its lists were found among is built anew."""


class Indexing:
    """The index of one collection brought to what was wished. `may_go_on` is asked before what takes long, and raises."""

    def __init__(
        self, builder: Builder, report: MaintenanceReport, wish: Wish, *,
        threshold: int, indexed_rows: int | None, may_go_on: Callable[[], None], changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.builder, self.report, self.wish, self.threshold = builder, report, wish, threshold
        self.indexed_rows, self.may_go_on, self.changed = indexed_rows, may_go_on, changed

    def mend(self, *, reindex: bool) -> None:
        """Drop what an interrupted build left, and all where none is wanted; rebuild the valid ones where asked to."""
        found = self.builder.indexes()
        dead = [row for row in found if not row["valid"]]
        self.report.dead = len(dead)
        self.builder.drop(found if self.wish.policy == "none" else dead)
        if self.wish.policy == "none" and len(found) > len(dead):
            self.report.index = "dropped"
            self.changed()
        elif reindex:
            for row in found:
                if row["valid"]:
                    self._reindex(row)

    def _reindex(self, row: Row) -> None:
        self.may_go_on()
        try:
            self.builder.rebuild(row, self.report.rows)
        except TooLittleMemory as exc:
            self.builder.warn(f"{row['name']} was not rebuilt: {exc}")
            return
        self.report.index = "reindexed"
        if Index.of(row).method is Method.IVFFLAT:
            self._lists_found()

    def settle(self) -> None:
        """Keep the index that serves the wish, else build it; then drop the others."""
        valid = [row for row in self.builder.indexes() if row["valid"]]
        choice = choose(self.wish, self.builder.collection.spec, rows=self.report.rows, threshold=self.threshold)
        self.report.why = choice.why
        if choice.warning is not None:
            self.builder.warn(choice.warning)
        if choice.index is None:
            self._without(valid)
        else:
            serving = [row for row in valid if self._serves(row, choice.index)]
            if serving or self._built(choice.index, replaces=bool(valid)):
                self._keep(serving, valid)
            elif valid:
                self._kept()
        self._look()
        if self.report.index in ("built", "rebuilt", "reindexed"):
            self._measure()

    def _without(self, valid: list[Row]) -> None:
        if valid:
            self.report.why += "; the index that is there is kept"
            self._kept()

    def _kept(self) -> None:
        if self.report.index == "none":
            self.report.index = "kept"

    def _keep(self, serving: list[Row], valid: list[Row]) -> None:
        if serving:
            self._kept()
        self.changed()
        others = [row for row in valid if row not in serving[:1]]
        self.builder.drop(others)

    def _measure(self) -> None:
        """What is found with the index as it is now."""
        store = self.builder.store
        self.builder.say("measuring what is found with it")
        self.report.recall = index_recall(store, store.get(self.report.collection), rows=self.report.rows)
        if self.report.recall is not None and self.report.recall < POOR:
            self.builder.warn(
                f"with this index a search finds {self.report.recall:.0%} of the ten nearest; {_REMEDIES[str(self.report.kind)]}"
            )

    def _serves(self, row: Row, wanted: Index) -> bool:
        """Whether it is of the wanted kind, has the options that were asked for, and is not outgrown."""
        there = Index.of(row)
        if (there.method, there.form) != (wanted.method, wanted.form):
            return False
        if any(there.options.get(name) != value for name, value in self.wish.options.items()):
            return False
        among = self.indexed_rows or 1_000 * there.options.get("lists", 0)
        if there.method is Method.IVFFLAT and self.report.rows >= OUTGROWN * among:
            self.report.why += f"; its lists were found among {among:,} rows"
            return False
        return True

    def _built(self, index: Index, *, replaces: bool) -> bool:
        self.may_go_on()
        builder = self.builder
        try:
            self.report.build_seconds = builder.create(index, self.report.rows)
        except TooLittleMemory as exc:
            builder.warn(str(exc))
            return False
        except errors.NumericValueOutOfRange as exc:
            builder.drop([row for row in builder.indexes() if not row["valid"]])
            builder.warn(
                f"an embedding cannot be indexed in half precision ({exc.diag.message_primary}): every search is exact;"
                " normalise the embeddings"
            )
            return False
        self.report.index = "rebuilt" if self.report.dead or replaces else "built"
        if index.method is Method.IVFFLAT:
            self._lists_found()
        return True

    def _lists_found(self) -> None:
        self.indexed_rows = self.report.rows
        remembered = upkeep.remember(self.builder.collection, {"indexed_rows": self.report.rows})
        self.builder.store.execute(remembered)

    def _look(self) -> None:
        """What there is now, into the report."""
        for row in self.builder.indexes()[:1]:
            self.report.index_bytes = row["bytes"]
            self.report.kind = Index.of(row).kind


_REMEDIES = {
    "bits": "a larger oversample finds more, or index='none' all: bits suit vectors that lie around 0",
    "ivfflat": "more probes find more, and index='hnsw' mostly the most",
    "hnsw": "a wider ef_search finds more, or an index with m=32",
}
