"""One index over a sample of rows, in a temporary table of the session's own: built, asked and timed."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from howdah.retrieval import upkeep
from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.kinds import Index
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.query import Query
from howdah.retrieval.reach import Reach
from howdah.retrieval.recall import Truth, recall_of
from howdah.retrieval.tuning_grid import efforts
from howdah.retrieval.tuning_types import NOTHING, Build
from howdah.retrieval.types import Array
from howdah.retrieval.wire import vector

EVERY = SQL("true")


@dataclass(frozen=True)
class Bench:
    """A session of our own, and what is asked in it: queries (n, d) for k rows. `source` is the table of sampled rows."""

    conn: Connection[Any]
    collection: Collection
    asked: Array
    k: int
    source: Identifier

    def rows(self, query: Query) -> list[dict[str, Any]]:
        return self.conn.cursor(row_factory=dict_row).execute(*query, prepare=True).fetchall()

    def run(self, statement: Composed) -> None:
        self.conn.execute(statement)

    def set(self, settings: dict[str, str]) -> None:
        self.conn.execute(*upkeep.session_settings(settings))


class Trial:
    """One index, over a copy of the sampled rows that are stored as `spec` says. Building it is the first thing it does."""

    def __init__(self, bench: Bench, spec: Spec, index: Index, *, name: str) -> None:
        self.bench, self.spec, self.index = bench, spec, index
        self.table = Identifier("pg_temp", name)
        self.schema = bench.collection.vector_schema
        self._copy(name)
        self.truths = [Truth.of(bench.rows(self._query(self._exactly(), query)), bench.k) for query in bench.asked]
        self.build_seconds = self._build()
        self.options, self.met, self.recall = SearchOptions(), False, NOTHING
        self.times: list[float] = []

    def _copy(self, name: str) -> None:
        column = Identifier(self.schema, self.spec.storage.type_name)
        self.bench.run(
            SQL("CREATE TEMPORARY TABLE {} (n bigint, tenant text, embedding {}({}))").format(
                Identifier(name), column, Literal(self.spec.dimensions)
            )
        )
        if self.spec.inline:
            self.bench.run(SQL("ALTER TABLE {} ALTER COLUMN embedding SET STORAGE PLAIN").format(self.table))
        self.bench.run(SQL("INSERT INTO {} SELECT n, tenant, embedding FROM {}").format(self.table, self.bench.source))

    def _build(self) -> float:
        """The seconds that it takes, without the table."""
        index, spec = self.index, self.spec
        began = time.perf_counter()
        self.bench.run(
            SQL("CREATE INDEX ON {} USING hnsw ({} {}) WITH ({})").format(
                self.table,
                index.held(spec, self.schema, SQL("embedding")),
                index.opclass(spec, self.schema),
                index.with_options(),
            )
        )
        return time.perf_counter() - began

    def seek(self, target: float) -> None:
        """The least effort whose recall meets the target at its low end; the most where none does."""
        for options in efforts(self.index, self.spec, self.bench.k):
            self.options = options
            self._set_beam()
            answers = [self.bench.rows(self._query(self._nearest(), query)) for query in self.bench.asked]
            got = [truth.found(rows) for truth, rows in zip(self.truths, answers, strict=True)]
            self.recall = recall_of(got, [truth.wanted for truth in self.truths]) or NOTHING
            self.met = self.recall.low >= target
            if self.met:
                return

    def time(self, low: int, high: int) -> None:
        """Ask these queries at the effort that was found."""
        self._set_beam()
        for query in self.bench.asked[low:high]:
            statement, began = self._query(self._nearest(), query), time.perf_counter()
            self.bench.rows(statement)
            self.times.append(1_000 * (time.perf_counter() - began))

    def report(self) -> Build:
        [row] = self.bench.rows(Query(SQL("SELECT pg_indexes_size({}::regclass) AS bytes").format(self._name()), {}))
        each = np.median(np.reshape(self.times, (-1, len(self.bench.asked))), axis=0)
        return Build(
            kind=self.index.form.type_name, m=self.index.options["m"],
            ef_construction=self.index.options["ef_construction"], bytes=int(row["bytes"]),
            build_seconds=self.build_seconds, met=self.met, ef_search=self.options.ef_search or 0,
            oversample=self.options.oversample, recall=self.recall, p50=float(np.median(each)),
            p95=float(np.quantile(each, 0.95)),
        )  # fmt: skip

    def _name(self) -> Literal:
        return Literal(self.table.as_string(None))

    def _set_beam(self) -> None:
        self.bench.set({"hnsw.ef_search": str(self.options.ef_search)})

    def _nearest(self) -> Composed:
        return Reach(self.spec, self.schema, self.index, self.options.oversample).nearest(
            self.table, EVERY, self.bench.k
        )

    def _exactly(self) -> Composed:
        return Reach(self.spec, self.schema).exactly(self.table, EVERY, self.bench.k)

    def _query(self, found: Composed, query: Array) -> Query:
        statement = SQL("SELECT n AS id, distance FROM ({}) AS found ORDER BY distance + 0").format(found)
        return Query(statement, {"tenant": self.bench.collection.tenant, "embedding": vector(query, self.spec.storage)})
