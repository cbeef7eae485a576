"""MMR against the definition, written out, and against LangChain's own function."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from howdah.retrieval.mmr import mmr, mmr_by_scores


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)))


def brute_force(query: np.ndarray, candidates: np.ndarray, k: int, lambda_mult: float) -> list[int]:
    """Carbonell and Goldstein, equation 1: argmax of λ·sim(d, q) - (1 - λ)·max over chosen of sim(d, d')."""
    chosen: list[int] = []
    while len(chosen) < min(k, len(candidates)):
        worth = {}
        for i in set(range(len(candidates))) - set(chosen):
            repeated = max((cosine(candidates[i], candidates[j]) for j in chosen), default=0.0)
            share = lambda_mult if chosen else 1.0
            worth[i] = share * cosine(candidates[i], query) - (1 - share) * repeated
        chosen.append(min(worth, key=lambda i: (-worth[i], i)))
    return chosen


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), k=st.integers(1, 14), share=st.floats(0, 1))
def test_equals_the_definition(seed: int, n: int, k: int, share: float):
    rng = np.random.default_rng(seed)
    query, candidates = rng.normal(size=6), rng.normal(size=(n, 6))
    assert mmr(query, candidates, k=k, lambda_mult=share) == brute_force(query, candidates, k, share)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_equals_langchains(share: float):
    rng = np.random.default_rng(7)
    query, candidates = rng.normal(size=16), rng.normal(size=(40, 16))
    theirs: Sequence[int] = maximal_marginal_relevance(query, list(candidates), lambda_mult=share, k=10)
    assert mmr(query, candidates, k=10, lambda_mult=share) == list(theirs)


def test_closest_only_is_the_order_of_similarity():
    rng = np.random.default_rng(3)
    query, candidates = rng.normal(size=4), rng.normal(size=(20, 4))
    by_cosine = sorted(range(20), key=lambda i: -cosine(candidates[i], query))
    assert mmr(query, candidates, k=20, lambda_mult=1) == by_cosine


def test_a_copy_comes_last():
    query = np.array([1.0, 0.2])
    candidates = np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
    assert mmr(query, candidates, k=3, lambda_mult=0.5) == [0, 2, 1]


def test_ties_go_to_the_earlier_row():
    same = np.ones((5, 3))
    assert mmr(np.ones(3), same, k=5) == [0, 1, 2, 3, 4]


def test_edges():
    nothing = np.zeros((0, 3))
    assert mmr(np.ones(3), nothing, k=4) == []
    assert mmr(np.ones(3), np.ones((2, 3)), k=0) == []
    assert mmr(np.ones(3), np.ones((2, 3)), k=9) == [0, 1]


def test_a_zero_vector_is_like_nothing():
    candidates = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert mmr(np.array([1.0, 0.0]), candidates, k=2) == [1, 0]
    assert mmr(np.zeros(2), candidates, k=2) == [0, 1]


def by_scores(scores: np.ndarray, candidates: np.ndarray, k: int, share: float, c0: float) -> list[int]:
    """The same equation with a search's scores, and similarity rescaled so that c0 is 0 and 1 is 1."""
    chosen: list[int] = []
    while len(chosen) < min(k, len(candidates)):
        worth = {}
        for i in set(range(len(candidates))) - set(chosen):
            alike = [(cosine(candidates[i], candidates[j]) - c0) / (1 - c0) for j in chosen]
            repeated = max((min(max(each, 0.0), 1.0) for each in alike), default=0.0)
            own = share if chosen else 1.0
            worth[i] = own * scores[i] - (1 - own) * repeated
        chosen.append(min(worth, key=lambda i: (-worth[i], i)))
    return chosen


@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), k=st.integers(1, 14), share=st.floats(0, 1),
    c0=st.floats(0, 0.9),
)  # fmt: skip
def test_by_scores_equals_the_definition(seed: int, n: int, k: int, share: float, c0: float):
    rng = np.random.default_rng(seed)
    scores, candidates = rng.random(n), rng.normal(size=(n, 6))
    assert mmr_by_scores(scores, candidates, k=k, lambda_mult=share, c0=c0) == by_scores(
        scores, candidates, k, share, c0
    )


@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1), c0=st.floats(0, 0.4))
def test_by_the_dense_scale_alone_the_order_is_that_of_mmr(seed: int, share: float, c0: float):
    rng = np.random.default_rng(seed)
    # All in one corner, so that no cosine lies below c0 and is cut.
    query, candidates = 1 + rng.random(6), 1 + rng.random((9, 6))
    scores = np.array([(cosine(query, each) - c0) / (1 - c0) for each in candidates])
    assert mmr_by_scores(scores, candidates, k=9, lambda_mult=share, c0=c0) == mmr(
        query, candidates, k=9, lambda_mult=share
    )


def test_by_scores_of_nothing_is_nothing():
    nothing = np.empty((0, 3))
    assert mmr_by_scores(np.empty(0), nothing, k=3, lambda_mult=0.5) == []
