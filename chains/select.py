"""Which passages are good enough, and in what order: reranked where there is a reranker, refused where none is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from langchain_core.runnables import Runnable, RunnableLambda

from howdah.chains.context import format_context, shown
from howdah.chains.extractive import overlap
from howdah.chains.turn import Turn
from howdah.retrieval.rerank import Reranker
from howdah.retrieval.reranking import areranked, reranked
from howdah.retrieval.types import Hit

# Measured on XQuAD (250 questions, and 120 SciFact claims as foreign ones) and on FastAPI's pages (20 questions). The
# cross-encoder's score is near 0 or near 1, and lower on questions in one's own words: 0.2 alone refuses 4 % of the
# first, all foreign ones, but 3 of the 20; so below it shared words count too. `howdah tune` learns a bound instead.
SURE = 0.2  # a rerank score that needs nothing else
POSSIBLE = 0.01  # a rerank score below which nothing helps
SURE_DENSE = 0.5  # the same of the vector arm, on its fixed scale: no foreign claim reached it
LEAST_OVERLAP = 0.15  # of the question's words in one passage, rare ones counting more
_READ = 3  # passages in which they are looked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What is shown to a model, and when nothing is.

    `min_score` bounds the best passage's score: the reranker's, where there is one, else the retriever's. Without it
    the defaults below decide. `limit` is in characters, markup included.
    """

    min_score: float | None
    passages: int
    limit: int


def selecting(selection: Selection, reranker: Reranker | None) -> Runnable[Turn, Turn]:
    """Orders `Turn.hits`, sets how many are shown, and decides on refusal."""

    def select(turn: Turn) -> Turn:
        since = time.perf_counter()
        if reranker is not None and _unranked(turn.hits):
            turn = replace(turn, hits=tuple(reranked(reranker, turn.query, turn.hits)))
        return _selected(turn, selection, since)

    async def aselect(turn: Turn) -> Turn:
        since = time.perf_counter()
        if reranker is not None and _unranked(turn.hits):
            turn = replace(turn, hits=tuple(await areranked(reranker, turn.query, turn.hits)))
        return _selected(turn, selection, since)

    return RunnableLambda(select, aselect, name="select")


def sufficient(hits: Sequence[Hit], query: str, *, min_score: float | None = None) -> bool:
    """Whether the best of `hits` is good enough to answer from."""
    if not hits:
        return False
    best = hits[0]
    if min_score is not None:
        return best.scores.get("rerank", best.score) >= min_score
    if best.scores.get("rerank", POSSIBLE) < POSSIBLE:
        return False
    sure = best.scores["rerank"] >= SURE if "rerank" in best.scores else best.scores.get("dense", 0.0) >= SURE_DENSE
    return sure or max(overlap(query, [hit.content for hit in hits])[:_READ]) >= LEAST_OVERLAP


def _unranked(hits: Sequence[Hit]) -> bool:
    return any("rerank" not in hit.scores for hit in hits)


def _selected(turn: Turn, selection: Selection, since: float) -> Turn:
    enough = sufficient(turn.hits, turn.query, min_score=selection.min_score)
    worth = [hit for hit in turn.hits if hit.scores.get("rerank", POSSIBLE) >= POSSIBLE] or turn.hits[:1]
    chosen = turn.hits[: min(len(worth), selection.passages)]
    count = shown(format_context(chosen, question=turn.query, limit=selection.limit))
    return turn.timed("rerank", since, shown=count, refused=not enough)
