"""What is there synchronously is there asynchronously, with the same arguments."""

import inspect
from typing import Any

import pytest

from howdah.retrieval.hits_async import AsyncHits
from howdah.retrieval.hits_sync import SyncHits
from howdah.retrieval.store import Store
from howdah.retrieval.store_async import AsyncStore
from howdah.retrieval.vectorstore_async import AsyncMethods
from howdah.retrieval.vectorstore_sync import SyncMethods


def methods(*kinds: type) -> dict[str, Any]:
    return {
        name: member
        for kind in kinds
        for name, member in vars(kind).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }


def arguments(method: Any) -> list[tuple[str, Any, Any]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(method).parameters.values()]


@pytest.mark.parametrize(
    ("one", "other", "prefix"),
    [
        (methods(SyncHits, SyncMethods), methods(AsyncHits, AsyncMethods), "a"),
        (methods(Store), methods(AsyncStore), ""),
    ],
    ids=["PGVector", "Store"],
)
def test_the_twins_have_the_same_methods_and_arguments(one, other, prefix):
    assert {prefix + name for name in one} == set(other)
    for name, method in one.items():
        twin = other[prefix + name]
        assert arguments(method) == arguments(twin), name
        assert inspect.iscoroutinefunction(twin) == (name != "forget"), name  # which does no I/O
    assert len(one) > 10
