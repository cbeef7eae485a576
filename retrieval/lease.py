"""A row that says who is at work on what; it ends by itself when its holder dies."""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from howdah.retrieval import upkeep
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import DatabaseUnavailable
from howdah.retrieval.store import Store


class LeaseLost(RuntimeError):
    """It could not be renewed in time, and another holder has it."""


class Lease:
    """The right to maintain a collection, or to do other `work` alone.

    Renewed from a thread: a build is one statement that may take an hour.
    """

    def __init__(self, store: Store, collection: Collection, seconds: float, work: str = "maintain") -> None:
        self.store, self.collection, self.seconds = store, collection, seconds
        self.name = f"{work}:{collection.id}"
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._ended, self._lost = threading.Event(), threading.Event()

    def take(self) -> str | None:
        """None when it is ours, else who holds it and for how long."""
        while not self._taken():
            for row in self.store.rows(upkeep.lease(self.collection, self.name)):
                if row["seconds"] > 0:
                    return f"{row['holder']} (for {row['seconds']:.0f} s more unless it renews)"
        return None

    def _taken(self) -> bool:
        return bool(self.store.execute(upkeep.take_lease(self.collection, self.name, self.holder, self.seconds)))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renewed as long as the block runs, then given back."""
        renewing = threading.Thread(target=self._renew, name="howdah lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._ended.set()
            renewing.join()
            with suppress(psycopg.Error, DatabaseUnavailable):  # it then ends by itself
                self.store.execute(upkeep.release_lease(self.collection, self.name, self.holder))

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / 4):
            with suppress(psycopg.Error, DatabaseUnavailable):  # tried again, and there is time for it
                if not self._taken():
                    self._lost.set()

    def check(self) -> None:
        """Raise LeaseLost where another process has taken over."""
        if self._lost.is_set():
            raise LeaseLost
