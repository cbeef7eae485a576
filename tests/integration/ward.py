"""A server for the doctor's tests with two sound databases, Howdah's and other libraries', to be cloned, hurt and mended."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from howdah import sync
from howdah.retrieval import schema
from howdah.retrieval.embedded import EmbeddedServer
from howdah.retrieval.embedded_programs import ENVIRONMENT, binaries
from howdah.retrieval.embeddings import LOCAL_IDENTITY
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.vectorstore import PGVector
from howdah.scripts.main import _run
from tests.integration.peers import LLAMAINDEX

D, N = 8, 12_000
ROLE = "app"
"""Owner of the databases, and no superuser."""

THEIRS = """
    CREATE TABLE langchain_pg_collection (name varchar NOT NULL UNIQUE, cmetadata json, uuid uuid PRIMARY KEY);
    CREATE TABLE langchain_pg_embedding (
        id varchar PRIMARY KEY,
        collection_id uuid REFERENCES langchain_pg_collection (uuid) ON DELETE CASCADE,
        embedding vector(8), document varchar, cmetadata jsonb
    );
    CREATE INDEX ix_cmetadata_gin ON langchain_pg_embedding USING gin (cmetadata jsonb_path_ops);
    INSERT INTO langchain_pg_collection VALUES ('docs', '{}', '00000000-0000-0000-0000-000000000001');
    INSERT INTO langchain_pg_embedding
    SELECT 'id' || i, '00000000-0000-0000-0000-000000000001',
           (SELECT array_agg(sin(i * 12.9898 + d * 78.233) * 43758.5453 - floor(sin(i * 12.9898 + d * 78.233) * 43758.5453) - 0.5)
            FROM generate_series(1, 8) AS d)::vector, 'document ' || i, jsonb_build_object('i', i)
    FROM generate_series(1, 12000) AS i;
    CREATE INDEX vectors ON langchain_pg_embedding USING hnsw (embedding vector_cosine_ops);
"""
"""As langchain-postgres' PGVector makes them, with the index that its users are told to make."""


@dataclass(frozen=True)
class Ward:
    """A running server: `url` is a superuser's on the database postgres."""

    server: EmbeddedServer
    url: str

    def at(self, database: str, user: str | None = None) -> str:
        return make_conninfo(
            "", **{**conninfo_to_dict(self.url), "dbname": database, **({"user": user} if user else {})}
        )

    def sql(self, statement: str, database: str = "postgres", user: str | None = None) -> list[Any]:
        with psycopg.connect(self.at(database, user), autocommit=True) as conn:
            cursor = conn.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def clone(self, template: str) -> Iterator[str]:
        """A copy of a sound database, counted as the original was; its name."""
        name = f"d_{uuid4().hex[:12]}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {ROLE}")
        try:
            self.sql("ANALYZE", name)
            yield name
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def mend(self, fix: str, database: str) -> None:
        """Run what the doctor prints, as a superuser pastes it into psql."""
        parts = conninfo_to_dict(self.url)
        command = [
            str(binaries() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(parts["host"]), "-p", str(parts["port"]),
            "-U", str(parts["user"]), database,
        ]  # fmt: skip
        done = subprocess.run(
            command, check=False, input=fix, text=True, capture_output=True, env={**os.environ, **ENVIRONMENT}
        )
        assert done.returncode == 0, (fix, done.stderr)

    def restart(self) -> None:
        self.server.stop()
        self.server.start()


@contextmanager
def ward() -> Iterator[Ward]:
    home = Path(tempfile.mkdtemp(prefix="howdah-ward-"))
    home.chmod(0o755)
    server = EmbeddedServer(home, idle_seconds=3_600)
    lease = server.connect()
    try:
        found = Ward(server, make_conninfo("", **{**conninfo_to_dict(lease.url), "dbname": "postgres"}))
        found.sql("ALTER SYSTEM SET autovacuum_naptime = '1h'")  # or it mends what is planted
        found.sql("SELECT pg_reload_conf()")
        found.sql(f"CREATE ROLE {ROLE} LOGIN")
        found.sql(f"GRANT pg_monitor TO {ROLE}")
        yield found
    finally:
        lease.close()
        server.destroy()
        shutil.rmtree(home, ignore_errors=True)


def make_ours(server: Ward, folder: Path) -> str:
    """Howdah's schema, and a collection with an index and a few documents."""
    name = _database(server, "ours")
    with psycopg.connect(server.at(name, ROLE), autocommit=True) as conn:
        schema.migrate(conn)
    rng = np.random.default_rng(3)
    words = [f"word{number}" for number in range(300)]
    texts = [" ".join(rng.choice(words, size=12)) for _ in range(N)]
    for number in range(3):
        (folder / f"{number}.md").write_text(f"# Page {number}\n\nWarranty of part {number}.\n")
    with PGVector(
        DeterministicFakeEmbedding(size=D), connection=server.at(name, ROLE), collection_name="docs", config="english"
    ) as store:
        vectors = rng.normal(size=(N, D)).astype(np.float32)
        store.add_embeddings(texts, vectors.tolist(), metadatas=[{"i": i} for i in range(N)])
        sync(store, [folder])
        server.sql(f"UPDATE howdah.collections SET model = '{LOCAL_IDENTITY}'", name)
        report = maintain(store)
        assert report.index == "built", report
        store.database.close()
    _frozen(server, name)
    return name


def make_theirs(ward: Ward) -> str:
    """langchain-postgres' tables with an index, and a small one of LlamaIndex."""
    name = _database(ward, "theirs")
    ward.sql(THEIRS, name, ROLE)
    with psycopg.connect(ward.at(name, ROLE), autocommit=True) as conn:
        conn.execute(SQL(LLAMAINDEX).format(table=Identifier("data_notes"), json=SQL("json"), type=SQL("vector(8)")))
        for number in range(50):
            row = ["text", json.dumps({}), str(number), str([1.0 + number, 2, 3, 4, 5, 6, 7, 8])]
            conn.execute("INSERT INTO data_notes (text, metadata_, node_id, embedding) VALUES (%s, %s, %s, %s)", row)
    _frozen(ward, name)
    return name


def _database(ward: Ward, name: str) -> str:
    ward.sql(f"CREATE DATABASE {name} OWNER {ROLE}")
    ward.sql("CREATE EXTENSION vector", name)
    return name


def _frozen(ward: Ward, name: str) -> None:
    time.sleep(0.1)
    ward.sql("VACUUM (ANALYZE)", name)
    ward.sql(f"ALTER DATABASE {name} WITH IS_TEMPLATE true")


def doctor(capsys: Any, url: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """`howdah doctor --json`: its exit code and its object."""
    capsys.readouterr()
    code = _run(["doctor", "--database-url", url, *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def wrong(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The checks that are not ok, by name."""
    return {check["name"]: check for check in found["checks"] if check["status"] != "ok"}


__all__ = ["ROLE", "D", "Document", "N", "Ward", "doctor", "make_ours", "make_theirs", "ward", "wrong"]
