"""Hits in another's order: rerankers, LangChain's compressors of every habit, and ours as one of them."""

import asyncio
import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.documents import BaseDocumentCompressor, Document

from howdah.retrieval.compressors import LocalRerank
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.local_models import MS_MARCO, model_installed
from howdah.retrieval.rerank import LocalReranker
from howdah.retrieval.reranking import areranked, ranker_of, reranked
from howdah.retrieval.types import Hit

TEXT = "One fish. Two fish. Red fish. Blue fish."
PLACES = [(0, 9), (10, 19), (20, 29), (30, 40)]
HITS = [
    Hit(
        id=f"h{place}",
        content=TEXT[start:end],
        metadata={"place": place},
        score=1 - place / 10,
        scores={"dense": 1 - place / 10},
        source="fish.txt",
        start=start,
        end=end,
    )
    for place, (start, end) in enumerate(PLACES)
]


class Lengths:
    """Longer is better."""

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        return [len(text) / 100 for text in texts]


class Compressor(BaseDocumentCompressor):
    """What `work` makes of the documents."""

    work: Callable[[list[Document]], Sequence[Document]]

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        return self.work(list(documents))


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.id for hit in hits]


# -- by scores


def test_a_rerankers_score_is_the_score_and_ties_stay_in_the_searchs_order():
    found = reranked(Lengths(), "q", HITS)
    assert ids(found) == ["h3", "h0", "h1", "h2"]  # 10 letters; then 9 each
    assert [hit.score for hit in found] == [0.10, 0.09, 0.09, 0.09]
    dense = {hit.id: hit.score for hit in HITS}
    assert [hit.scores for hit in found] == [{"dense": dense[hit.id], "rerank": hit.score} for hit in found]
    assert HITS[3].scores == {"dense": 0.7}
    assert reranked(Lengths(), "q", []) == []


@pytest.mark.parametrize(
    ("scores", "said"), [([0.1] * 3, "3 scores for 4"), ([0.1, 0.2, float("nan"), 0.3], "1 of them NaN")]
)
async def test_scores_that_are_no_order_are_an_error(scores, said):
    class Wrong:
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return scores

    with pytest.raises(InvalidInput, match=said):
        reranked(Wrong(), "q", HITS)
    with pytest.raises(InvalidInput, match=said):
        await areranked(Wrong(), "q", HITS)


def test_what_rerank_may_be():
    assert ranker_of(None) is ranker_of(False) is None
    assert isinstance(ranker_of(True), LocalReranker)
    assert isinstance(ranker_of("local"), LocalReranker)
    own, compressor = Lengths(), Compressor(work=lambda documents: documents)
    assert ranker_of(own) is own
    assert ranker_of(compressor) is compressor
    for wrong in ("cohere", 1, LocalReranker, Compressor, lambda query, texts: []):
        with pytest.raises(InvalidInput, match=r"cannot rank; give True or 'local', an object with scores"):
            ranker_of(wrong)


async def test_a_reranker_without_async_does_not_hold_the_loop():
    class Slow(Lengths):
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            time.sleep(0.2)
            return super().scores(query, texts)

    slow = Compressor(work=lambda documents: time.sleep(0.2) or documents)
    for ranker in (Slow(), slow):
        task, ticks = asyncio.create_task(areranked(ranker, "q", HITS)), 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks >= 5
        assert task.result() == reranked(ranker, "q", HITS)


# -- by a compressor


def rebuilt(documents: list[Document], **more: Any) -> list[Document]:
    """As langchain-cohere does it: new objects with a copy of the metadata, without an id."""
    return [Document(page_content=d.page_content, metadata={**copy.deepcopy(d.metadata), **more}) for d in documents]


HABITS: dict[str, Callable[[list[Document]], list[Document]]] = {
    "the same objects": lambda documents: documents,
    "new ones with the metadata": rebuilt,
    "new ones with the id alone": lambda documents: [Document(page_content=d.page_content, id=d.id) for d in documents],
    "the text alone": lambda documents: [Document(page_content=d.page_content) for d in documents],
}


