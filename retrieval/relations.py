"""What PostgreSQL's catalog says of tables that are not ours: columns, indexes, and whether they may be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier, Literal

from howdah.retrieval.collection import SCHEMA, Metric, Storage
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Query

HEAP = ("r", "m")
"""pg_class.relkind of what has rows of its own, in blocks: tables and materialised views."""


def name(*parts: str) -> Identifier:
    """A foreign name for a statement that is run with parameters, where psycopg takes a % for a placeholder."""
    return Identifier(*(part.replace("%", "%%") for part in parts))


def literal(text: str) -> Literal:
    """A foreign text, likewise."""
    return Literal(text.replace("%", "%%"))


@dataclass(frozen=True, kw_only=True)
class Column:
    """`type` is as DDL writes it; `base` the bare name. `dimensions` only of a vector that declares them."""

    name: str
    type: str
    base: str
    storage: Storage | None = None
    dimensions: int | None = None


@dataclass(frozen=True, kw_only=True)
class Index:
    """`columns` holds None for an expression; `opclasses` are bare names, one for each column."""

    name: str
    method: str
    columns: tuple[str | None, ...]
    opclasses: tuple[str, ...]
    valid: bool
    unique: bool
    partial: bool
    definition: str

    @property
    def metric(self) -> Metric | None:
        """The distance that its operator class orders by; None for other indexes."""
        name = self.opclasses[0]
        found = (m for m in Metric if any(name == f"{s.type_name}_{m.opclass}" for s in Storage))
        return next(found, None)

    def serves(self, column: Column) -> bool:
        """Whether a search of the plain column may go through it; a partial one where its condition allows."""
        storage = column.storage
        fits = storage is not None and self.opclasses[0].startswith(f"{storage.type_name}_")
        return self.valid and self.columns[0] == column.name and fits


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table, view or partitioned table. `hidden` says that row-level security may keep rows from this user."""

    schema: str
    name: str
    vector_schema: str
    kind: str
    owner: str
    user: str
    readable: bool
    hidden: bool
    blocks: int
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]

    @property
    def identifier(self) -> Identifier:
        return name(self.schema, self.name)

    @property
    def shown(self) -> str:
        """The name as SQL would have it: quoted where it has to be."""
        return shown(self.schema, self.name)

    def column(self, name: str) -> Column:
        """The column of that name; InvalidInput lists those that there are."""
        for column in self.columns:
            if column.name == name:
                return column
        known = ", ".join(column.name for column in self.columns)
        raise InvalidInput(f"{self.shown} has no column {name!r}", hint=f"its columns are {known}")

    def has(self, *names: str) -> bool:
        return set(names) <= {column.name for column in self.columns}

    @property
    def vectors(self) -> list[Column]:
        return [column for column in self.columns if column.storage is not None]

    def is_unique(self, column: str) -> bool:
        return any(i.unique and i.valid and not i.partial and i.columns == (column,) for i in self.indexes)

    def key(self) -> str | None:
        """The column that a unique index names rows by, where there is one."""
        return next((c.name for c in self.columns if self.is_unique(c.name)), None)

    def vector_indexes(self, column: str) -> list[Index]:
        """Indexes that order by a distance of the column, or of an expression of it."""
        return [
            index
            for index in self.indexes
            if index.metric
            and (index.columns[0] == column or (index.columns[0] is None and column in index.definition))
        ]

    def metric(self, column: str) -> tuple[Metric, Index | None]:
        """The distance that the column's indexes are for, and one of them; cosine and None where there is none.

        Raises InvalidInput where they are for several and none of them is cosine.
        """
        indexes = sorted(self.vector_indexes(column), key=lambda index: (not index.valid, index.name))
        metrics = {index.metric for index in indexes}
        if len(metrics) < 2 or Metric.COSINE in metrics:
            cosine_first = sorted(indexes, key=lambda index: index.metric is not Metric.COSINE)
            index = next(iter(cosine_first), None)
            return (index.metric or Metric.COSINE, index) if index else (Metric.COSINE, None)
        names = " and ".join(sorted(metric.label for metric in metrics if metric))
        raise InvalidInput(f"{self.shown} has indexes for {names}", hint="say which distance its searches use")


def shown(*parts: str) -> str:
    """A name as SQL would have it: quoted where it has to be."""
    return ".".join(_quoted(part) for part in parts)


def _quoted(name: str) -> str:
    plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower() and not name[0].isdigit()
    return name if plain else '"' + name.replace('"', '""') + '"'


