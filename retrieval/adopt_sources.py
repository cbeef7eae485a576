"""Whose tables these are: langchain-postgres' collections and tables, LlamaIndex's, or any table whose columns are named."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from psycopg.sql import SQL, Composable

from howdah.retrieval.collection import Storage
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Query
from howdah.retrieval.relations import Column, Relation, name

EMBEDDINGS, COLLECTIONS = "langchain_pg_embedding", "langchain_pg_collection"
_TEXTS = ("text", "varchar", "bpchar", "citext")
_JSON = ("json", "jsonb")
_NOT_METADATA = ("tsvector", "bytea", "sparsevec", "bit", "varbit")
"""Types of columns that JSON has no form for, or that are made from the others."""


class Kind(Enum):
    """Who made the table; the value is what a person reads."""

    PGVECTOR = "langchain-postgres PGVector"
    PGVECTORSTORE = "langchain-postgres PGVectorStore"
    LLAMAINDEX = "LlamaIndex PGVectorStore"
    TABLE = "table"


@dataclass(frozen=True, kw_only=True)
class Named:
    """The columns that a person named; None is found out."""

    id: str | None = None
    content: str | None = None
    embedding: str | None = None
    metadata_json: str | None = None
    skip: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """One collection's worth of rows in a table that is not ours.

    `collection` is the name that Howdah's is to have. `json` is the metadata's JSON column; `merged` are columns that
    become metadata as well. `group` is (column, value) of the rows that belong, where the table holds several collections.
    """

    kind: Kind
    relation: Relation
    collection: str
    id: str
    content: str
    embedding: Column
    json: Column | None = None
    merged: tuple[Column, ...] = ()
    unmapped: tuple[Column, ...] = ()
    fallback_id: str | None = None
    group: tuple[str, str] | None = None
    metadata: dict[str, Any] | None = None

    @property
    def shown(self) -> str:
        rows = f", collection {self.collection!r}" if self.group else ""
        return f"{self.relation.shown}{rows}"

    @property
    def storage(self) -> Storage:
        """The embeddings' type."""
        assert self.embedding.storage is not None
        return self.embedding.storage

    @property
    def id_text(self) -> Composable:
        """The id as SQL text."""
        given = SQL("t.{}::text").format(name(self.id))
        if self.fallback_id is None:
            return given
        return SQL("coalesce({}, t.{}::text)").format(given, name(self.fallback_id))

    @property
    def ids_unique(self) -> bool:
        """Whether an index says that no id occurs twice."""
        return self.fallback_id is None and self.relation.is_unique(self.id)

    @property
    def belongs(self) -> Query:
        """The condition on the table's rows `t`."""
        if self.group is None:
            return Query(SQL("true"), {})
        return Query(SQL("t.{}::text = %(group)s").format(name(self.group[0])), {"group": self.group[1]})


def collections(relation: Relation) -> Query:
    """langchain-postgres' collections beside its embeddings, by name."""
    table = name(relation.schema, COLLECTIONS)
    return Query(
        SQL("SELECT uuid::text, name, cmetadata::jsonb AS metadata FROM {} ORDER BY name").format(table),
        {},
    )


def is_pgvector(relation: Relation) -> bool:
    return relation.name == EMBEDDINGS and relation.has("collection_id", "embedding", "document", "cmetadata")


def pgvector(relation: Relation, rows: Iterable[dict[str, Any]], named: Named) -> list[Source]:
    """The collections in langchain-postgres' two tables; also langchain-community's older ones, whose ids are `custom_id`."""
    old = not relation.has("id")
    return [
        Source(
            kind=Kind.PGVECTOR,
            relation=relation,
            collection=row["name"],
            id=named.id or ("custom_id" if old else "id"),
            fallback_id="uuid" if old and named.id is None else None,
            content="document",
            embedding=relation.column("embedding"),
            json=relation.column("cmetadata"),
            unmapped=_others(
                relation, "id", "uuid", "custom_id", "collection_id", "document", "embedding", "cmetadata"
            ),
            group=("collection_id", row["uuid"]),
            metadata=row["metadata"],
        )
        for row in rows
    ]


def unreadable(relation: Relation) -> Source:
    """Stands for the collections whose names this user may not read."""
    (source,) = pgvector(replace(relation, readable=False), [_NAMELESS], Named())
    return source


_NAMELESS = {"name": "?", "uuid": "", "metadata": None}


