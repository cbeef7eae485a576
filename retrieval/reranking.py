"""Hits in the order of a reranker, or of any LangChain document compressor."""

from collections.abc import Sequence

from langchain_core.documents import BaseDocumentCompressor

from howdah.retrieval.compressors import compressed, sent
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.rerank import LocalReranker, Reranker, ascores, by_scores
from howdah.retrieval.types import Hit

Ranker = Reranker | BaseDocumentCompressor


def ranker_of(given: object) -> Ranker | None:
    """What `rerank=` means: True or "local" the local cross-encoder, None or False nothing, else the object itself."""
    if given is None or given is False:
        return None
    if given is True or given == "local":
        return LocalReranker()
    if isinstance(given, Reranker | BaseDocumentCompressor) and not isinstance(given, type):
        return given
    raise InvalidInput(
        f"rerank is {given!r} and cannot rank",
        hint="give True or 'local', an object with scores(query, texts), or a LangChain document compressor",
    )


def reranked(ranker: Ranker, query: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits in the order of `ranker`, best first.

    A reranker's score becomes `score` and `scores["rerank"]`; equal ones stay in the order of `hits`. A compressor may
    leave hits out and shorten them (see `compressed`). Raises InvalidInput for anything but one number a hit.
    """
    if not hits:
        return []
    if isinstance(ranker, BaseDocumentCompressor):
        return compressed(ranker.compress_documents(sent(hits), query), hits)
    return by_scores(hits, ranker.scores(query, [hit.content for hit in hits]))


async def areranked(ranker: Ranker, query: str, hits: Sequence[Hit]) -> list[Hit]:
    """As `reranked`, off the event loop."""
    if not hits:
        return []
    if isinstance(ranker, BaseDocumentCompressor):
        return compressed(await ranker.acompress_documents(sent(hits), query), hits)
    return by_scores(hits, await ascores(ranker, query, [hit.content for hit in hits]))