@pytest.mark.parametrize("habit", HABITS)
async def test_documents_that_are_dropped_and_reordered_are_known_again(habit):
    compressor = Compressor(work=lambda documents: HABITS[habit]([documents[2], documents[0]]))
    want = [HITS[2], HITS[0]]
    assert reranked(compressor, "q", HITS) == await areranked(compressor, "q", HITS) == want


def test_a_relevance_score_is_the_score():
    compressor = Compressor(work=lambda documents: rebuilt(documents[1:2], relevance_score=0.75))
    (found,) = reranked(compressor, "q", HITS)
    assert (found.id, found.score, found.scores) == ("h1", 0.75, {"dense": 0.9, "rerank": 0.75})
    assert found.metadata == {"place": 1}


@pytest.mark.parametrize("stored", [0.5, 5, True, "high", None])
def test_a_relevance_score_that_was_stored_is_not_the_compressors(stored):
    hit = Hit(id="a", content="a", metadata={"relevance_score": stored}, score=0.1)
    assert reranked(Compressor(work=rebuilt), "q", [hit]) == [hit]


def test_a_piece_of_a_hit_keeps_its_id_and_has_its_own_offsets():
    def extract(documents: list[Document]) -> list[Document]:
        return [Document(page_content=d.page_content[:3], metadata=d.metadata) for d in documents[1:]]

    found = reranked(Compressor(work=extract), "q", HITS)
    assert ids(found) == ["h1", "h2", "h3"]
    assert [hit.content for hit in found] == ["Two", "Red", "Blu"]
    assert all(TEXT[hit.start : hit.end] == hit.content for hit in found)
    without = [Hit(id="h1", content="Two fish.", metadata={}, score=0.0)]
    assert reranked(Compressor(work=extract), "q", [HITS[0], *without])[0].start is None


def test_what_is_no_piece_has_no_offsets_and_what_was_not_sent_is_an_error():
    summary = Compressor(work=lambda documents: [Document(page_content="Fish!", metadata=documents[0].metadata)])
    (found,) = reranked(summary, "q", HITS)
    assert (found.id, found.content, found.start, found.end) == ("h0", "Fish!", None, None)
    invented = Compressor(work=lambda documents: [Document(page_content="A whale.")])
    with pytest.raises(InvalidInput, match=r"returned what it was not given: 'A whale\.'.*has to keep"):
        reranked(invented, "q", HITS)


# -- ours


def test_ours_orders_keeps_the_best_and_says_the_score():
    documents = [Document(page_content=text, id=text, metadata={"n": n}) for n, text in enumerate(["a", "ccc", "bb"])]
    found = LocalRerank(reranker=Lengths(), top_n=2).compress_documents(documents, "q")
    assert [d.id for d in found] == ["ccc", "bb"]
    assert [d.metadata for d in found] == [{"n": 1, "relevance_score": 0.03}, {"n": 2, "relevance_score": 0.02}]
    assert documents[1].metadata == {"n": 1}
    assert [d.id for d in LocalRerank(reranker=Lengths(), min_score=0.02).compress_documents(documents, "q")] == [
        "ccc",
        "bb",
    ]
    assert LocalRerank(reranker=Lengths()).compress_documents([], "q") == []
    for wrong in ({"top_n": 0}, {"min_score": 2}, {"top": 3}):
        with pytest.raises(ValueError, match=r"top|min_score"):
            LocalRerank(**wrong)


@pytest.mark.skipif(not model_installed(MS_MARCO), reason="the extra `local` is not installed")
async def test_ours_is_the_local_cross_encoder_and_a_ranker_like_any():
    texts = ["Paris is in France.", "Berlin has 3.5 million inhabitants.", "The museum opens at nine."]
    hits = [Hit(id=str(n), content=text, metadata={}, score=0.0) for n, text in enumerate(texts)]
    query = "How many people live in Berlin?"
    assert reranked(LocalRerank(), query, hits) == reranked(LocalReranker(), query, hits)
    assert await areranked(LocalRerank(), query, hits) == await areranked(LocalReranker(), query, hits)
    assert reranked(LocalRerank(), query, hits)[0].id == "1"
