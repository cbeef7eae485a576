"""Questions that a passage answers, by rule: every sentence tried in every form, and what can stand alone kept. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from howdah.chains.clean import clean
from howdah.chains.evaluation import english
from howdah.chains.evaluation.forms import Sentence, pairs
from howdah.chains.evaluation.squad import contains
from howdah.chains.evaluation.tables import rows
from howdah.chains.evaluation.wholeness import Pair, clauses
from howdah.chains.extractive import candidates
from howdah.chains.words import content_words
from howdah.retrieval.types import Hit

_EMPHASIS = re.compile(r"\*\*|__|(?<![\w*])\*(?=[^\s*])|(?<=[^\s*])\*(?![\w*])")
_LEADING = re.compile(
    r"(?:for example|for instance|so|and|but|also|in fact|normally|by default|of course|again|first|finally|in general), ",
    re.IGNORECASE,
)
_ODD = re.compile(r"\{\*|///|:::|\|\s|\bhttps?:|[^\x00-\u024f\u2010-\u2026\u20ac]")
RANKS = (
    "purpose", "why", "condition", "means", "definition", "table", "number", "how", "when",
    "use", "name", "where", "must", "with", "by", "as", "from", "what",
)  # fmt: skip
"""The forms, those that ask as people do first."""
_LEAST, _MOST = 4, 22  # words of a question
_ANSWER = 28  # words of an answer at most
_LONGEST = 45  # words of a sentence that is asked about


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A question about a passage. `start` and `end` are where `quote`, which answers it, stands in the document."""

    question: str
    answers: tuple[str, ...]
    quote: str
    start: int
    end: int
    form: str


def made(hit: Hit) -> list[Made]:
    """All that can be asked of a passage, the best first."""
    found = [*_pairs(hit, capitalised(hit.content)), *rows(hit.content)]
    kept = [_made(hit, span, pair) for span, pair in found if reads(pair, hit.content)]
    return sorted(kept, key=lambda each: RANKS.index(each.form))


def _pairs(hit: Hit, named: frozenset[str]) -> Iterator[tuple[tuple[int, int], Pair]]:
    for each in candidates([hit]):
        text = plain(each.text)
        if _ODD.search(text) or not 4 <= len(text.split()) <= _LONGEST:
            continue
        opening = _LEADING.match(text)
        text = text[opening.end() if opening else 0 :].rstrip(".!")
        for clause in clauses(text):
            for pair in pairs(Sentence(text=clause, named=named)):
                yield (each.span.start, each.span.end), pair


def _made(hit: Hit, span: tuple[int, int], pair: Pair) -> Made:
    start = hit.start or 0
    return Made(
        question=pair.question,
        answers=(pair.answer,),
        quote=hit.content[slice(*span)],
        start=start + span[0],
        end=start + span[1],
        form=pair.form,
    )


def plain(text: str) -> str:
    """A sentence of a document without markup, on one line; code keeps its backticks."""
    return " ".join(_EMPHASIS.sub("", clean(text)).split())


def capitalised(text: str) -> frozenset[str]:
    """Words that stand with a capital inside of a sentence."""
    return frozenset(re.findall(r"(?<=[a-z,] )[A-Z][\w'’-]*", plain(text)))


def reads(pair: Pair, passage: str) -> bool:
    """Whether a question can stand alone, and its answer stands in the passage and not in the question."""
    question, answer = pair.question, pair.answer
    if not _LEAST <= len(question.split()) <= _MOST or len(answer.split()) > _ANSWER:
        return False
    if english.points_elsewhere(question) or question.count("`") % 2 or question.count("(") != question.count(")"):
        return False
    asked = content_words(question)
    specific = len(set(asked)) >= 3 or bool(english.identifiers(question))
    return specific and contains(plain(passage), [answer]) and not contains(question, [answer])
