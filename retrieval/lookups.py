"""The collections that a store has looked up."""

import time

from howdah.retrieval.collection import Collection

SECONDS = 60.0
"""How long what was found is taken to be so: another process may build an index of another kind, or measure c0 anew."""


class Lookups:
    """Collections by name, each for a minute."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Collection, float]] = {}

    def get(self, name: str) -> Collection | None:
        collection, until = self._found.get(name, (None, 0.0))
        return collection if time.monotonic() < until else None

    def put(self, name: str, collection: Collection) -> Collection:
        self._found[name] = collection, time.monotonic() + SECONDS
        return collection

    def forget(self, name: str) -> None:
        self._found.pop(name, None)
