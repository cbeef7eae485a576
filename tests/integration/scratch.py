"""A PostgreSQL server with passwords, and a PgBouncer before it: what the embedded server does not have."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from howdah.retrieval import schema
from howdah.retrieval.embedded_files import Folders, server_account
from howdah.retrieval.embedded_programs import ENVIRONMENT, binaries

PASSWORD = "s3cret:p@ss/w%rd?#"
CONF = """
listen_addresses = '127.0.0.1'
password_encryption = 'scram-sha-256'
max_connections = 60
fsync = off
log_connections = on
log_line_prefix = '%a '
logging_collector = off
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Scratch:
    """A cluster on a random port of 127.0.0.1; every login needs PASSWORD. `library` holds Howdah's schema."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="howdah-scratch-", dir="/tmp"))
        self.account = server_account(Folders(self.folder))
        self.port = free_port()
        self.log = self.folder / "log"
        if self.account.credentials:
            os.chown(self.folder, self.account.uid, self.account.gid)
        self.process: subprocess.Popen[bytes] | None = None
        words = self.folder / "password"
        words.write_text(PASSWORD)
        words.chmod(0o644)
        self._call(
            "initdb", "-U", "ann", "-A", "scram-sha-256", "--pwfile", str(words), "-N", "--locale=C", "-E", "UTF8", "-D"
        )
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(CONF + f"port = {self.port}\nunix_socket_directories = '{self.folder}'\n")

    def url(
        self, dbname: str = "library", *, user: str = "ann", password: str | None = PASSWORD, **more: object
    ) -> str:
        return make_conninfo("", host="127.0.0.1", port=self.port, user=user, password=password, dbname=dbname, **more)

    def admin(self, dbname: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(dbname), autocommit=True)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [binaries() / "postgres", "-D", self.folder / "data"],
                stdout=log, stderr=log, cwd=self.folder, env=ENVIRONMENT, **self.account.credentials,
            )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self.admin().close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def prepare(self) -> None:
        with self.admin() as conn:
            conn.execute("CREATE DATABASE library")
        with self.admin("library") as conn:
            conn.execute("CREATE EXTENSION vector")
            schema.migrate(conn)

    def stop(self, how: int = signal.SIGINT) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def logins(self, name: str) -> int:
        """How many connections have been let in under this application_name."""
        lines = self.log.read_text().splitlines()
        return sum("connection authorized" in line and f"application_name={name}" in line for line in lines)

    def _call(self, program: str, *args: str) -> None:
        command = [binaries() / program, *args, self.folder / "data"]
        subprocess.run(
            command, check=True, capture_output=True, cwd=self.folder, env=ENVIRONMENT, **self.account.credentials
        )


@contextmanager
def scratch_server() -> Iterator[Scratch]:
    server = Scratch()
    try:
        server.start()
        server.prepare()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(server.folder)
