"""A LlamaIndex query as the arguments of `PGVector.hits`. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode, VectorStoreQueryResult

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.llamaindex.filters import within
from howdah.retrieval.llamaindex.nodes import node_of
from howdah.retrieval.types import Hit

Arguments = dict[str, Any]


def arguments(query: VectorStoreQuery, given: Mapping[str, Any]) -> Arguments:
    """The search for `query`; `given` are more settings of `hits`, and mmr_threshold and mmr_prefetch_k for MMR.

    Raises InvalidInput for a mode that has no meaning here, and for a query without what its mode searches by.
    """
    for name in ("output_fields", "embedding_field"):
        if getattr(query, name) is not None:
            raise InvalidInput(f"{name} has no meaning here", hint="leave it out: nodes come whole")
    of_mode = _MODES.get(query.mode)
    if of_mode is None:
        known = ", ".join(mode.value for mode in _MODES)
        raise InvalidInput(f"the query mode {query.mode!r} is not searched in the database", hint=f"use one of {known}")
    # An index that keeps its text in the store sends an empty list where it means all.
    held = within(query.filters, node_ids=query.node_ids or None, doc_ids=query.doc_ids or None)
    settings = dict(given)
    return {"query": query.query_str or "", "filter": held, **of_mode(query, settings), **settings}


def _dense(query: VectorStoreQuery, settings: Arguments) -> Arguments:
    return {"search_type": "similarity", "k": query.similarity_top_k, "embedding": _embedding(query)}


def _lexical(query: VectorStoreQuery, settings: Arguments) -> Arguments:
    _check_words(query)
    return {"search_type": "lexical", "k": query.sparse_top_k or query.similarity_top_k}


def _hybrid(query: VectorStoreQuery, settings: Arguments) -> Arguments:
    _check_words(query)
    k = query.hybrid_top_k or query.similarity_top_k
    found = {"search_type": "hybrid", "k": k, "embedding": _embedding(query)}
    if query.alpha is not None:
        found["weight"] = query.alpha
    if query.similarity_top_k > k:  # else it is LlamaIndex's own default, and no depth that anybody chose
        found["dense_depth"] = query.similarity_top_k
    if query.sparse_top_k is not None:
        found["lexical_depth"] = query.sparse_top_k
    return found


def _mmr(query: VectorStoreQuery, settings: Arguments) -> Arguments:
    found = {"search_type": "mmr", "k": query.similarity_top_k, "embedding": _embedding(query)}
    threshold = settings.pop("mmr_threshold", query.mmr_threshold)  # an index has no other way to hand it on
    if threshold is not None:
        found["lambda_mult"] = threshold
    if "mmr_prefetch_k" in settings:
        found["fetch_k"] = settings.pop("mmr_prefetch_k")
    return found


_MODES: dict[VectorStoreQueryMode, Callable[[VectorStoreQuery, Arguments], Arguments]] = {
    VectorStoreQueryMode.DEFAULT: _dense,
    VectorStoreQueryMode.SPARSE: _lexical,
    VectorStoreQueryMode.TEXT_SEARCH: _lexical,
    VectorStoreQueryMode.HYBRID: _hybrid,
    VectorStoreQueryMode.SEMANTIC_HYBRID: _hybrid,
    VectorStoreQueryMode.MMR: _mmr,
}


def _embedding(query: VectorStoreQuery) -> Any:
    if query.query_embedding is None and not query.query_str:
        raise InvalidInput(
            f"a query in mode {query.mode.value!r} needs query_embedding",
            hint="or query_str, on a store that has an embedding model",
        )
    return query.query_embedding


def _check_words(query: VectorStoreQuery) -> None:
    if not query.query_str:
        raise InvalidInput(f"a query in mode {query.mode.value!r} needs query_str, the words to search for")


def result(hits: Sequence[Hit]) -> VectorStoreQueryResult:
    """The hits as nodes, best first, each with its score (higher is better)."""
    return VectorStoreQueryResult(
        nodes=[node_of(hit) for hit in hits],
        similarities=[hit.score for hit in hits],
        ids=[hit.id for hit in hits],
    )
