"""Questions made from passages by rule, for a collection that brings none: what a sentence says of a number or a name. Pure.

They are not good English ("How many points the Panthers defense gave up?"), and need not be: the reranker reads words.
What matters is that they are as hard as real ones: of one clause alone, and without some of its words.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from howdah.chains.extractive import candidates
from howdah.chains.wordlists import NEGATORS, NUMBER_WORDS, STOP_WORDS
from howdah.chains.words import content_words, proper_names
from howdah.retrieval.types import Hit

_TOKEN = re.compile(r"[\w$€£%][\w'’.,:/%-]*[\w%]|[\w%]|[,;:()–—]")
_CUT = frozenset(",;:()–—")
_YEAR = re.compile(r"(?:1\d{3}|20\d{2})")
_NUMBER = re.compile(r"[$€£]?\d[\d.,]*%?")
_LEAST = 4  # content words that a question keeps
_MOST = 14  # words of the clause that it is made of
_DROPPED = 0.25  # of the other words; a person does not remember them all


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question, the answer, and the sentence that says so."""

    question: str
    answer: str
    sentence: str


def ask(hit: Hit, draw: random.Random) -> Asked | None:
    """A question that the passage answers; None where no sentence of it has a number or a name to ask for."""
    found = [
        Asked(question=question, answer=answer, sentence=each.text)
        for each in candidates([hit])
        for question, answer in _of_sentence(each.text, draw)
    ]
    return draw.choice(found) if found else None


def _of_sentence(sentence: str, draw: random.Random) -> Iterator[tuple[str, str]]:
    """Question and answer for each number, year or name of the sentence, but for names that it begins with."""
    words = _TOKEN.findall(sentence)
    names = set(proper_names(sentence))
    place = 0
    while place < len(words):
        kind, end = _kind(words, place, names)
        if kind and (clause := _clause(words, place, end)):
            question = _question(kind, *clause, draw)
            if len(content_words(question)) >= _LEAST:
                yield question, " ".join(words[place:end])
        place = end


def _kind(words: Sequence[str], place: int, names: set[str]) -> tuple[str, int]:
    """The question word for what stands at `place`, "" for nothing to ask for; and where it ends."""
    word, end = words[place], place + 1
    if _YEAR.fullmatch(word):
        return "When", end
    if _NUMBER.fullmatch(word) or word.casefold() in NUMBER_WORDS:
        return "How many", end
    if word not in names:
        return "", end
    while end < len(words) and words[end] in names:
        end += 1
    return "Which" if place > 0 else "", end


def _clause(words: Sequence[str], place: int, after: int) -> tuple[list[str], list[str]] | None:
    """The words on both sides of the answer, as far as its clause goes; where that is short, the one before as well."""
    begin = max((n + 1 for n in range(place) if words[n] in _CUT), default=0)
    end = next((n for n in range(after, len(words)) if words[n] in _CUT), len(words))
    if end - begin <= _LEAST and begin > 1:
        begin = max((n + 1 for n in range(begin - 1) if words[n] in _CUT), default=0)
    sides = [[word for word in side if word not in _CUT] for side in (words[begin:place], words[after:end])]
    if sum(map(len, sides)) > _MOST:
        sides = [sides[0][-_MOST // 2 :], sides[1][: _MOST // 2]]
    denied = NEGATORS.intersection(word.casefold() for side in sides for word in side)
    return None if denied else (sides[0], sides[1])


def _question(kind: str, before: list[str], after: list[str], draw: random.Random) -> str:
    """The clause turned into a question, with some of its words left out."""
    counted = after[:1] if kind == "How many" else []
    left = [*_bare(before), *_bare(after[len(counted) :])]
    kept = [word for word in left if draw.random() >= _DROPPED]
    kept = kept if len(content_words(" ".join([*counted, *kept]))) >= _LEAST else left
    return " ".join([kind, *counted, *kept]) + "?"


def _bare(words: list[str]) -> list[str]:
    """Without the words at either end that carry no meaning."""
    first = next((n for n, word in enumerate(words) if word.casefold() not in STOP_WORDS), len(words))
    last = next((n for n in range(len(words), 0, -1) if words[n - 1].casefold() not in STOP_WORDS), 0)
    return words[first:last]
