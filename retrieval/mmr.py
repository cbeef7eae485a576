"""Maximal marginal relevance: closeness to the query traded for variety."""

import numpy as np

from howdah.retrieval.types import Array


def mmr(query: Array, candidates: Array, *, k: int, lambda_mult: float = 0.5) -> list[int]:
    """Row numbers of `candidates` in the order of their choice (Carbonell and Goldstein, 1998), by cosine.

    Shapes: query (d,), candidates (n, d). lambda_mult: 1 = closest only, 0 = spread only. Returns min(k, n) numbers;
    ties go to the earlier row.
    """
    if len(candidates) == 0 or k <= 0:
        return []
    units = _units(candidates)
    return _chosen(units @ _units(query), units, k=k, lambda_mult=lambda_mult, floor=None)


def mmr_by_scores(scores: Array, candidates: Array, *, k: int, lambda_mult: float, c0: float = 0.0) -> list[int]:
    """Row numbers of `candidates` in the order of their choice, where relevance is a search's own score.

    First the highest score; then always the largest  λ · score - (1 - λ) · s,  with s the similarity to the most
    similar one of those chosen: s = (cosine - c0) / (1 - c0), cut to [0, 1], with c0 the mean cosine of the collection's
    random pairs. That is the scale of the dense part of a hybrid score, so both sides of the difference mean the same:
    0 for unrelated texts, 1 for the same. For scores that are that scale alone (weight 1) the order is `mmr`'s, since
    one rescaling of both terms changes no comparison.

    Shapes: scores (n,), higher is better and in [0, 1]; candidates (n, d). Ties go to the earlier row.
    """
    if len(candidates) == 0 or k <= 0:
        return []
    return _chosen(scores, _units(candidates), k=k, lambda_mult=lambda_mult, floor=c0)


def _chosen(relevance: Array, units: Array, *, k: int, lambda_mult: float, floor: float | None) -> list[int]:
    """`floor` is the cosine that counts as no similarity at all; None leaves cosines as they are."""
    nearest_chosen = np.full(len(units), -np.inf)
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < min(k, len(units)):
        similarity = units @ units[chosen[-1]]
        if floor is not None:
            similarity = np.clip((similarity - floor) / (1 - floor), 0, 1)
        nearest_chosen = np.maximum(nearest_chosen, similarity)
        worth = lambda_mult * relevance - (1 - lambda_mult) * nearest_chosen
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
    return chosen


def _units(vectors: Array) -> Array:
    """Scaled to unit length; a zero vector, which L2 allows, stays zero and is like nothing."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    norms[norms == 0] = 1
    units: Array = vectors / norms
    return units
