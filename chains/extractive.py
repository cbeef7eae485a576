"""Answers without a model's words: the best sentences of the best passages, as they stand there. Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from howdah.chains.clean import clean
from howdah.chains.sentences import Span, sentences
from howdah.chains.words import content_words, facts
from howdah.retrieval.types import Hit

PASSAGES = 3  # that are read for sentences
_NEAR = 0.8  # of the best score, for a second sentence to be quoted too
_LONGEST = 600  # characters of one quoted sentence; longer ones are cut at a word
_LONGEST_TWO = 400  # characters of two
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
    """The sentences of the best passages that read as statements; all of them where none does."""
    every = [
        Candidate(place=place, span=span, text=hit.content[span.start : span.end])
        for place, hit in enumerate(hits[:PASSAGES])
        for span in (_trimmed(hit.content, each) for each in sentences(hit.content))
    ]
    return [each for each in every if _states(each.text)] or every


def best(found: Sequence[Candidate], scores: Sequence[float]) -> list[Candidate]:
    """The best sentence, and another that is nearly as good if both are short; of one passage in reading order."""
    ranked = sorted(zip(found, scores, strict=True), key=lambda pair: -pair[1])
    if not ranked:
        return []
    (first, most), *others = ranked
    for candidate, score in others:
        fits = len(first.text) + len(candidate.text) <= _LONGEST_TWO and candidate.text != first.text
        if fits and score >= most * _NEAR > 0:
            pair = [first, candidate]
            return sorted(pair, key=lambda each: each.span) if first.place == candidate.place else pair
    return [first]


def weighted(scores: Sequence[float], found: Sequence[Candidate], hits: Sequence[Hit]) -> list[float]:
    """A reranker's scores of sentences, each with that of its passage behind it."""
    behind = [math.sqrt(max(hits[each.place].scores.get("rerank", 1.0), 0.0)) for each in found]
    return [score * weight for score, weight in zip(scores, behind, strict=True)]


def overlap(query: str, texts: Sequence[str]) -> list[float]:
    """For each text the share of the query's content words that it holds, rare words counting more; in [0, 1]."""
    wanted = list(dict.fromkeys(content_words(query)))
    held = [facts(text).content for text in texts]
    weight = {word: math.log(1 + len(texts) / (1 + sum(word in words for words in held))) for word in wanted}
    total = sum(weight.values())
    if not total:
        return [0.0] * len(texts)
    return [sum(weight[word] for word in wanted if word in words) / total for words in held]


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
        and bool(clean(text))
    )


def _trimmed(text: str, span: Span) -> Span:
    """Without list markers, and no longer than is readable."""
    marker = re.match(r"(?:[>*+•‣-]\s+|\d{1,3}[.)]\s+)+", text[span.start : span.end])
    start = span.start + marker.end() if marker else span.start
    if span.end - start <= _LONGEST:
        return Span(start, span.end)
    end = text.rfind(" ", start + 1, start + _LONGEST)
    return Span(start, end if end > start else start + _LONGEST)
