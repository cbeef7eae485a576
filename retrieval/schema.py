"""Tables: numbered migrations for the shared ones, and the DDL of a collection's own.

Migrations are forward-only. Each runs in its own transaction under a try-lock that is polled outside of it, so two
processes that start at once neither run one twice nor wait inside a transaction.
"""

import time
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple

from psycopg import Connection, errors
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import ExtensionMissing, SchemaMissing
from howdah.retrieval.promoted import Promoted

LOCK_KEY = 4_026_117_206_411_771
LOCK_TIMEOUT = 60.0


class Migration(NamedTuple):
    """One numbered file of `migrations/`."""

    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All migrations, oldest first."""
    found = []
    for path in files("howdah.retrieval").joinpath("migrations").iterdir():
        if path.name.endswith(".sql"):
            number, _, name = path.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, path.read_text(encoding="utf-8")))
    return sorted(found)


VERSION = max(migration.version for migration in migrations())
READABLE = 3
"""The oldest version that searches read: it is the first in which lexemes are counted."""

PREAMBLE = """\
CREATE SCHEMA IF NOT EXISTS howdah;
CREATE TABLE IF NOT EXISTS howdah.migrations (
    tenant      text        NOT NULL DEFAULT '',
    version     integer     NOT NULL,
    name        text        NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, version)
);
"""
EXTENSION = "CREATE EXTENSION IF NOT EXISTS vector;\n"


def script(after: int = 0) -> str:
    """The SQL that brings a schema from version `after` to this program's, for a person to read and run."""
    parts = ["BEGIN;\n", EXTENSION, PREAMBLE]
    for migration in migrations():
        if migration.version > after:
            parts += [f"\n-- {migration.version:04d} {migration.name}\n", migration.sql, _record(migration)]
    return "".join([*parts, "COMMIT;\n"])


def _record(migration: Migration) -> str:
    values = f"({migration.version}, '{migration.name}')"
    return f"INSERT INTO howdah.migrations (version, name) VALUES {values};\n"  # noqa: S608  our own file names


def installed_version(conn: Connection[tuple[object, ...]]) -> int:
    """The schema's version in this database; 0 where there is none."""
    row = conn.execute("SELECT to_regclass('howdah.migrations') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return 0
    row = conn.execute("SELECT coalesce(max(version), 0) FROM howdah.migrations").fetchone()
    return int(str(row[0])) if row else 0


def check_version(installed: int) -> None:
    """Raise SchemaMissing unless the schema is exactly this program's."""
    if installed == 0:
        raise SchemaMissing("this database has no Howdah schema", hint="run: howdah db migrate")
    if installed < VERSION:
        raise SchemaMissing(
            f"this database's Howdah schema is version {installed} and this program needs {VERSION}",
            hint="run: howdah db migrate",
        )
    if installed > VERSION:
        raise SchemaMissing(
            f"this database's Howdah schema is version {installed}, made by a newer Howdah than this one ({VERSION})",
            hint="upgrade howdah in this environment; nothing was written",
        )


def migrate(conn: Connection[tuple[object, ...]]) -> list[int]:
    """Bring the schema up to date; the versions applied now (none when it was). `conn` must be in autocommit."""
    installed = installed_version(conn)
    if installed > VERSION:
        check_version(installed)
    if installed == VERSION:
        return []
    ensure_extension(conn)
    return [migration.version for migration in migrations() if _apply(conn, migration)]


def ensure_extension(conn: Connection[tuple[object, ...]]) -> None:
    """CREATE EXTENSION vector where it is missing and may be made; else one sentence with who must run what."""
    if conn.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
        return
    try:
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (errors.UniqueViolation, errors.DuplicateObject):
        return  # another process made it in the same moment
    except errors.InsufficientPrivilege as exc:
        raise ExtensionMissing(
            f"the extension vector is not in database {conn.info.dbname!r} and user {conn.info.user!r} may not create it",
            hint=f"a superuser must run, in {conn.info.dbname!r}: CREATE EXTENSION vector;",
        ) from exc
    except (errors.UndefinedFile, errors.FeatureNotSupported) as exc:
        raise ExtensionMissing(
            "this server has no pgvector installed",
            hint="install the package postgresql-NN-pgvector on the server (or use the image pgvector/pgvector:pg18)",
        ) from exc


def _apply(conn: Connection[tuple[object, ...]], migration: Migration) -> bool:
    for _ in _polls(LOCK_TIMEOUT):
        with conn.transaction():
            locked = conn.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK_KEY]).fetchone()
            if not (locked and locked[0]):
                continue
            if installed_version(conn) >= migration.version:
                return False
            _run(conn, migration)
            return True
    raise SchemaMissing(
        f"another process has been migrating this database for more than {LOCK_TIMEOUT:.0f} s",
        hint="wait for it, then run: howdah db migrate",
    )


