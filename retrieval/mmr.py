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
    relevance = units @ _units(query)
    nearest_chosen = np.full(len(units), -np.inf)
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < min(k, len(units)):
        nearest_chosen = np.maximum(nearest_chosen, units @ units[chosen[-1]])
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
