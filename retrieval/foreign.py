"""Searches of a table that is not ours, in place: its description, and the statements. Pure; nothing here can write."""

import re
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval import adopt_sources, adopt_sql
from howdah.retrieval.adopt_sources import Named, Source
from howdah.retrieval.collection import UNKNOWN_MODEL, Metric, Spec, Storage
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import Filter, compile_filter
from howdah.retrieval.kinds import Form, Index, Method
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.reach import exactly
from howdah.retrieval.relations import Relation, name
from howdah.retrieval.types import Array
from howdah.retrieval.wire import vector

_NOWHERE = SQL("""NULL AS source, NULL AS title, NULL AS section, NULL AS page, NULL AS "start", NULL AS "end" """)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the caller named: `metadata` are plain columns, `metadata_json` one of json or jsonb. None is found out."""

    id: str | None = None
    content: str | None = None
    embedding: str | None = None
    metadata: tuple[str, ...] = ()
    metadata_json: str | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as it can be searched. `dimensions` is None where neither the column nor a row tells."""

    source: Source
    metric: Metric
    dimensions: int | None

    @property
    def storage(self) -> Storage:
        return self.source.storage

    @property
    def spec(self) -> Spec:
        """What a search's settings depend on."""
        return Spec(
            model=UNKNOWN_MODEL,
            dimensions=self.dimensions or 1,
            storage=self.storage,
            metric=self.metric,
            lexical=False,
        )

    @property
    def index(self) -> Index | None:
        """The index that orders by this distance of the plain column, where there is one."""
        column = self.source.embedding
        for found in self.source.relation.indexes:
            if found.metric is self.metric and found.serves(column):
                lists = re.search(r"lists='?(\d+)", found.definition)
                options = {"lists": int(lists[1])} if lists else {}
                return Index(method=Method.of(found.method), form=Form.directly(self.spec), options=options)
        return None

    @property
    def indexed(self) -> bool:
        return self.index is not None

    @property
    def c0(self) -> float:
        """Where the scale of the scores begins: nobody has measured it here."""
        return 0.0

    @property
    def tuned(self) -> None:
        """What its searches were tuned to: nothing is kept of a table that is not Howdah's."""

    def __getattr__(self, attribute: str) -> NoReturn:
        """What a search of Howdah's own tables asks a collection for."""
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        raise not_here(self.source.relation.shown, "this needs Howdah's own tables")


def not_here(table: str, what: str, *, instead: str = "") -> InvalidInput:
    """The one sentence for what a table that is searched in place cannot do."""
    return InvalidInput(
        f"{what}, and {table} is searched in place and only read",
        hint=f"{instead}copy its rows first: howdah adopt --table {table}",
    )


def table(relation: Relation, columns: Columns, metric: Metric | None) -> Table:
    """The table with its columns found; raises InvalidInput where one is missing, of the wrong type or not clear."""
    named = Named(
        id=columns.id, content=columns.content, embedding=columns.embedding, metadata_json=columns.metadata_json
    )  # fmt: skip
    found = adopt_sources.of_table(relation, named, llamaindex=False)
    source = adopt_sources.with_metadata(found, columns.metadata, json=columns.metadata_json is not None)
    found_metric = metric or relation.metric(source.embedding.name)[0]
    return Table(source=source, metric=found_metric, dimensions=source.embedding.dimensions)


def first_dimensions(source: Source) -> Query:
    """The dimensions of some row, for a column that declares none."""
    embedding = name(source.embedding.name)
    return Query(
        SQL("SELECT {}.vector_dims(t.{}) AS dimensions FROM {} AS t WHERE t.{} IS NOT NULL LIMIT 1").format(
            Identifier(source.relation.vector_schema), embedding, source.relation.identifier, embedding
        ),
        {},
    )