def _run(conn: Connection[tuple[object, ...]], migration: Migration) -> None:
    try:
        if installed_version(conn) == 0:
            _create_schema(conn)
        conn.execute(migration.sql.encode())
        conn.execute(_record(migration).encode())
    except errors.InsufficientPrivilege as exc:
        user, name = conn.info.user, conn.info.dbname
        raise SchemaMissing(
            f"user {user!r} may not create Howdah's tables in database {name!r} ({exc.diag.message_primary})",
            hint=f'the owner must run: CREATE SCHEMA howdah AUTHORIZATION "{user}"; (or: howdah db migrate --sql)',
        ) from exc


def _create_schema(conn: Connection[tuple[object, ...]]) -> None:
    """The schema may exist already, made by a DBA for a role that may not create one."""
    exists = conn.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'howdah'").fetchone()
    preamble = PREAMBLE.split("\n", 1)[1] if exists else PREAMBLE
    conn.execute(preamble.encode())


def _polls(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)


def create_tables(collection: Collection) -> Composed:
    """The collection's own tables, as one script without parameters."""
    return SQL("\n").join([create_chunks(collection), _passages(collection), *_postings(collection)])


def drop_tables(collection: Collection) -> Composed:
    """Drop them, with the chunks of every embedding model that it has been given: another process may have begun it.

    First the tables that are known, whose locks a beginning change of the model waits for, or is waited for.
    """
    return SQL("""
        DO $$
        DECLARE name text;
        BEGIN
            DROP TABLE IF EXISTS {chunks}, {passages}, {postings}, {terms};
            FOR name IN
                SELECT c.relname FROM pg_class AS c
                WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind = 'r' AND c.relname ~ {pattern}
            LOOP
                EXECUTE format('DROP TABLE howdah.%I', name);
            END LOOP;
        END $$
    """).format(
        chunks=collection.chunks, passages=collection.passages, postings=collection.postings, terms=collection.terms,
        pattern=Literal(f"^chunks_{collection.id}(_[0-9]+)?$"),
    )  # fmt: skip


def create_chunks(collection: Collection) -> Composed:
    """The table of its vectors, with the indexes that it has from the beginning."""
    # PLAIN keeps the vector in the row, where an exact scan reads it without a detour; the toast target then must not
    # push the small metadata out instead.
    storage = SQL("PLAIN" if collection.spec.inline else "EXTERNAL")
    return SQL("""
        CREATE TABLE {chunks} (
            n          bigint NOT NULL GENERATED BY DEFAULT AS IDENTITY,
            document   bigint,
            tenant     text   NOT NULL DEFAULT '',
            id         text   NOT NULL,
            embedding  {type}({dimensions}) NOT NULL,
            metadata   jsonb  NOT NULL DEFAULT '{{}}',
            {promoted}
            PRIMARY KEY (tenant, n),
            UNIQUE (tenant, id)
        ) WITH (toast_tuple_target = 8160);
        ALTER TABLE {chunks} ALTER COLUMN embedding SET STORAGE {storage};
        CREATE INDEX {by_document} ON {chunks} (tenant, document) WHERE document IS NOT NULL;
        {indexes}
    """).format(
        promoted=SQL("").join(SQL("{},").format(item.definition()) for item in collection.promoted.values()),
        indexes=SQL("").join(index_promoted(collection, item) for item in collection.promoted.values()),
        chunks=collection.chunks, type=collection.embedding_type, dimensions=Literal(collection.spec.dimensions),
        storage=storage, by_document=Identifier(f"{collection.chunks_name}_document"),
    )  # fmt: skip


