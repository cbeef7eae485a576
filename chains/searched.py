"""What a retriever searches, as far as it tells: its collection with the bound that it remembers, and how large it is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.documents import Document
from langchain_core.runnables import Runnable

from howdah.chains.refusal import Bound

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection
    from howdah.retrieval.vectorstore import PGVector


class Known(NamedTuple):
    """What is known of a collection before it is searched; nothing where it is not Howdah's."""

    bound: Bound | None = None
    embeddings: str | None = None


class Searched:
    """A retriever's collection. Constructing it does no I/O; the lookups are those that the search itself makes."""

    def __init__(self, retriever: Runnable[str, list[Document]]) -> None:
        inner: Any = retriever
        while not hasattr(inner, "vectorstore") and isinstance(getattr(inner, "bound", None), Runnable):
            inner = inner.bound  # with_config and its like
        self._retriever = inner
        self._store = _ours(getattr(inner, "vectorstore", None))

    def known(self) -> Known:
        return Known() if self._store is None else _known(self._store.store.find(self._store.collection_name))

    async def aknown(self) -> Known:
        if self._store is None:
            return Known()
        return _known(await self._store.astore.find(self._store.collection_name))

    def described(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Collection, mode and filter, with the numbers of passages and documents; what is not known is left out."""
        about = self._about(given)
        if self._store is None or (found := self._store.store.find(self._store.collection_name)) is None:
            return about
        return {**about, **self._store.store.rows(_size(found))[0]}

    async def adescribed(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        about = self._about(given)
        if self._store is None or (found := await self._store.astore.find(self._store.collection_name)) is None:
            return about
        return {**about, **(await self._store.astore.rows(_size(found)))[0]}

    def _about(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        mode = getattr(self._retriever, "search_type", None)
        options = getattr(self._retriever, "search_kwargs", None) or {}
        named = {
            "collection": self._store.collection_name if self._store is not None else None,
            "mode": "dense" if mode == "similarity" else mode,
            "filter": given or options.get("filter"),
        }
        return {name: value for name, value in named.items() if value is not None}


def _ours(store: object) -> "PGVector | None":
    """The vector store where it is a collection of ours; a table of somebody else's remembers nothing."""
    from howdah.retrieval.foreign_store import PGVectorTable
    from howdah.retrieval.vectorstore import PGVector

    return store if isinstance(store, PGVector) and not isinstance(store, PGVectorTable) else None


def _known(collection: "Collection | None") -> Known:
    if collection is None:
        return Known()
    return Known(Bound.of(collection.refusal), collection.spec.model)


def _size(collection: "Collection") -> Any:
    from howdah.retrieval import catalog

    return catalog.size(collection)
