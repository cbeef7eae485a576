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
    units = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    relevance = units @ (query / np.linalg.norm(query))
    nearest_chosen = np.full(len(units), -np.inf)
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < min(k, len(units)):
        nearest_chosen = np.maximum(nearest_chosen, units @ units[chosen[-1]])
        worth = lambda_mult * relevance - (1 - lambda_mult) * nearest_chosen
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
    return chosen
