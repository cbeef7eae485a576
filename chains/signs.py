"""What speaks for an answer being among the passages that were found: a few numbers of one question. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from howdah.chains.extractive import Candidate, log_odds, overlap
from howdah.chains.wanted import offers, wanted
from howdah.chains.words import content_words, facts
from howdah.retrieval.types import Hit


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """Higher speaks for an answer, in each of these.

    passage, sentence: the reranker's best score of a passage and of a sentence, as log odds. margin: how far the best
    passage is ahead of the second. dense, lexical: the best passage's own scores of the search. shared: the share of the
    question's content words in the best passage, rare ones counting more; held: log(1 + how many). close: their share in
    the best sentence. names: the share of the question's names and numbers in the best passage. asked: 1 where the best
    sentence holds the kind of thing that is asked for, -1 where it does not, 0 where the question does not tell.
    """

    passage: float = 0.0
    sentence: float = 0.0
    margin: float = 0.0
    dense: float = 0.0
    lexical: float = 0.0
    shared: float = 0.0
    held: float = 0.0
    close: float = 0.0
    names: float = 0.0
    asked: float = 0.0


NAMES = tuple(each.name for each in fields(Signs))


def read_signs(query: str, hits: Sequence[Hit], found: Sequence[Candidate], scores: Sequence[float]) -> Signs:
    """Of hits that were reranked, best first, and the reranker's scores of the sentences `found` in them."""
    best = hits[0]
    ranks = [log_odds(hit.scores.get("rerank", hit.score)) for hit in hits[:2]]
    top = max(range(len(found)), key=lambda place: scores[place]) if found else None
    said = found[top].text if top is not None else best.content
    kind = wanted(query)
    return Signs(
        passage=ranks[0],
        sentence=log_odds(scores[top]) if top is not None else ranks[0],
        margin=ranks[0] - ranks[1] if len(ranks) > 1 else 0.0,
        dense=best.scores.get("dense", 0.0),
        lexical=best.scores.get("lexical", 0.0),
        shared=overlap(query, [hit.content for hit in hits])[0],
        held=math.log1p(sum(word in facts(best.content).content for word in set(content_words(query)))),
        close=_share(content_words(query), facts(said).content),
        names=_share([*facts(query).names, *facts(query).numbers], _everything(best.content)),
        asked=0.0 if kind is None else 1.0 if offers(kind, said, query) else -1.0,
    )


def _share(wanted: Sequence[str], held: frozenset[str]) -> float:
    return sum(word in held for word in wanted) / len(wanted) if wanted else 1.0


def _everything(text: str) -> frozenset[str]:
    found = facts(text)
    return found.content | found.names | found.numbers
