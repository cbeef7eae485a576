"""LangChain's document compressors: ours, and hits through anybody's and back to the hits that they were."""

from collections.abc import Sequence
from dataclasses import replace

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.plans import OURS, annotated
from howdah.retrieval.rerank import LocalReranker, Reranker, ascores, checked_scores
from howdah.retrieval.types import Hit

SCORE = "relevance_score"
"""The metadata key in which LangChain's rerankers (Cohere, FlashRank, Jina, NVIDIA …) leave their score."""


class LocalRerank(BaseDocumentCompressor):
    """Documents in the order of the local cross-encoder, best first, each with its score as `relevance_score`.

    For pipelines of one's own; a PGVector and its retriever take `rerank=True`. `top_n` is how many are kept (None: all
    of them), `min_score` the least score, in [0, 1]. `reranker` may be any other object with scores(query, texts).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    reranker: Reranker = Field(default_factory=LocalReranker)
    top_n: int | None = Field(default=None, ge=1)
    min_score: float = Field(default=0.0, ge=0, le=1)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The best of `documents` as copies; equal scores stay in the order of `documents`."""
        return self._kept(documents, self.reranker.scores(query, [document.page_content for document in documents]))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """As `compress_documents`, off the event loop."""
        texts = [document.page_content for document in documents]
        return self._kept(documents, await ascores(self.reranker, query, texts))

    def _kept(self, documents: Sequence[Document], scores: Sequence[float]) -> list[Document]:
        found = [
            document.model_copy(update={"metadata": {**document.metadata, SCORE: score}})
            for document, score in zip(documents, checked_scores(scores, len(documents)), strict=True)
            if score >= self.min_score
        ]
        return sorted(found, key=lambda document: -document.metadata[SCORE])[: self.top_n]


def sent(hits: Sequence[Hit]) -> list[Document]:
    """What a compressor gets: each hit with `_howdah` in its metadata, which holds its id."""
    return [annotated(hit) for hit in hits]


def compressed(documents: Sequence[Document], hits: Sequence[Hit]) -> list[Hit]:
    """The hits that `documents`, a compressor's answer to `sent(hits)`, stand for, in its order.

    A document is known by its `_howdah` metadata, else by its id, else by its text. One that the compressor shortened
    keeps the hit's id; its offsets are those of the piece, or None where the text is no piece of the hit's. Where the
    compressor gives a `relevance_score`, that is the hit's `score` and `scores["rerank"]`; else its scores stay.

    Raises InvalidInput for a document that was none of the hits.
    """
    by_id = {hit.id: hit for hit in hits}
    by_text = {hit.content: hit for hit in reversed(hits)}
    return [_scored(_cut(_origin(document, by_id, by_text), document), document) for document in documents]


def _origin(document: Document, by_id: dict[str, Hit], by_text: dict[str, Hit]) -> Hit:
    ours = document.metadata.get(OURS)
    known = ours.get("id") if isinstance(ours, dict) else document.id
    hit = by_id.get(str(known)) or by_text.get(document.page_content)
    hit = hit or next((each for text, each in by_text.items() if document.page_content in text), None)
    if hit is None:
        raise InvalidInput(
            f"the document compressor returned what it was not given: {document.page_content[:60]!r}",
            hint="it has to keep a document's metadata, id or text, or no source can be named for it",
        )
    return hit


def _cut(hit: Hit, document: Document) -> Hit:
    """The hit with the document's text, and with offsets that fit it."""
    content = document.page_content
    if content == hit.content:
        return hit
    place = hit.content.find(content) if content else -1
    if place < 0 or hit.start is None:
        return replace(hit, content=content, start=None, end=None)
    start = hit.start + place
    page = hit.page and hit.page + hit.content.count("\f", 0, place)
    return replace(hit, content=content, start=start, end=start + len(content), page=page)


def _scored(hit: Hit, document: Document) -> Hit:
    score = document.metadata.get(SCORE)
    # A number that was stored with the chunk is not the compressor's.
    if isinstance(score, bool) or not isinstance(score, int | float) or score == hit.metadata.get(SCORE):
        return hit
    return replace(hit, score=float(score), scores={**hit.scores, "rerank": float(score)})
