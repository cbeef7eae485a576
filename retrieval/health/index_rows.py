"""The vector indexes in use: their size, and how they are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL

from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.tables import VectorTable
from howdah.retrieval.query import Query
from howdah.retrieval.relations import Index


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """A vector index in use, `name` as SQL writes it: `scans` since the statistics began; `hit` and `read` are pages from
    memory and from below it. `table_scans` are reads of the whole table; `cached` the share of its pages in shared_buffers,
    None where nobody tells.
    """

    index: str
    name: str
    bytes: int
    scans: int
    hit: int
    read: int
    table_scans: int
    options: tuple[str, ...]
    cached: float | None = None

    def option(self, name: str, default: int) -> int:
        """A storage parameter: lists, m or ef_construction."""
        return next((int(item.partition("=")[2]) for item in self.options if item.startswith(f"{name}=")), default)


def _rows(shown: str) -> Query:
    return Query(
        SQL("""
            SELECT i.relname::text AS index, quote_ident(n.nspname) || '.' || quote_ident(i.relname) AS name,
                   pg_relation_size(i.oid) AS bytes, coalesce(s.idx_scan, 0) AS scans,
                   coalesce(o.idx_blks_hit, 0) AS hit, coalesce(o.idx_blks_read, 0) AS read,
                   coalesce(t.seq_scan, 0) AS table_scans, coalesce(i.reloptions, '{}') AS options
            FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_am AS a ON a.oid = i.relam
            JOIN pg_namespace AS n ON n.oid = i.relnamespace
            LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = i.oid
            LEFT JOIN pg_statio_all_indexes AS o ON o.indexrelid = i.oid
            LEFT JOIN pg_stat_all_tables AS t ON t.relid = x.indrelid
            WHERE x.indrelid = %(table)s::regclass AND a.amname IN ('hnsw', 'ivfflat')
              AND x.indisvalid AND x.indisready AND x.indislive ORDER BY i.oid
        """),
        {"table": shown},
    )


def index_rows(patient: Patient, table: VectorTable | None = None) -> list[IndexRow]:
    """The valid vector indexes of a table, or of all."""
    shown = dict.fromkeys(one.relation.shown for one in ([table] if table else patient.tables))
    rows = [row for name in shown for row in patient.plain.rows(_rows(name))]
    return [IndexRow(**{**row, "options": tuple(row["options"])}) for row in rows]


def pairs(table: VectorTable, rows: Sequence[IndexRow]) -> Iterator[tuple[IndexRow, Index]]:
    """Each with what the catalog says of it, of those over this column."""
    named = {index.name: index for index in table.indexes}
    return ((row, named[row.index]) for row in rows if row.index in named)
