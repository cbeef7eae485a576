"""What a slow filtered search says in the log, once a process: how long it took, and which key to promote."""

import logging
import shlex

from howdah.retrieval.collection import Collection
from howdah.retrieval.filters import Filter, compile_filter

SLOW = 0.05
"""Seconds from which a search that no index served is worth a word."""
_log = logging.getLogger("howdah.retrieval")
_said: set[tuple[str, int, tuple[str, ...]]] = set()


def advise(collection: Collection, given: Filter | None, seconds: float) -> None:
    """Log a slow search whose filter had every row looked at."""
    if seconds < SLOW or not given or not isinstance(collection, Collection):
        return  # a table that is searched in place has no keys to promote
    where = compile_filter(given, collection=collection)
    said = (collection.tenant, collection.id, where.unserved)
    if where.served or said in _said:
        return
    _said.add(said)
    _log.warning("%s", advice(collection, where.unserved, seconds))


def advice(collection: Collection, keys: tuple[str, ...], seconds: float) -> str:
    """One sentence with the time and, where promoting helps, the command."""
    took = f"a filter that no index serves had every row of {collection.name!r} looked at, {seconds * 1_000:.0f} ms"
    if not keys:
        return f"{took}; equality, $in, $contains and comparisons of promoted keys are served"
    return f"{took}; run: {shlex.join(['howdah', 'collections', 'promote', collection.name, *keys])}"
