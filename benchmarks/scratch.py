"""A database of a benchmark's own, on an embedded server that is gone afterwards."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from howdah.retrieval import schema
from howdah.retrieval.embedded import EmbeddedServer


@contextmanager
def scratch_database() -> Iterator[str]:
    """URL of an empty database with Howdah's schema; durable as in use (fsync on)."""
    home = Path(tempfile.mkdtemp(prefix="howdah-bench-"))
    home.chmod(0o755)  # as root, the server's own account has to pass
    server = EmbeddedServer(home)
    try:
        with server.connect() as lease:
            with psycopg.connect(lease.url, autocommit=True) as conn:
                schema.migrate(conn)
            yield lease.url
    finally:
        server.destroy()
        shutil.rmtree(home, ignore_errors=True)
