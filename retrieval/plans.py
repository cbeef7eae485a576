"""The pure halves of PGVector's methods: what comes in checked, what comes out as LangChain's Documents."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.documents import Document

from howdah.retrieval import values
from howdah.retrieval.batches import Batch
from howdah.retrieval.collection import Collection, Metric, Spec, Storage
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filtered import SCAN_TUPLES, scan_tuples
from howdah.retrieval.queries import MAX_K, check_k
from howdah.retrieval.types import Array, Chunk, Hit

__all__ = ["MAX_K", "OURS", "Rows", "SearchOptions", "annotated", "check_k", "checked", "document"]

OURS = "_howdah"
"""The metadata key that PGVectorRetriever adds."""


@dataclass(frozen=True)
class Rows:
    """Texts, metadata and ids of one add call, checked before anything is embedded or written."""

    texts: list[str]
    metadata: list[str]
    ids: list[str]
    fresh: bool

    @classmethod
    def of(
        cls, texts: Iterable[str], metadatas: Iterable[Mapping[str, Any]] | None, ids: Sequence[str | None] | None
    ) -> "Rows":
        contents = values.texts(texts)
        given = list(metadatas) if metadatas is not None else [{}] * len(contents)
        values.same_length("metadatas", len(given), "texts", len(contents))
        found, fresh = values.ids(ids, len(contents))
        return cls(contents, [values.metadata_json(item, row=row) for row, item in enumerate(given)], found, fresh)

    @classmethod
    def of_documents(cls, documents: Iterable[Document], ids: Sequence[str | None] | None) -> "Rows":
        docs = list(documents)
        return cls.of(
            [doc.page_content for doc in docs],
            [doc.metadata for doc in docs],
            ids if ids is not None else [doc.id or None for doc in docs],
        )

    def __len__(self) -> int:
        return len(self.texts)

    def check_count(self, embeddings: Any) -> None:
        values.same_length("embeddings", len(embeddings), "texts", len(self))

    def batch(self, embeddings: Any, collection: Collection) -> Batch:
        """The rows with their embeddings, ready to be written."""
        array = checked(embeddings, count=len(self), spec=collection.spec, collection=collection.name)
        chunks = [Chunk(id=id_, content=text) for id_, text in zip(self.ids, self.texts, strict=True)]
        return Batch(chunks, self.metadata, array, self.fresh)


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Settings of one search. ef_search 1–1,000; iterative_scan off, relaxed_order or strict_order; max_scan_tuples ≥ 1.

    `exact` scans every row, so that the answer has no index in it.
    """

    ef_search: int | None = None
    iterative_scan: str | None = None
    max_scan_tuples: int | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        if self.ef_search is not None and not 1 <= self.ef_search <= 1_000:
            raise InvalidInput(f"ef_search is {self.ef_search} and must be from 1 to 1,000")
        if self.iterative_scan not in (None, "off", "relaxed_order", "strict_order"):
            raise InvalidInput(f"iterative_scan {self.iterative_scan!r} is not off, relaxed_order or strict_order")
        if self.max_scan_tuples is not None and self.max_scan_tuples < 1:
            raise InvalidInput(f"max_scan_tuples is {self.max_scan_tuples} and must be at least 1")

    def settings(self, k: int, *, filtered: bool = False) -> dict[str, str]:
        """pgvector's settings; ef_search is at least k (up to its limit), for a beam of fewer rows returns fewer."""
        found = {}
        if (tuples := scan_tuples(k) if filtered else 2 * k) > SCAN_TUPLES:
            found["hnsw.max_scan_tuples"] = str(tuples)
        if self.ef_search is not None or k > 100:
            found["hnsw.ef_search"] = str(min(max(self.ef_search or 100, k), 1_000))
        if self.iterative_scan is not None:
            found["hnsw.iterative_scan"] = self.iterative_scan
        if self.max_scan_tuples is not None:
            found["hnsw.max_scan_tuples"] = str(self.max_scan_tuples)
        return found


def checked(embeddings: Any, *, count: int, spec: Spec, collection: str) -> Array:
    """Embeddings (count, d) that a collection of this spec can store and search."""
    cosine = spec.metric is Metric.COSINE
    array = values.embeddings(embeddings, count=count, dimensions=spec.dimensions, collection=collection, cosine=cosine)
    if spec.storage is Storage.HALFVEC:
        values.fits_halfvec(array, cosine=cosine)
    return array


def document(hit: Hit) -> Document:
    """The Document exactly as it was added."""
    return Document(id=hit.id, page_content=hit.content, metadata=hit.metadata)


def annotated(hit: Hit) -> Document:
    """The Document with one key more, `_howdah`: scores, and where it comes from."""
    found = {
        "id": hit.id,
        "score": hit.score,
        "scores": dict(hit.scores),
        "source": hit.source,
        "title": hit.title,
        "section": hit.section,
        "page": hit.page,
        "start": hit.start,
        "end": hit.end,
    }
    return Document(id=hit.id, page_content=hit.content, metadata={**hit.metadata, OURS: found})
