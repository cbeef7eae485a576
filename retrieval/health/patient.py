"""What the checks look at: the server, its settings, every table of vectors, and Howdah's collections. Read once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from psycopg import errors
from psycopg.sql import SQL, Identifier

from howdah.retrieval import adopt_sources, catalog, relations, schema
from howdah.retrieval.choosing import Wish
from howdah.retrieval.collection import SCHEMA, Collection
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.errors import NotFound
from howdah.retrieval.health import reading
from howdah.retrieval.health.reading import Reader, Setting, Whose
from howdah.retrieval.health.tables import Heap, VectorTable, heaps, sizes
from howdah.retrieval.query import Query
from howdah.retrieval.server import Server, look


@dataclass(frozen=True, kw_only=True)
class Client:
    """What this process was told: models, and LangSmith's variables. `model` is the embedding model that was named.

    `offline`: nothing leaves the machine, so LangSmith cannot either.
    """

    model: str | None = None
    langsmith_tracing: bool = False
    langsmith_key: bool = False
    offline: bool = False
    pool_size: int = 10


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One row of what the server says of itself and of this connection."""

    version: int
    user: str
    superuser: bool
    database: str
    read_only: bool
    tls: bool
    monitors: bool
    vector_version: str | None
    vector_schema: str | None
    vector_available: str | None
    vector_usable: bool
    data_directory: str | None
    bytes: int


FACTS = Query(
    SQL("""
        SELECT current_setting('server_version_num')::int AS version, current_user::text AS "user",
               (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
               current_database()::text AS database, pg_is_in_recovery() AS read_only,
               coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
               pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS monitors,
               e.extversion AS vector_version, n.nspname::text AS vector_schema,
               (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS vector_available,
               coalesce(has_schema_privilege(n.oid, 'USAGE'), true) AS vector_usable,
               (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS data_directory,
               pg_database_size(current_database()) AS bytes
        FROM (SELECT) AS one LEFT JOIN pg_extension e ON e.extname = 'vector' LEFT JOIN pg_namespace n ON n.oid = e.extnamespace
    """),
    {},
)


NAMES = SQL("""
    SELECT tenant, name FROM howdah.collections
    WHERE %(name)s::text IS NULL OR name = %(name)s ORDER BY tenant, name
""")


@dataclass
class Patient:
    """`plain` is a connection as any program gets it; `own` has the settings with which Howdah searches."""

    conninfo: Conninfo
    plain: Reader
    own: Reader
    client: Client = field(default_factory=Client)
    embedded: bool = False
    name: str | None = None

    def only(self, collection: str) -> None:
        """Of Howdah's collections, look at those of this name alone. Raises NotFound where there is none."""
        self.name = collection
        if not self.collections:
            raise NotFound(
                f"there is no collection {collection!r} in {self.conninfo.place}", hint="howdah collections list"
            )

    @cached_property
    def facts(self) -> Facts:
        return Facts(**self.plain.row(FACTS))

    @cached_property
    def server(self) -> Server:
        """As searches see it. Raises DependencyMissing where they could not run at all."""
        return look(self.own.conn, self.conninfo.pooler)

    @cached_property
    def settings(self) -> Mapping[str, Setting]:
        if (
            self.facts.vector_schema is not None and self.facts.vector_usable
        ):  # loads the library, whose settings there are then
            self.plain.rows(Query(SQL("SELECT '[1]'::{}.vector").format(Identifier(self.facts.vector_schema)), {}))
        return {row["name"]: Setting.of(row) for row in self.plain.as_it_is(reading.settings())}

    @cached_property
    def whose(self) -> Whose:
        return Whose(database=self.facts.database, role=self.facts.user)

    @property
    def grant(self) -> str:
        """What lets this user see all that the checks look at."""
        return f"GRANT pg_monitor TO {relations.shown(self.facts.user)};"

    @cached_property
    def schema_version(self) -> int:
        """0 where Howdah has no schema here, or this user may not look into it."""
        try:
            row = self.plain.rows(Query(SQL("SELECT coalesce(max(version), 0) AS version FROM howdah.migrations"), {}))
        except (errors.UndefinedTable, errors.InvalidSchemaName, errors.InsufficientPrivilege):
            return 0
        return int(row[0]["version"])

    @cached_property
    def collections(self) -> list[Collection]:
        """Of every tenant; none where the schema is too old to be read."""
        vector_schema = self.facts.vector_schema
        if self.schema_version < schema.READABLE or vector_schema is None:
            return []
        named = self.plain.rows(Query(NAMES, {"name": self.name}))
        rows = [row for one in named for row in self.plain.rows(catalog.find(one["tenant"], one["name"]))]
        return [catalog.from_row(row, vector_schema) for row in rows]

    @cached_property
    def tables(self) -> list[VectorTable]:
        """Every table of vectors that may be read: Howdah's collections first, then those of others."""
        return [*self._of_collections(), *self._of_others()]

    @cached_property
    def unreadable(self) -> list[relations.Relation]:
        """Tables of vectors that this user may not read."""
        return [relation for relation in self._others if not relation.readable]

    @cached_property
    def heaps(self) -> list[Heap]:
        """The tables of the collections and of others, with what the statistics collector knows of them."""
        return [Heap.of(row) for row in self.plain.rows(heaps(self.tables))] if self.tables else []

    @cached_property
    def _others(self) -> list[relations.Relation]:
        if self.facts.vector_version is None:
            return []
        rows = self.plain.rows(relations.with_vectors())
        return [relations.from_row(row) for row in rows if row["kind"] in relations.HEAP]

    def _of_others(self) -> list[VectorTable]:
        found = []
        for relation in self._others:
            if relation.readable:
                [measured] = self.plain.rows(sizes(relation.shown))
                kind = _kind(relation)
                several = len(relation.vectors) > 1
                found += [
                    VectorTable(relation=relation, column=column, kind=kind, several=several, **measured)
                    for column in relation.vectors
                ]
        return found

    def _of_collections(self) -> list[VectorTable]:
        found = []
        for collection in self.collections:
            for row in self.plain.rows(relations.named(f"{SCHEMA}.{collection.chunks_name}")):
                relation = relations.from_row(row)
                if relation.readable:
                    found.append(self._of_collection(collection, relation))
        return found

    def _of_collection(self, collection: Collection, relation: relations.Relation) -> VectorTable:
        [measured] = self.plain.rows(sizes(relation.shown))
        [counted] = self.plain.rows(_counted(collection))
        return VectorTable(
            relation=relation, column=relation.column("embedding"), collection=collection,
            wish=Wish(policy=counted["policy"], **counted["options"]), **{**measured, "rows": counted["rows"]},
        )  # fmt: skip


def _counted(collection: Collection) -> Query:
    return Query(
        SQL("""
            SELECT coalesce(settings->>'index', 'auto') AS policy, coalesce(settings->'index_options', '{}') AS options,
                   (SELECT coalesce(sum(chunks), 0)::bigint FROM howdah.corpus_stats AS s
                    WHERE s.tenant = c.tenant AND s.collection = c.id) AS rows
            FROM howdah.collections AS c WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id},
    )


def _kind(relation: relations.Relation) -> Any:
    if adopt_sources.is_pgvector(relation):
        return adopt_sources.Kind.PGVECTOR
    source = adopt_sources.recognised(relation)
    return source.kind if source else adopt_sources.Kind.TABLE