def nearest(
    where: Table, embedding: Array, *, k: int, given: Filter | None = None, exact: bool = False, vectors: bool = False
) -> Query:
    """The k rows closest to `embedding`, best first; equal distances in id order.

    A filtered search that an index leaves short of k rows is made again by a scan, in the same statement.
    `exact` keeps any index out of it. `vectors` adds each row's embedding (vector_send), for MMR.
    """
    condition = compile_filter(given, column=_metadata(where.source))
    quick = _arm(where, condition, k=k, exact=exact, vectors=vectors)
    rescue: Composable = SQL("")
    if given and where.indexed and not exact:
        rescue = SQL("UNION ALL SELECT * FROM ({}) AS scanned WHERE (SELECT count(*) FROM quick) < {}").format(
            _arm(where, condition, k=k, exact=True, vectors=vectors), Literal(k)
        )
        unless_rescued = SQL("WHERE (SELECT count(*) FROM quick) >= {}").format(Literal(k))
    else:
        unless_rescued = SQL("").format()
    return Query(
        SQL("""
            WITH quick AS MATERIALIZED ({quick})
            SELECT found.*, {score} AS score, {nowhere} FROM (SELECT * FROM quick {unless_rescued} {rescue}) AS found
            WHERE distance <> 'NaN' ORDER BY distance + 0, id
        """).format(
            quick=quick, score=where.metric.score, nowhere=_NOWHERE, unless_rescued=unless_rescued, rescue=rescue
        ),
        {"embedding": vector(embedding, where.storage), **condition.params},
    )  # fmt: skip


def _arm(where: Table, condition: Condition, *, k: int, exact: bool, vectors: bool) -> Composed:
    source, schema = where.source, Identifier(where.source.relation.vector_schema)
    column = SQL("t.{}").format(name(source.embedding.name))
    distance = SQL("{} OPERATOR({}.{}) %(embedding)s").format(column, schema, where.metric.operator)
    embedding = SQL(", {}.vector_send({}::{}.vector) AS embedding").format(schema, column, schema)
    # IS NOT NULL, so that an index on such rows alone can serve.
    return SQL("""
        SELECT {row}, {distance} AS distance {embedding} FROM {table} AS t
        WHERE {column} IS NOT NULL AND {where} ORDER BY {order} LIMIT {k}
    """).format(
        row=_row(source), distance=distance, embedding=embedding if vectors else SQL(""),
        table=source.relation.identifier, column=column, where=condition.sql,
        order=exactly(distance) if exact else distance, k=Literal(k),
    )  # fmt: skip


def by_ids(where: Table, ids: list[str]) -> Query:
    """The rows with these ids, in id order; unknown ids are left out."""
    source = where.source
    return Query(
        SQL(
            "SELECT {row}, 0::float8 AS score, {nowhere} FROM {table} AS t"
            " WHERE {id} = ANY(%(ids)s::{type}[]) ORDER BY 1"
        ).format(
            row=_row(source), nowhere=_NOWHERE, table=source.relation.identifier, id=_id(source), type=_id_type(source)
        ),
        {"ids": _usable(source, ids)},
    )  # fmt: skip


def _row(source: Source) -> Composed:
    return SQL("{} AS id, coalesce(t.{}::text, '') AS content, {} AS metadata").format(
        source.id_text, name(source.content), _metadata(source)
    )


_TYPED_IDS = {"uuid": SQL("uuid"), "int8": SQL("bigint"), "int4": SQL("integer"), "int2": SQL("smallint")}


def _id_type(source: Source) -> SQL:
    """A type whose array the table's own index on ids takes."""
    return _TYPED_IDS.get(source.relation.column(source.id).base, SQL("text"))


def _id(source: Source) -> Composable:
    column = SQL("t.{}").format(name(source.id))
    typed = source.relation.column(source.id).base in (*_TYPED_IDS, "text", "varchar")
    return column if typed else source.id_text


def _usable(source: Source, ids: list[str]) -> list[str]:
    """The ids that a row can have: a text that is no number names no row of a table whose ids are numbers."""
    base = source.relation.column(source.id).base
    return [given for given in ids if _fits(base, given)]


def _fits(base: str, given: str) -> bool:
    try:
        if base == "uuid":
            return str(UUID(given)) == given
        if base in ("int2", "int4", "int8"):
            return str(int(given)) == given and abs(int(given)) < 1 << (8 * int(base[-1]) - 1)
    except ValueError:
        return False
    return True


def _metadata(source: Source) -> Composed:
    return adopt_sql.metadata(source, given=adopt_sql.json_given(source))
