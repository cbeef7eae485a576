"""The doctor at servers that are not one's own: behind PgBouncer, and at a replica."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah.retrieval.embedded_programs import ENVIRONMENT, binaries
from howdah.retrieval.vectorstore import PGVector
from tests.integration.scratch import Scratch, free_port, scratch_server
from tests.integration.test_pooler import PGBOUNCER, REJECTS, SWALLOWS, Bouncer
from tests.integration.ward import doctor, wrong

SCRATCH = {"superuser", "crash-safety", "disk-space"}
"""What the scratch server has by itself: one user, no fsync; and wherever the tests run, little room."""


@pytest.fixture(scope="module")
def scratch() -> Iterator[Scratch]:
    with scratch_server() as server:
        with PGVector(DeterministicFakeEmbedding(size=8), connection=server.url(), collection_name="docs") as store:
            store.add_texts(["one text", "another text"])
            store.database.close()
        yield server


@pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (apt-get install pgbouncer)")
@pytest.mark.parametrize("ignored", [REJECTS, SWALLOWS])
def test_behind_a_pooler_everything_is_looked_at(scratch, capsys, ignored):
    bouncer = Bouncer(scratch, ignored)
    try:
        _, found = doctor(capsys, bouncer.url())
        bad = wrong(found)
        assert set(bad) - SCRATCH <= {"pooler"}
        [pooler] = [check for check in found["checks"] if check["name"] == "pooler"]
        assert "transaction-mode pooler" in pooler["detail"]
        assert (pooler["status"] == "ok") == ("keeps prepared statements" in pooler["detail"])
        assert not [check for check in found["checks"] if "could not be looked at" in check["detail"]]
    finally:
        bouncer.process.terminate()
        bouncer.process.wait(20)
        bouncer.log.close()


@contextmanager
def replica(scratch: Scratch) -> Iterator[str]:
    """A streaming replica of the server; the URL of its library."""
    folder, port = scratch.folder / "replica", free_port()
    copy = [binaries() / "pg_basebackup", "-R", "-c", "fast", "-D", folder, "-d", scratch.url("postgres")]
    subprocess.run(copy, check=True, capture_output=True, env=ENVIRONMENT, **scratch.account.credentials)
    run = [binaries() / "postgres", "-D", folder, "-p", str(port)]
    with (scratch.folder / "replica.log").open("wb") as log:
        process = subprocess.Popen(run, stdout=log, stderr=log, env=ENVIRONMENT, **scratch.account.credentials)
    url = psycopg.conninfo.make_conninfo(scratch.url(), port=port)
    try:
        for _ in range(200):
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None, (scratch.folder / "replica.log").read_text()
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def test_a_replica_is_told_of_its_conflicts_and_of_nothing_that_only_its_primary_can_mend(scratch, capsys):
    with replica(scratch) as url:
        bad = wrong(doctor(capsys, url)[1])
        assert set(bad) - SCRATCH == {"replica"}
        with psycopg.connect(url, autocommit=True) as conn:
            for statement in bad["replica"]["fix"].split(";")[:-1]:
                conn.execute(statement.encode())
        assert set(wrong(doctor(capsys, url)[1])) - SCRATCH == set()