def split_name(name: str) -> tuple[str | None, str]:
    """Schema (None: whatever the search path finds) and table. Names are taken as they are; double quotes may hold dots."""
    parts = list(_parts(name))
    if not 1 <= len(parts) <= 2 or not all(parts):
        raise InvalidInput(f"{name!r} is not a table's name", hint='write schema.table, or "my.schema"."My table"')
    return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])


def _parts(name: str) -> Iterator[str]:
    part, quoted, at = "", False, 0
    while at < len(name):
        if name[at] == '"' and quoted and name[at + 1 : at + 2] == '"':
            part, at = part + '"', at + 1
        elif name[at] == '"':
            quoted = not quoted
        elif name[at] == "." and not quoted:
            yield part
            part = ""
        else:
            part += name[at]
        at += 1
    yield part


def with_vectors() -> Query:
    """Every relation that has a vector column, but for Howdah's own.

    Also in Howdah's schema: a role that is called howdah has it first on its search path.
    """
    return _relations(
        SQL("""NOT (n.nspname = %(ours)s AND c.relname ~ '^chunks_[0-9]+(_[0-9]+)?$')
               AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND NOT c.relispartition AND EXISTS (
                   SELECT FROM pg_attribute AS a JOIN vectors AS v ON v.oid = a.atttypid
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"""),
        {"ours": SCHEMA},
    )


def named(name: str) -> Query:
    """The relation of that name (see `split_name`); no row where there is none."""
    schema, table = split_name(name)
    if schema is None:
        return _relations(SQL("c.oid = to_regclass(quote_ident(%(name)s))"), {"name": table})
    return _relations(SQL("n.nspname = %(schema)s AND c.relname = %(name)s"), {"schema": schema, "name": table})


def _relations(where: SQL, params: dict[str, Any]) -> Query:
    return Query(
        SQL("""
            WITH vectors AS (
                SELECT t.oid, t.typnamespace::regnamespace::name AS schema
                FROM pg_type AS t JOIN pg_extension AS e ON e.extnamespace = t.typnamespace
                WHERE e.extname = 'vector' AND t.typname IN ('vector', 'halfvec')
            )
            SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind, pg_get_userbyid(c.relowner) AS owner,
                   quote_ident(current_user) AS "user",
                   has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
                   row_security_active(c.oid) AS hidden, (SELECT min(schema) FROM vectors) AS vector_schema,
                   CASE WHEN c.relkind IN ('r', 'm')
                        THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END AS blocks,
                   (SELECT json_agg(json_build_object(
                               'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'base', t.typname,
                               'vector', v.oid IS NOT NULL, 'modifier', a.atttypmod) ORDER BY a.attnum)
                    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid LEFT JOIN vectors AS v ON v.oid = t.oid
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
                   (SELECT json_agg(json_build_object(
                               'name', i.relname, 'method', m.amname, 'unique', x.indisunique,
                               'valid', x.indisvalid AND x.indisready, 'partial', x.indpred IS NOT NULL,
                               'definition', pg_get_indexdef(i.oid),
                               'columns', (SELECT json_agg(a.attname ORDER BY k.place)
                                           FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (number, place)
                                           LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number
                                           WHERE k.place <= x.indnkeyatts),
                               'opclasses', (SELECT json_agg(o.opcname ORDER BY k.place)
                                             FROM unnest(x.indclass::oid[]) WITH ORDINALITY AS k (oid, place)
                                             JOIN pg_opclass AS o ON o.oid = k.oid)) ORDER BY i.relname)
                    FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_am AS m ON m.oid = i.relam
                    WHERE x.indrelid = c.oid) AS indexes
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE {where} ORDER BY n.nspname, c.relname
        """).format(where=where),
        params,
    )


_FACTS = ("schema", "name", "vector_schema", "kind", "owner", "user", "readable", "hidden", "blocks")


def from_row(row: dict[str, Any]) -> Relation:
    return Relation(
        **{key: row[key] for key in _FACTS},
        columns=tuple(_column(given) for given in row["columns"] or ()),
        indexes=tuple(_index(given) for given in row["indexes"] or ()),
    )


def _column(given: dict[str, Any]) -> Column:
    storage = Storage.of(given["base"]) if given["vector"] else None
    declared = given["modifier"] if storage is not None and given["modifier"] > 0 else None
    return Column(
        name=given["name"], type=given["type"], base=given["base"], storage=storage, dimensions=declared
    )  # fmt: skip


def _index(given: dict[str, Any]) -> Index:
    lists = {key: tuple(given[key]) for key in ("columns", "opclasses")}
    return Index(**{**given, **lists})
