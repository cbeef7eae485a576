"""A real PostgreSQL for the tests: one embedded server a worker, the schema in a template database, a clone a test."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from howdah.retrieval import schema
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.database import Database
from howdah.retrieval.embedded import EmbeddedServer
from howdah.retrieval.store import Store
from howdah.retrieval.vectorstore import PGVector
from howdah.scripts.main import _run


def at(url: str, dbname: str) -> str:
    return make_conninfo("", **{**conninfo_to_dict(url), "dbname": dbname})


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a server of this test run's own; what it holds is not worth an fsync."""
    home = Path(tempfile.mkdtemp(prefix="howdah-test-"))
    home.chmod(0o755)  # as root, the server's own account has to pass
    embedded = EmbeddedServer(home)
    lease = embedded.connect()
    with psycopg.connect(lease.url, autocommit=True) as conn:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            conn.execute(SQL("ALTER SYSTEM SET {} = off").format(Identifier(setting)))
        conn.execute("SELECT pg_reload_conf()")
    yield lease.url
    lease.close()
    embedded.destroy()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def admin(server: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(at(server, "postgres"), autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="session")
def template(server: str, admin: psycopg.Connection) -> str:
    admin.execute("CREATE DATABASE template_howdah")
    with psycopg.connect(at(server, "template_howdah"), autocommit=True) as conn:
        schema.migrate(conn)
    return "template_howdah"


@pytest.fixture
def blank_url(server: str, admin: psycopg.Connection) -> Iterator[str]:
    """A database with nothing in it, not even pgvector."""
    yield from _database(server, admin, "template1")


@pytest.fixture
def url(server: str, admin: psycopg.Connection, template: str) -> Iterator[str]:
    """A database with Howdah's schema and no collection."""
    yield from _database(server, admin, template)


@pytest.fixture(scope="module")
def module_url(server: str, admin: psycopg.Connection, template: str) -> Iterator[str]:
    """As `url`, one for all tests of a module: for those that only read, or each keep to a collection of their own."""
    yield from _database(server, admin, template)


def _database(server: str, admin: psycopg.Connection, template: str) -> Iterator[str]:
    name = f"t_{uuid4().hex}"
    admin.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
    yield at(server, name)
    admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(Conninfo(url))
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@pytest.fixture
def embeddings() -> DeterministicFakeEmbedding:
    return DeterministicFakeEmbedding(size=16)


@pytest.fixture
def vectors(url: str, embeddings: DeterministicFakeEmbedding) -> Iterator[PGVector]:
    """An empty PGVector of 16 dimensions."""
    with PGVector(embeddings, connection=url, collection_name="docs") as store:
        yield store
        store.database.close()


@pytest.fixture
def howdah(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict]]:
    """Run a command with --json against a database of this test's own: its exit code and its object."""
    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    monkeypatch.setenv("HOWDAH_CHAT_MODEL", "extractive")

    def run(*arguments: str | Path) -> tuple[int, dict]:
        capsys.readouterr()
        code = _run([*map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run
