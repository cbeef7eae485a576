"""Answers without a model's words: the best sentences of the best passages, as they stand there. Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from howdah.chains.sentences import Span, sentences
from howdah.chains.showable import quotable
from howdah.chains.wanted import offers, wanted
from howdah.chains.words import content_words, facts
from howdah.retrieval.types import Hit

PASSAGES = 3  # that are read for sentences
# Tuned on half of XQuAD's questions (benchmarks/answers.py): the most that keeps an answer short.
_NEAR = 4.0  # log odds behind the best, for a second sentence to be quoted too
_NEAR_SHORT = 8.0  # the same where both together are short
_NEAR_SHARE = math.log(1 / 0.8)  # the same of shares of words: 0.8 of the best
_PASSAGE = 0.5  # how much a passage's log odds count beside a sentence's
_KIND = 3.0  # what a number counts where one is asked for
_LEAST = 1e-6  # scores nearer to 0 or 1 than this are no surer
_LONGEST = 600  # characters of one quoted sentence; longer ones are cut at a word
_LONGEST_TWO = 450  # characters of two
_SHORT_TWO = 240  # characters of two that are short
_WANTS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|old|often|far|large|big|high)|when|what (?:year|date|percentage)|which year|wann|wie ?viele?"
    r"|wie (?:alt|lange|hoch|groß)|cuánt[oa]s?|cuándo|combien|quand)\b",
    re.IGNORECASE,
)
_STOPS = (".", "!", "。", "！", '."', ".”", ".)")  # a short sentence counts where it ends as one
_HEADING = re.compile(r"#{1,6}\s|\||```|~~~")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A sentence that could be quoted: where it stands, in the hit of number `place`."""

    place: int
    span: Span
    text: str


def candidates(hits: Sequence[Hit]) -> list[Candidate]:
    """The sentences of the best passages that read as statements; all that can be shown where none does."""
    every = [
        Candidate(place=place, span=span, text=hit.content[span.start : span.end])
        for place, hit in enumerate(hits[:PASSAGES])
        for span in (_trimmed(hit.content, each) for each in sentences(hit.content))
    ]
    return [each for each in every if _states(each.text)] or [each for each in every if quotable(each.text)]


def quotes(
    query: str, found: Sequence[Candidate], scores: Sequence[float], hits: Sequence[Hit]
) -> list[Candidate]:  # fmt: skip
    """What to quote: by a reranker's `scores` of the sentences, else, where there are none, by the words they share."""
    if not scores:
        shares = overlap_scores(query, found)
        return best(found, [math.log(share) if share > 0 else -math.inf for share in shares], near=_NEAR_SHARE)
    return best(found, relevance(query, found, scores, hits), near=_NEAR, near_short=_NEAR_SHORT)


def best(
    found: Sequence[Candidate], values: Sequence[float], *, near: float, near_short: float = 0.0
) -> list[Candidate]:
    """The best sentence, and another within `near` of it if both are not long; of one passage in reading order.

    Two that are short cost the reader little: there the other need be within `near_short` alone, where that is wider.
    """
    ranked = sorted(zip(found, values, strict=True), key=lambda pair: -pair[1])
    if not ranked:
        return []
    (first, most), *others = ranked
    for candidate, value in others:
        length = len(first.text) + len(candidate.text)
        within = max(near, near_short) if length <= _SHORT_TWO else near
        fits = length <= _LONGEST_TWO and candidate.text != first.text
        if fits and value >= most - within and value > -math.inf:
            pair = [first, candidate]
            return sorted(pair, key=lambda each: each.span) if first.place == candidate.place else pair
    return [first]


def relevance(
    query: str, found: Sequence[Candidate], scores: Sequence[float], hits: Sequence[Hit]
) -> list[float]:  # fmt: skip
    """Log odds that a sentence answers: a reranker's of it, half of its passage's, and whether it has what is asked for."""
    kind = wanted(query)
    return [
        log_odds(score)
        + _PASSAGE * log_odds(hits[each.place].scores.get("rerank", 0.5))
        + (0.0 if kind is None else _KIND if offers(kind, each.text, query) else -_KIND)
        for score, each in zip(scores, found, strict=True)
    ]


def log_odds(score: float) -> float:
    bounded = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(bounded / (1 - bounded))


def overlap(query: str, texts: Sequence[str]) -> list[float]:
    """For each text the share of the query's content words that it holds, rare words counting more; in [0, 1]."""
    asked = list(dict.fromkeys(content_words(query)))
    held = [facts(text).content for text in texts]
    weight = {word: math.log(1 + len(texts) / (1 + sum(word in words for words in held))) for word in asked}
    total = sum(weight.values())
    if not total:
        return [0.0] * len(texts)
    return [sum(weight[word] for word in asked if word in words) / total for words in held]


def overlap_scores(query: str, found: Sequence[Candidate]) -> list[float]:
    """`overlap`, with a little more for earlier passages, and for numbers where the question asks for one."""
    asks = _WANTS_NUMBER.search(query) is not None
    shares = overlap(query, [each.text for each in found])
    return [
        share * (1.0 - 0.1 * each.place) * (1.2 if asks and facts(each.text).numbers else 1.0)
        for share, each in zip(shares, found, strict=True)
    ]


def _states(text: str) -> bool:
    """Whether `text` is a statement that can be shown as it is: no heading, question, code or picture."""
    return (
        not _HEADING.match(text)
        and not text.endswith(("?", "？", ":"))
        and len(facts(text).content) >= (2 if text.endswith(_STOPS) else 3)
        and bool(quotable(text))
    )


def _trimmed(text: str, span: Span) -> Span:
    """Without list markers, and no longer than is readable."""
    marker = re.match(r"(?:[>*+•‣-]\s+|\d{1,3}[.)]\s+)+", text[span.start : span.end])
    start = span.start + marker.end() if marker else span.start
    if span.end - start <= _LONGEST:
        return Span(start, span.end)
    end = text.rfind(" ", start + 1, start + _LONGEST)
    return Span(start, end if end > start else start + _LONGEST)
