"""The pure halves of PGVector's methods: what comes in checked, what comes out as LangChain's Documents."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from langchain_core.documents import Document

from howdah.retrieval import values
from howdah.retrieval.batches import Batch
from howdah.retrieval.collection import Collection, Metric, Spec, Storage
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filtered import SCAN_TUPLES, scan_tuples
from howdah.retrieval.kinds import BEAM, MANY_LISTS, Form, Index, Method
from howdah.retrieval.queries import MAX_K, check_k, check_whole
from howdah.retrieval.tuned import USUAL_BEAM, tuned_for
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
        array = checked(
            embeddings, count=len(self), spec=collection.spec, collection=collection.name, index=collection.index
        )
        chunks = [Chunk(id=id_, content=text) for id_, text in zip(self.ids, self.texts, strict=True)]
        return Batch(chunks, self.metadata, array, self.fresh)


Settings = Callable[[Collection], dict[str, str]]
"""What a search sets for its statement, by what its collection is."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Settings of one search, each of which acts where the collection's index is of its kind, and is idle elsewhere.

    ef_search (HNSW, bits): 1–1,000. probes (IVFFlat): lists to read, 1–32,768. oversample (bits, and halves of vectors):
    candidates a wanted row that are re-ranked exactly, 1–1,000. iterative_scan: off, relaxed_order or strict_order;
    IVFFlat has no strict_order and takes relaxed_order. max_scan_tuples (HNSW, bits) ≥ 1. scan_mem_multiplier (HNSW, bits):
    memory of an iterative scan in work_mems, 1–1,000. `exact` scans every row, so that the answer has no index in it.
    What is None is what `howdah tune` has saved with the collection, else the usual.
    """

    ef_search: int | None = None
    probes: int | None = None
    oversample: int | None = None
    iterative_scan: str | None = None
    max_scan_tuples: int | None = None
    scan_mem_multiplier: int | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1, most)
        if self.iterative_scan not in (None, "off", "relaxed_order", "strict_order"):
            raise InvalidInput(f"iterative_scan {self.iterative_scan!r} is not off, relaxed_order or strict_order")

    def settings(self, k: int, collection: Collection, *, filtered: bool = False) -> dict[str, str]:
        """pgvector's settings for a search of k rows; ef_search covers the candidates, for a smaller beam returns fewer."""
        return self.on(collection, k)._settings(k, collection, filtered)

    def on(self, collection: Collection, k: int) -> "SearchOptions":
        """With what was saved with the collection for a search of k rows, where nothing else is said here."""
        if self.exact or not (saved := tuned_for(collection, k)):
            return self
        if "max_scan_tuples" in saved:
            saved["max_scan_tuples"] = max(saved["max_scan_tuples"], scan_tuples(k))
        said = {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}
        return replace(self, **{**saved, **said})

    def _settings(self, k: int, collection: Collection, filtered: bool) -> dict[str, str]:
        found, index = {}, collection.index
        candidates = index.candidates(collection.spec, k, self.oversample) if index is not None else k
        if (tuples := scan_tuples(k) if filtered else 2 * candidates) > SCAN_TUPLES:
            found["hnsw.max_scan_tuples"] = str(tuples)
        if self.ef_search is not None or candidates > USUAL_BEAM:
            found["hnsw.ef_search"] = str(min(max(self.ef_search or USUAL_BEAM, candidates), BEAM))
        if index is not None and index.method is Method.IVFFLAT:
            found["ivfflat.probes"] = str(self.probes or index.probes)
        if self.iterative_scan is not None:
            found["hnsw.iterative_scan"] = self.iterative_scan
            found["ivfflat.iterative_scan"] = "off" if self.iterative_scan == "off" else "relaxed_order"
        if self.max_scan_tuples is not None:
            found["hnsw.max_scan_tuples"] = str(self.max_scan_tuples)
        if self.scan_mem_multiplier is not None:
            found["hnsw.scan_mem_multiplier"] = str(self.scan_mem_multiplier)
        if index is not None and not collection.spec.inline and not self.exact:
            # Vectors beside their rows are not in the planner's costs: it would read and sort them all.
            found["enable_sort"] = "off"
        return found


_MOST = {
    "ef_search": BEAM,
    "probes": MANY_LISTS,
    "oversample": 1_000,
    "max_scan_tuples": 2**31 - 1,
    "scan_mem_multiplier": 1_000,
}


def checked(embeddings: Any, *, count: int, spec: Spec, collection: str, index: Index | None = None) -> Array:
    """Embeddings (count, d) that a collection of this spec can store and search, and its index take."""
    cosine = spec.metric is Metric.COSINE
    array = values.embeddings(embeddings, count=count, dimensions=spec.dimensions, collection=collection, cosine=cosine)
    if spec.storage is Storage.HALFVEC or (index is not None and index.form is Form.HALFVEC and not cosine):
        values.fits_halfvec(array, cosine=cosine)
    return array


def document(hit: Hit) -> Document:
    """The Document exactly as it was added."""
    return Document(id=hit.id, page_content=hit.content, metadata=hit.metadata)


def annotated(hit: Hit) -> Document:
    """The Document with one key more, `_howdah`: scores, and where it comes from; `also_in` only where it is elsewhere, too."""
    found: dict[str, Any] = {
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
    if hit.also_in:
        found["also_in"] = list(hit.also_in)
    return Document(id=hit.id, page_content=hit.content, metadata={**hit.metadata, OURS: found})
