"""Which passages are good enough, and in what order: reranked where there is a reranker, refused where none is."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from langchain_core.runnables import Runnable, RunnableLambda

from howdah.chains.context import format_context, shown
from howdah.chains.extractive import Candidate, candidates, overlap
from howdah.chains.refusal import Bound, best_score, bound_for
from howdah.chains.searched import Known, Searched
from howdah.chains.signs import read_signs
from howdah.chains.turn import Turn
from howdah.retrieval.rerank import Reranker, ascores, checked_scores
from howdah.retrieval.reranking import areranked, reranked
from howdah.retrieval.types import Hit

# Where no bound was learned from the scores at hand: without a reranker, or with another one. Measured on XQuAD (250
# questions, and 120 SciFact claims as foreign ones) and on FastAPI's pages (20 questions).
SURE = 0.2  # a rerank score that needs nothing else
POSSIBLE = 0.01  # a rerank score below which nothing helps
SURE_DENSE = 0.5  # the same of the vector arm, on its fixed scale: no foreign claim reached it
LEAST_OVERLAP = 0.15  # of the question's words in one passage, rare ones counting more
_READ = 3  # passages in which they are looked for

_log = logging.getLogger("howdah.chains")


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What is shown to a model, and when nothing is.

    `min_score` bounds the best passage's score: the reranker's, where there is one, else the retriever's. Without it
    the collection's bound decides, else the standard one (refusal.py). `limit` is in characters, markup included.
    """

    min_score: float | None
    passages: int
    limit: int


def selecting(
    selection: Selection, reranker: Reranker | None, searched: Searched | None = None
) -> Runnable[Turn, Turn]:
    """Orders `Turn.hits` and scores their sentences, sets how many are shown, and decides on refusal."""

    def select(turn: Turn) -> Turn:
        since = time.perf_counter()
        if reranker is not None and turn.hits:
            if _unranked(turn.hits):
                turn = replace(turn, hits=tuple(reranked(reranker, turn.query, turn.hits)))
            quotable = candidates(turn.hits)
            with _or_by_words():
                turn = _scored(turn, quotable, reranker.scores(turn.query, [each.text for each in quotable]))
        return _selected(turn, selection, _bound(reranker, searched.known() if searched else Known()), since)

    async def aselect(turn: Turn) -> Turn:
        since = time.perf_counter()
        if reranker is not None and turn.hits:
            if _unranked(turn.hits):
                turn = replace(turn, hits=tuple(await areranked(reranker, turn.query, turn.hits)))
            quotable = candidates(turn.hits)
            with _or_by_words():
                turn = _scored(turn, quotable, await ascores(reranker, turn.query, [each.text for each in quotable]))
        return _selected(turn, selection, _bound(reranker, await searched.aknown() if searched else Known()), since)

    return RunnableLambda(select, aselect, name="select")


def sufficient(hits: Sequence[Hit], query: str, *, min_score: float | None = None) -> bool:
    """Whether the best of `hits` is good enough to answer from, where no bound was learned from its scores."""
    if not hits:
        return False
    best = hits[0]
    if min_score is not None:
        return best_score(hits) >= min_score
    if best.scores.get("rerank", POSSIBLE) < POSSIBLE:
        return False
    sure = best.scores["rerank"] >= SURE if "rerank" in best.scores else best.scores.get("dense", 0.0) >= SURE_DENSE
    return sure or max(overlap(query, [hit.content for hit in hits])[:_READ]) >= LEAST_OVERLAP


@contextmanager
def _or_by_words() -> Iterator[None]:
    """Where a reranker, anyone's, fails on the sentences: quotes can be chosen without it."""
    try:
        yield
    except Exception as exc:  # noqa: BLE001 - it raises what it likes
        _log.warning("the reranker failed on sentences (%s), so quotes are chosen by shared words", type(exc).__name__)


def _unranked(hits: Sequence[Hit]) -> bool:
    return any("rerank" not in hit.scores for hit in hits)


def _scored(turn: Turn, quotable: Sequence[Candidate], scores: Sequence[float]) -> Turn:
    return replace(turn, quotable=tuple(quotable), quote_scores=tuple(checked_scores(scores, len(quotable))))


def _bound(reranker: Reranker | None, known: Known) -> Bound | None:
    return bound_for(reranker, saved=known.bound, embeddings=known.embeddings)


def _selected(turn: Turn, selection: Selection, bound: Bound | None, since: float) -> Turn:
    if bound is not None and selection.min_score is None and turn.hits:
        refused = bound.refuses(read_signs(turn.query, turn.hits, turn.quotable, turn.quote_scores))
    else:
        refused = not sufficient(turn.hits, turn.query, min_score=selection.min_score)
    worth = [hit for hit in turn.hits if hit.scores.get("rerank", POSSIBLE) >= POSSIBLE] or turn.hits[:1]
    chosen = turn.hits[: min(len(worth), selection.passages)]
    count = shown(format_context(chosen, question=turn.query, limit=selection.limit))
    return turn.timed("rerank", since, shown=count, refused=refused)
