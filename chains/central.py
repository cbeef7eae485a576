"""The sentences of a document that say most of it: central ones (LexRank), early ones, and different ones (MMR). Pure.

Sentences are compared by their words, weighed by how rare these are in the document; whole chunks by their stored vectors.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from howdah.chains.extractive import Candidate
from howdah.chains.sentences import Span, sentences
from howdah.chains.showable import quotable
from howdah.chains.words import content_words
from howdah.retrieval.mmr import mmr, mmr_by_scores
from howdah.retrieval.types import Array, Hit

MOST = 7  # sentences of a summary
CHARACTERS = 1_400
_CHUNKS = 60  # whose sentences are compared: about 600 sentences
_SHORTEST, _LONGEST = 20, 360  # characters of a sentence that may stand in a summary
_VARIETY = 0.7  # lambda of MMR: 1 = central ones only
_LEANS = re.compile(
    r"(?:and|but|or|so|also|then|thus|hence|therefore|however|moreover|furthermore|otherwise|instead|it|its|this|these|that|those"
    r"|they|their|he|his|she|her|such|both|here|there|for example|in this|in that|in addition|if so"
    r"|und|aber|oder|also|dann|dies\w*|es|er|sie|dabei|damit|dadurch|außerdem|jedoch|y|pero|además|esto|este|esta|estos|estas"
    r"|ello|sin embargo"
    r"|et|mais|cela|ce|cet|cette|ces|il|elle|ils|elles|de plus|cependant|ainsi)\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"#{1,6}\s|\||```|~~~|!!!|///|:::|\[\^|\s*(?:[>*+•‣-]|\d{1,3}[.)])\s*$")
_ITEM = re.compile(r"(?:[>*+•‣-]\s+|\d{1,3}[.)]\s+)+")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Statement:
    """A sentence that could stand in a summary: `lead` says whether it begins the document (1) or a section (0.5)."""

    candidate: Candidate
    section: str | None
    lead: float


def summary_sentences(hits: Sequence[Hit], embeddings: Array, *, most: int = MOST) -> list[Candidate]:
    """At most `most` sentences of a document's chunks, in reading order; of a short document a third of it, at least three.

    Shapes: embeddings (n, d), one row for each of `hits`.
    """
    read = central_chunks(embeddings, _CHUNKS)
    found = _statements(hits, read)
    if not found:
        return []
    vectors = _word_vectors([each.candidate.text for each in found])
    closeness = _to_centroid(embeddings)
    scores = 0.5 * lexrank(vectors @ vectors.T)
    scores += np.array([0.25 * closeness[each.candidate.place] + 0.25 * each.lead for each in found])
    scores *= np.array([0.5 if _LEANS.match(each.candidate.text) else 1.0 for each in found])
    wanted = min(most, max(3, math.ceil(len(found) / 3)))
    order = mmr_by_scores(scores, vectors, k=len(found), lambda_mult=_VARIETY)
    return [found[number].candidate for number in sorted(_spread(order, found, wanted))]


def central_chunks(embeddings: Array, most: int) -> list[int]:
    """Numbers of at most `most` rows that stand for all of them, in order: near the centroid, and unlike each other."""
    if len(embeddings) <= most:
        return list(range(len(embeddings)))
    return sorted({0, *mmr(embeddings.mean(axis=0), embeddings, k=most - 1, lambda_mult=0.5)})


def lexrank(similarities: Array, *, damping: float = 0.85, rounds: int = 50) -> Array:
    """How central each of n texts is, from 0 to 1 for the most central: PageRank on their similarities (n, n), >= 0.

    Continuous LexRank (Erkan and Radev, 2004): similarities are not cut to 0 and 1.
    """
    weights = similarities - np.diag(np.diag(similarities))
    sums = weights.sum(axis=1, keepdims=True)
    steps = np.divide(weights, sums, out=np.full_like(weights, 1 / len(weights)), where=sums > 0)
    rank: Array = np.full(len(steps), 1 / len(steps), dtype=np.float32)
    for _ in range(rounds):
        rank = (1 - damping) / len(steps) + damping * (rank @ steps)
    central: Array = rank / rank.max()
    return central


def _spread(order: Sequence[int], found: Sequence[_Statement], wanted: int) -> list[int]:
    """The first of `order` that fit, the document's first statement among them: one of each section, then a second, …"""
    chosen: list[int] = []
    left = CHARACTERS
    first = [number for number in order if found[number].lead == 1]
    taken: Counter[str | None] = Counter()
    for allowed in range(1, wanted + 1):
        for number in dict.fromkeys([*first, *order]):
            statement = found[number]
            fits = len(statement.candidate.text) <= left and taken[statement.section] < allowed
            if len(chosen) < wanted and fits and number not in chosen:
                chosen.append(number)
                taken[statement.section] += 1
                left -= len(statement.candidate.text)
    return chosen


def _statements(hits: Sequence[Hit], read: Sequence[int]) -> list[_Statement]:
    found: list[_Statement] = []
    seen: set[str] = set()
    before: str | None = None
    for place in read:
        hit = hits[place]
        opens = not found or hit.section != before
        before = hit.section
        for span in sentences(hit.content):
            start = _after_item(hit.content, span)
            text = hit.content[start : span.end]
            folded = " ".join(text.split()).casefold()
            if folded in seen or not _states(text):  # chunks overlap
                continue
            seen.add(folded)
            lead = (1.0 if not found else 0.5) if opens else 0.0
            candidate = Candidate(place=place, span=Span(start, span.end), text=text)
            found.append(_Statement(candidate=candidate, section=hit.section, lead=lead))
            opens = False
    return found


def _after_item(text: str, span: Span) -> int:
    item = _ITEM.match(text, span.start, span.end)
    return item.end() if item else span.start


def _states(text: str) -> bool:
    """Whether `text` is a whole statement in prose that can be shown by itself."""
    said = quotable(text)
    whole = said.endswith((".", "!", "。", "！", '."', ".”", ".)", "»")) and said[:1] not in "([{<"
    letters = sum(char.isalpha() or char.isspace() for char in said)
    return (
        whole
        and _SHORTEST <= len(said) <= _LONGEST
        and not _MARKUP.match(text)
        and letters >= 0.75 * len(said)
        and len(set(content_words(said))) >= 3
    )


def _word_vectors(texts: Sequence[str]) -> Array:
    """Unit vectors of the texts' content words, a rarer word counting more: shape (n, words)."""
    counted = [Counter(content_words(text)) for text in texts]
    column = {word: number for number, word in enumerate(sorted({word for counts in counted for word in counts}))}
    vectors = np.zeros((len(texts), len(column)), dtype=np.float32)
    spread = Counter(word for counts in counted for word in counts)
    for row, counts in enumerate(counted):
        for word, count in counts.items():
            vectors[row, column[word]] = (1 + math.log(count)) * math.log((1 + len(texts)) / spread[word])
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = np.divide(vectors, norms, out=vectors, where=norms > 0)
    return unit


def _to_centroid(embeddings: Array) -> Array:
    """Each row's cosine to the mean of all, from 0 for the farthest to 1 for the nearest."""
    centroid = embeddings.mean(axis=0)
    norms = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(centroid)
    cosines = np.divide(embeddings @ centroid, norms, out=np.zeros(len(embeddings), np.float32), where=norms > 0)
    low, high = cosines.min(), cosines.max()
    scaled: Array = (cosines - low) / (high - low) if high > low else np.ones_like(cosines)
    return scaled