def index_promoted(collection: Collection, promoted: Promoted) -> Composed:
    """n goes with it, so that the rows of a filter are counted without the table."""
    return SQL("CREATE INDEX {} ON {} (tenant, {}, n);").format(
        promoted.index(collection.chunks_name), collection.chunks, Identifier(promoted.name)
    )


def promote(collection: Collection, fresh: list[Promoted]) -> Composed:
    """Add the columns and their indexes. Rewrites the table, under a lock that keeps searches waiting."""
    columns = SQL(", ").join(SQL("ADD COLUMN {}").format(item.definition()) for item in fresh)
    indexes = SQL("").join(index_promoted(collection, item) for item in fresh)
    return SQL("ALTER TABLE {} {}; {}").format(collection.chunks, columns, indexes)


def demote(collection: Collection, gone: list[Promoted]) -> Composed:
    """Drop the columns, and their indexes with them; the metadata keeps the values."""
    columns = SQL(", ").join(SQL("DROP COLUMN IF EXISTS {}").format(Identifier(item.name)) for item in gone)
    return SQL("ALTER TABLE {} {}").format(collection.chunks, columns)


def _passages(collection: Collection) -> Composed:
    lexical: Composable = SQL("")
    if collection.spec.lexical:
        lexical = SQL(
            "tsv tsvector GENERATED ALWAYS AS"
            " (howdah.tsv({}::regconfig, howdah.indexed_text(title, section, content))) STORED,"
        ).format(Literal(collection.spec.config))
    return SQL("""
        CREATE TABLE {passages} (
            n          bigint  NOT NULL,
            ordinal    integer,
            page       integer,
            start_at   integer,
            end_at     integer,
            tenant     text    NOT NULL DEFAULT '',
            title      text,
            section    text,
            content    text    NOT NULL,
            {lexical}
            PRIMARY KEY (tenant, n)
        );
    """).format(passages=collection.passages, lexical=lexical)


def _postings(collection: Collection) -> list[Composed]:
    if not collection.spec.lexical:
        return []
    # The lexeme itself is the key: beside the tenant it takes no more room than an id from a dictionary, and no
    # writer waits for another's new word. dl is the passage's length in lexemes, so BM25 is one index-only scan.
    # A lexeme's rows in terms add up to the number of its postings: a writer adds the difference that it makes.
    return [
        SQL("""
            CREATE TABLE {postings} (
                n       bigint  NOT NULL,
                tf      integer NOT NULL,
                dl      integer NOT NULL,
                tenant  text    NOT NULL DEFAULT '',
                lexeme  text COLLATE "C" NOT NULL,
                PRIMARY KEY (tenant, lexeme, n) INCLUDE (tf, dl)
            );
            CREATE TABLE {terms} (
                n       bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
                df      integer NOT NULL,
                tenant  text    NOT NULL DEFAULT '',
                lexeme  text COLLATE "C" NOT NULL,
                PRIMARY KEY (tenant, lexeme, n) INCLUDE (df)
            );
        """).format(postings=collection.postings, terms=collection.terms),
        SQL("CREATE INDEX {} ON {} USING gin (tsv);").format(
            Identifier(f"passages_{collection.id}_tsv"), collection.passages
        ),
    ]
