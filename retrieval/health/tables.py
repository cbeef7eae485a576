"""A table of vectors, and the heaps that belong to it: what the catalogs and the statistics collector know."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from psycopg.sql import SQL

from howdah.retrieval.adopt_sources import Kind
from howdah.retrieval.choosing import THRESHOLD, THRESHOLD_OUTSIDE, Wish, threshold_for
from howdah.retrieval.collection import SCHEMA, Collection, Metric, Storage
from howdah.retrieval.kinds import Form
from howdah.retrieval.query import Query
from howdah.retrieval.relations import Column, Index, Relation

OFF = 0.1
"""Share of a table's rows by which what the collector counts may differ from them."""
TOAST = 2_000
"""Bytes of a row above which PostgreSQL puts an EXTERNAL value, which vectors are, beside the row."""


@dataclass(frozen=True, kw_only=True)
class VectorTable:
    """One column of vectors. `rows` is a count of a collection's, and of others the planner's or an estimate by a sample.

    `dimensions` is the declared number, else that of some row; None where there is none. `analyzed`: the planner has
    statistics. `wish` is what a collection was told of its index.
    """

    relation: Relation
    column: Column
    rows: int
    analyzed: bool
    collection: Collection | None = None
    kind: Kind | None = None
    wish: Wish | None = None
    several: bool = False

    @property
    def subject(self) -> str:
        """As people call it."""
        if self.collection is not None:
            tenant = f"{self.collection.tenant}/" if self.collection.tenant else ""
            return f"collection {tenant}{self.collection.name}"
        return f"table {self.relation.shown}" + (f", column {self.column.name}" if self.several else "")

    @property
    def relations(self) -> list[str]:
        """Schema-qualified names of its heaps, as regclass reads them."""
        if self.collection is None:
            return [self.relation.shown]
        names = [self.collection.chunks_name, f"passages_{self.collection.id}"]
        if self.collection.spec.lexical:
            names += [f"postings_{self.collection.id}", f"terms_{self.collection.id}"]
        return [f"{SCHEMA}.{name}" for name in names]

    @property
    def storage(self) -> Storage:
        assert self.column.storage is not None
        return self.column.storage

    @property
    def dimensions(self) -> int | None:
        return self.collection.dimensions if self.collection else self.column.dimensions

    @property
    def threshold(self) -> int:
        """Rows from which an index pays; fewer where vectors lie beside their rows."""
        if self.collection is not None:
            return threshold_for(self.collection.spec)
        beside = self.dimensions is not None and self.storage.row_bytes(self.dimensions) > TOAST
        return THRESHOLD_OUTSIDE if beside else THRESHOLD

    @property
    def large(self) -> bool:
        return self.rows >= self.threshold

    @property
    def metric(self) -> Metric | None:
        """The distance that searches use: a collection's own, cosine for the libraries that have it as default, else unknown."""
        if self.collection is not None:
            return self.collection.spec.metric
        return Metric.COSINE if self.kind in (Kind.PGVECTOR, Kind.PGVECTORSTORE, Kind.LLAMAINDEX) else None

    @property
    def indexable(self) -> bool:
        """Whether an index takes the column as it is declared."""
        return self.dimensions is not None and self.dimensions <= Form.of(self.storage.type_name).limit

    @property
    def indexes(self) -> list[Index]:
        """Every index over the column, or over an expression of it, that finds nearest rows."""
        return [
            index for index in self.relation.indexes if index.method in ("hnsw", "ivfflat") and self._of_column(index)
        ]

    @property
    def fitting(self) -> list[Index]:
        """The valid indexes whose operator class is that of the searches."""
        return [index for index in self.indexes if index.valid and self.fits(index)]

    def fits(self, index: Index) -> bool:
        """Whether its operator class is one that searches order by; any is where their distance is not known."""
        bits = index.opclasses[0] == "bit_hamming_ops"
        if self.collection is not None:
            return bits or index.metric is self.metric
        return index.serves(self.column) and (self.metric is None or index.metric is self.metric)

    def _of_column(self, index: Index) -> bool:
        return index.columns[0] == self.column.name or (
            index.columns[0] is None and self.column.name in index.definition
        )


def sizes(shown: str) -> Query:
    """The planner's rows of a table; where it was never analyzed, what its blocks may hold, counted up to the threshold."""
    return Query(
        SQL("""
            SELECT greatest(coalesce(nullif(c.reltuples, -1), s.n_live_tup, 0), coalesce(s.n_live_tup, 0))::bigint AS rows,
                   EXISTS (SELECT FROM pg_stats AS t WHERE t.schemaname = n.nspname AND t.tablename = c.relname) AS analyzed
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid WHERE c.oid = %(table)s::regclass
        """),
        {"table": shown},
    )


@dataclass(frozen=True, kw_only=True)
class Heap:
    """A table as PostgreSQL keeps it. `large`: its vectors are many enough for an index.

    `rows` is the planner's number as of the last VACUUM or ANALYZE, `grown`: it has
    more pages since; `live`, `dead` and `modified` are the statistics collector's. `bytes` are those of its pages, `width` the
    planner's of a row in them, `total` with what lies beside them and with indexes; ages are in transactions.
    """

    subject: str
    table: str
    large: bool
    rows: int
    grown: bool
    live: int
    dead: int
    modified: int
    analyzed: bool
    bytes: int
    total: int
    width: int
    age: int
    multi_age: int
    vacuums: bool
    logged: bool

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        return cls(**row)

    @property
    def counted(self) -> bool:
        """Whether the collector's numbers can be true: a session may tell of its rows only after they were vacuumed, and then
        neither all that is counted nor what lives of it is what was there.
        """
        off = min(abs(self.live - self.rows), abs(self.live + self.dead - self.rows))
        return self.grown or off <= OFF * self.rows


def heaps(tables: Sequence[VectorTable]) -> Query:
    """The heaps of these tables, each once; those that are gone are left out."""
    named = [(table.subject, name, table.large) for table in tables for name in table.relations]
    return Query(
        SQL("""
            SELECT DISTINCT ON (c.oid) t.subject, t.name AS "table", t.large, greatest(c.reltuples, 0)::bigint AS rows,
                   c.reltuples < 0 OR pg_relation_size(c.oid) / current_setting('block_size')::int > c.relpages AS grown,
                   coalesce(s.n_live_tup, 0) AS live, coalesce(s.n_dead_tup, 0) AS dead,
                   coalesce(s.n_mod_since_analyze, 0) AS modified,
                   coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL
                     OR EXISTS (SELECT FROM pg_stats AS p WHERE p.schemaname = n.nspname AND p.tablename = c.relname) AS analyzed,
                   pg_relation_size(c.oid) AS bytes, pg_total_relation_size(c.oid) AS total,
                   (SELECT coalesce(sum(p.avg_width * (1 - p.null_frac)), 0) FROM pg_stats AS p
                    WHERE p.schemaname = n.nspname AND p.tablename = c.relname AND NOT p.inherited)::int AS width,
                   age(c.relfrozenxid) AS age, mxid_age(c.relminmxid) AS multi_age,
                   coalesce(c.reloptions::text !~* 'autovacuum_enabled=(f|of|n|0)', true) AS vacuums,
                   c.relpersistence <> 'u' AS logged
            FROM unnest(%(subjects)s::text[], %(names)s::text[], %(large)s::bool[]) AS t (subject, name, large)
            JOIN pg_class AS c ON c.oid = to_regclass(t.name) JOIN pg_namespace AS n ON n.oid = c.relnamespace
            LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
        """),
        dict(zip(("subjects", "names", "large"), map(list, zip(*named, strict=True)), strict=True)),
    )