def of_table(relation: Relation, named: Named, *, llamaindex: bool = True) -> Source:
    """A table as one source; what was not named is found by the names that the libraries use, else where it is the only one.

    Raises InvalidInput naming the option to give where a column cannot be told.
    """
    if llamaindex and _is_llamaindex(relation) and named == Named():
        return _llamaindex(relation)
    found = Source(
        kind=Kind.PGVECTORSTORE if _is_pgvectorstore(relation) else Kind.TABLE,
        relation=relation,
        collection=relation.name,
        embedding=_embedding(relation, named.embedding),
        id=_id(relation, named.id),
        content=_content(relation, named.content),
        json=_json(relation, named.metadata_json),
    )
    taken = {found.id, found.content, found.embedding.name, *named.skip}
    if found.json is not None:
        taken.add(found.json.name)
    for skipped in named.skip:
        relation.column(skipped)
    rest = [column for column in relation.columns if column.name not in taken]
    merged = [column for column in rest if column.storage is None and column.base.lstrip("_") not in _NOT_METADATA]
    left = [c for c in relation.columns if c.name in named.skip or (c in rest and c not in merged)]
    return replace(found, merged=tuple(merged), unmapped=tuple(left))


def with_metadata(source: Source, columns: Iterable[str], *, json: bool) -> Source:
    """The source with just these columns as metadata, and its JSON column or not."""
    merged = tuple(source.relation.column(column) for column in columns)
    for column in merged:
        if column.storage is not None or column.base.lstrip("_") in _NOT_METADATA:
            raise InvalidInput(f"{source.relation.shown}.{column.name} is {column.type}, which JSON has no form for")
    return replace(source, merged=merged, json=source.json if json else None)


def recognised(relation: Relation) -> Source | None:
    """The source that a table evidently is; None for a table that no library here has made."""
    if not (_is_llamaindex(relation) or _is_pgvectorstore(relation)):
        return None
    try:
        return of_table(relation, Named())
    except InvalidInput:
        return None


def _is_llamaindex(relation: Relation) -> bool:
    return relation.name.startswith("data_") and relation.has("id", "text", "metadata_", "node_id", "embedding")


def _is_pgvectorstore(relation: Relation) -> bool:
    return relation.has("langchain_id") or relation.has("langchain_metadata")


def _llamaindex(relation: Relation) -> Source:
    return Source(
        kind=Kind.LLAMAINDEX,
        relation=relation,
        collection=relation.name.removeprefix("data_") or relation.name,
        id="node_id",
        fallback_id="id",
        content="text",
        embedding=_embedding(relation, "embedding"),
        json=relation.column("metadata_"),
        unmapped=_others(relation, "id", "node_id", "text", "metadata_", "embedding"),
    )


def _others(relation: Relation, *known: str) -> tuple[Column, ...]:
    return tuple(column for column in relation.columns if column.name not in known)


def _embedding(relation: Relation, named: str | None) -> Column:
    if named is not None:
        column = relation.column(named)
        if column.storage is None:
            raise InvalidInput(f"{relation.shown}.{named} is {column.type} and must be vector or halfvec")
        return column
    return _only(relation, relation.vectors, "embedding", usual=("embedding",))


def _id(relation: Relation, named: str | None) -> str:
    if named is not None:
        return relation.column(named).name
    key = relation.key()
    candidates = [column for column in relation.columns if column.name == key]
    return _only(relation, candidates, "id", usual=("langchain_id",)).name


def _content(relation: Relation, named: str | None) -> str:
    if named is not None:
        return relation.column(named).name
    texts = [c for c in relation.columns if c.base in _TEXTS and c.name not in (relation.key(), "langchain_id")]
    return _only(relation, texts, "content", usual=("content", "page_content", "document", "text")).name


def _json(relation: Relation, named: str | None) -> Column | None:
    if named is not None:
        column = relation.column(named)
        if column.base not in _JSON:
            raise InvalidInput(f"{relation.shown}.{named} is {column.type} and must be json or jsonb")
        return column
    candidates = [column for column in relation.columns if column.base in _JSON]
    return next(_usual(candidates, ("langchain_metadata", "metadata", "metadata_", "cmetadata")), None)


def _usual(candidates: Iterable[Column], names: tuple[str, ...]) -> Iterator[Column]:
    by_name = {column.name: column for column in candidates}
    return (by_name[each] for each in names if each in by_name)


def _only(relation: Relation, candidates: list[Column], what: str, *, usual: tuple[str, ...]) -> Column:
    found = next(_usual(candidates, usual), None) or (candidates[0] if len(candidates) == 1 else None)
    if found is None:
        names = ", ".join(column.name for column in candidates or relation.columns)
        raise InvalidInput(
            f"which column of {relation.shown} is the {what} is not clear", hint=f"name it: one of {names}"
        )
    return found
