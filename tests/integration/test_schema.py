"""The schema: made once, by whoever is first; refused in one sentence where it cannot be; the same by every road."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from howdah import PGVector
from howdah.retrieval import schema
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.database import Database
from howdah.retrieval.errors import ExtensionMissing, SchemaMissing
from howdah.retrieval.store import Store
from tests.integration import recount

EMBEDDINGS = DeterministicFakeEmbedding(size=8)


def with_extension(url: str, where: str = "public") -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(where)))
        conn.execute(SQL("CREATE EXTENSION vector SCHEMA {}").format(Identifier(where)))


def described(url: str) -> dict[str, list[Any]]:
    """Tables, constraints, indexes and functions of the schema, as the catalogue has them."""
    parts = {
        "columns": """
            SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                   pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum)
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind = 'r'""",
        "constraints": """
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = 'howdah'::regnamespace""",
        "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'howdah'",
        "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'howdah'::regnamespace",
        "migrations": "SELECT version, name FROM howdah.migrations",
    }
    with psycopg.connect(url) as conn:
        return {name: sorted(conn.execute(query).fetchall(), key=str) for name, query in parts.items()}  # type: ignore[arg-type]


def test_migrating_twice_is_once(blank_url):
    with psycopg.connect(blank_url, autocommit=True) as conn:
        assert schema.installed_version(conn) == 0
        assert schema.migrate(conn) == list(range(1, schema.VERSION + 1))
        before = described(blank_url)
        assert schema.migrate(conn) == []
        assert schema.installed_version(conn) == schema.VERSION
    assert described(blank_url) == before


def test_two_processes_at_once(blank_url):
    code = (
        "import sys, psycopg; from howdah.retrieval import schema\n"
        "with psycopg.connect(sys.argv[1], autocommit=True) as conn: input(); print(schema.migrate(conn))"
    )
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    running = [subprocess.Popen([sys.executable, "-c", code, blank_url], text=True, **pipes) for _ in range(3)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    out = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], out
    applied = [re.findall(r"\d+", stdout) for stdout, _ in out]
    assert sorted(int(version) for versions in applied for version in versions) == list(range(1, schema.VERSION + 1))


def test_the_printed_script_makes_the_same_schema(blank_url, url):
    """Sent whole, without parameters, as psql sends a file."""
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute(schema.script().encode())
        assert schema.migrate(conn) == []
    assert described(blank_url) == described(url)
    assert "INSERT INTO howdah.migrations" not in schema.script(after=schema.VERSION)


def test_a_script_that_fails_leaves_nothing(blank_url):
    broken = schema.script().replace("COMMIT;", "SELECT 1 / 0; COMMIT;")
    with psycopg.connect(blank_url, autocommit=True) as conn, pytest.raises(psycopg.errors.DivisionByZero):
        conn.execute(broken.encode())
    with psycopg.connect(blank_url, autocommit=True) as conn:
        assert schema.installed_version(conn) == 0


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            schema.VERSION + 1,
            "made by a newer Howdah than this one.*upgrade howdah in this environment; nothing was written",
        ),
        (schema.VERSION - 1, r"run: howdah db migrate"),
    ],
)
def test_another_version_refuses_writes_with_the_next_step(url, version, message):
    writer = PGVector(EMBEDDINGS, connection=url)
    writer.add_texts(["there"], ids=["there"])
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DELETE FROM howdah.migrations")
        conn.execute("INSERT INTO howdah.migrations (version, name) VALUES (%s, 'x')", [version])
    late = PGVector(EMBEDDINGS, connection=url)
    for write in (
        lambda: late.add_texts(["a"]),
        lambda: late.delete(["there"]),
        lambda: PGVector(EMBEDDINGS, connection=url, collection_name="new").add_texts(["a"]),
    ):
        with pytest.raises(SchemaMissing, match=message):
            write()
    if version >= schema.READABLE:
        assert [doc.id for doc in late.similarity_search("x")] == ["there"]
    writer.database.close()


async def test_another_version_refuses_writes_async(url):
    async with PGVector(EMBEDDINGS, connection=url) as store:
        await store.aadd_texts(["there"])
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("INSERT INTO howdah.migrations (version, name) VALUES (%s, 'x')", [schema.VERSION + 1])
        late = PGVector(EMBEDDINGS, connection=url)
        for write in (late.aadd_texts(["a"]), late.adelete(["a"])):
            with pytest.raises(SchemaMissing, match="newer Howdah"):
                await write
        await store.database.aclose()


def test_migrate_refuses_a_newer_schema(url):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("INSERT INTO howdah.migrations (version, name) VALUES (%s, 'x')", [schema.VERSION + 1])
        with pytest.raises(SchemaMissing, match="newer Howdah"):
            schema.migrate(conn)


def at_version_1_with_data(url: str, texts: list[str]) -> None:
    """A collection of today but for the tables that came later."""
    with PGVector(EMBEDDINGS, connection=url) as store:
        store.store.migrate()
        store.add_texts(texts, ids=texts)
        terms = store.store.get(store.collection_name).terms
        store.database.close()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("DROP TABLE {}").format(terms))
        for step in schema.migrations()[1:]:
            for table in re.findall(r"^CREATE TABLE howdah\.(\w+)", step.sql, re.MULTILINE):
                conn.execute(SQL("DROP TABLE howdah.{}").format(Identifier(table)))
            for function in re.findall(r"^CREATE FUNCTION howdah\.(\w+)", step.sql, re.MULTILINE):
                conn.execute(SQL("DROP FUNCTION howdah.{}").format(Identifier(function)))
            for table, columns in re.findall(r"^ALTER TABLE howdah\.(\w+) (ADD COLUMN [^;]+);", step.sql, re.MULTILINE):
                for column in re.findall(r"ADD COLUMN (\w+)", columns):
                    conn.execute(
                        SQL("ALTER TABLE howdah.{} DROP COLUMN {}").format(Identifier(table), Identifier(column))
                    )
        conn.execute("DELETE FROM howdah.migrations WHERE version > 1")


async def test_version_1_with_data_is_searched_and_written_after_a_migration(blank_url):
    with_extension(blank_url)
    texts = ["the elephant", "an elephant and a mahout", "elephants by the river"]
    at_version_1_with_data(blank_url, texts)
    old = r"is version 1 and this program needs .*run: howdah db migrate"
    with PGVector(EMBEDDINGS, connection=blank_url, cache=True) as store:
        for early in (lambda: store.hits("elephant"), lambda: store.add_texts(["new"])):
            with pytest.raises(SchemaMissing, match=old):
                early()
        with pytest.raises(SchemaMissing, match=old):
            await store.ahits("elephant")
        with psycopg.connect(blank_url, autocommit=True) as conn:
            assert schema.migrate(conn) == list(range(2, schema.VERSION + 1))
        recount.check(store.store.get(store.collection_name), blank_url)
        store.add_texts(["a new elephant"], ids=["new"])
        assert {hit.id for hit in store.hits("elephant", search_type="lexical")} == {*texts, "new"}
        recount.check(store.store.get(store.collection_name), blank_url)
        await store.aclose()
        store.database.close()


@pytest.mark.parametrize("version", range(2, schema.VERSION + 1))
def test_a_migration_that_fails_half_way_leaves_nothing_and_is_run_again(blank_url, monkeypatch, version):
    whole = schema.migrations()
    broken = [step._replace(sql=step.sql + "SELECT 1 / 0;") if step.version == version else step for step in whole]
    with psycopg.connect(blank_url, autocommit=True) as conn:
        monkeypatch.setattr(schema, "migrations", lambda: broken)
        with pytest.raises(psycopg.errors.DivisionByZero):
            schema.migrate(conn)
        assert schema.installed_version(conn) == version - 1
        monkeypatch.undo()
        assert schema.migrate(conn) == list(range(version, schema.VERSION + 1))


def test_without_a_schema_a_search_finds_nothing_and_a_write_says_what_to_run(blank_url):
    with_extension(blank_url)
    with PGVector(EMBEDDINGS, connection=blank_url) as store:
        assert store.similarity_search("x") == store.hits("x") == store.get_by_ids(["a"]) == []
        assert store.delete(["a"])
        assert store.store.listing() == []
        with pytest.raises(SchemaMissing, match="no Howdah schema; run: howdah db migrate"):
            store.add_texts(["a"])
        assert store.similarity_search("x") == []
        with psycopg.connect(blank_url, autocommit=True) as conn:
            assert schema.installed_version(conn) == 0
            schema.migrate(conn)
        store.add_texts(["a"], ids=["a"])
        assert [doc.id for doc in store.similarity_search("x")] == ["a"]
        store.database.close()


def test_without_pgvector_the_message_has_the_statement(blank_url):
    with pytest.raises(ExtensionMissing, match=r"has no pgvector; run: howdah db migrate .*CREATE EXTENSION vector;"):
        PGVector(EMBEDDINGS, connection=blank_url).similarity_search("x")


# -- roles


@pytest.fixture
def role(admin: psycopg.Connection[Any]) -> Iterator[str]:
    name = f"role_{uuid4().hex[:8]}"
    admin.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
    yield name
    admin.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(name)))


def at_role(url: str, role: str) -> str:
    return make_conninfo("", **{**conninfo_to_dict(url), "options": f"-c role={role}"})


@pytest.fixture
def owner_url(blank_url: str, role: str) -> Iterator[str]:
    """A database with pgvector and nothing else, seen by a role that may create nothing in it."""
    with_extension(blank_url)
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute("REVOKE CREATE ON SCHEMA public FROM public")
    yield at_role(blank_url, role)
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute(SQL("DROP OWNED BY {}").format(Identifier(role)))


def test_a_role_that_may_create_nothing_is_told_who_must_run_what(owner_url, role):
    with psycopg.connect(owner_url, autocommit=True) as conn, pytest.raises(SchemaMissing) as caught:
        schema.migrate(conn)
    assert "may not create Howdah's tables" in caught.value.message
    assert "CREATE SCHEMA howdah AUTHORIZATION" in caught.value.hint


def test_a_role_that_owns_the_schema_alone_can_do_everything(owner_url, blank_url, role):
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute(SQL("CREATE SCHEMA howdah AUTHORIZATION {}").format(Identifier(role)))
    with psycopg.connect(owner_url, autocommit=True) as conn:
        assert schema.migrate(conn) == list(range(1, schema.VERSION + 1))
    with PGVector(EMBEDDINGS, connection=owner_url) as store:
        store.add_texts([f"elephant {i}" for i in range(300)])
        store.add_texts(["a"], ids=["a"])
        assert len(store.hits("elephant", k=5)) == 5
        store.delete(["a"])
        store.delete_collection()
        store.database.close()


def test_a_role_that_may_only_read_and_write_rows(owner_url, blank_url, role):
    with psycopg.connect(blank_url, autocommit=True) as conn:
        schema.migrate(conn)
    with PGVector(EMBEDDINGS, connection=blank_url) as owner:
        owner.add_texts(["elephant"], ids=["a"])
        owner.database.close()
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute(SQL("GRANT USAGE ON SCHEMA howdah TO {}").format(Identifier(role)))
        conn.execute(
            SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA howdah TO {}").format(Identifier(role))
        )
        conn.execute(SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA howdah TO {}").format(Identifier(role)))
    with PGVector(EMBEDDINGS, connection=owner_url) as store:
        store.add_texts(["another elephant"], ids=["b"])
        store.add_texts([f"herd {i}" for i in range(300)])
        store.add_texts(["staged"] * 300, ids=[str(i) for i in range(300)])
        assert {hit.id for hit in store.hits("elephant", search_type="lexical")} == {"a", "b"}
        store.delete(["a"])
        with pytest.raises(
            SchemaMissing, match=r"may not create a collection's tables .*GRANT USAGE, CREATE ON SCHEMA"
        ):
            PGVector(EMBEDDINGS, connection=owner_url, collection_name="new").add_texts(["x"])
        store.database.close()


# -- pgvector somewhere else


@pytest.mark.parametrize("storage", ["halfvec", "vector"])
@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
async def test_pgvector_in_another_schema(blank_url, storage, metric):
    with_extension(blank_url, "ext '{}\"")
    with psycopg.connect(blank_url, autocommit=True) as conn:
        schema.migrate(conn)
    store = PGVector(EMBEDDINGS, connection=blank_url, storage=storage, distance_strategy=metric)
    store.add_texts(["elephant seat", "river"], [{"n": 1}, {"n": 2}], ids=["a", "b"])
    store.add_texts([f"t{i}" for i in range(300)], ids=[f"t{i}" for i in range(300)])
    await store.aadd_texts([f"t{i}" for i in range(300)])
    assert len(store.similarity_search("x", k=20)) == 20
    assert [doc.id for doc in store.similarity_search("x", filter={"n": {"$gt": 1}})] == ["b"]
    assert len(store.max_marginal_relevance_search("x", k=3)) == 3
    assert [hit.id for hit in store.hits("elephant", search_type="lexical")] == ["a"]
    if metric == "cosine":
        assert store.hits("elephant", k=1, weight=0.1)[0].id == "a"
    assert len(await store.asimilarity_search("x", k=3)) == 3
    found = store.store.find("langchain")
    assert found is not None
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute(
            SQL("CREATE INDEX {} ON {} USING hnsw (embedding {})").format(
                Identifier(found.index_name), found.chunks, found.opclass
            )
        )
    store.delete(["a"])
    assert store.get_by_ids(["a"]) == []
    await store.database.aclose()


def test_a_collections_tables_go_with_it(url):
    database = Database(Conninfo(url))
    before = described(url)["columns"]
    with PGVector(EMBEDDINGS, connection=url) as store:
        store.add_texts(["a"])
        store.delete_collection()
        store.database.close()
    assert described(url)["columns"] == before
    assert Store(database).listing() == []
    database.close()
