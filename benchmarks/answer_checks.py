"""What an answer is measured with, none of it the chain's own code: gold answers, support, shares with their limits."""

import hashlib
import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

Z = 1.96  # of a two-sided 95 % interval
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKER = re.compile(r"\s*\[\d+\]")
_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_FUNCTION_WORDS = """
a an and are as at be been being but by can could did do does for from had has have he her his how i if in into is it
its many much of on or our she so such than that the their them then there these they this those to under up was we
were what when where which while who whom whose why will with would you
"""
_FUNCTION = frozenset(_FUNCTION_WORDS.split())
_DENIALS = frozenset(("no", "not", "never", "none", "neither", "nor", "without", "cannot"))
_ORDER = 0.8  # of a sentence's content words that must stand in its evidence in the same order


class Share(NamedTuple):
    """`count` of `total`, with its 95 % limits (Wilson, 1927)."""

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else math.nan

    def __str__(self) -> str:
        return f"{self.value:6.1%} [{self.low:.1%}, {self.high:.1%}] of {self.total}"


def share(flags: Sequence[bool]) -> Share:
    count, total = sum(flags), len(flags)
    if not total:
        return Share(0, 0, 0.0, 1.0)
    p, square = count / total, Z * Z
    middle = (p + square / (2 * total)) / (1 + square / total)
    half = Z * math.sqrt(p * (1 - p) / total + square / (4 * total * total)) / (1 + square / total)
    return Share(count, total, max(middle - half, 0.0), min(middle + half, 1.0))


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that `percent` of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(math.ceil(percent / 100 * len(ranked)) - 1, 0)] if ranked else math.nan


def normalised(text: str) -> str:
    """SQuAD's: lower case, without punctuation, articles and white space in excess."""
    plain = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def contains(text: str, golds: Sequence[str]) -> bool:
    """Whether a gold answer stands in `text` as whole words: as both are, or as SQuAD normalises them.

    Gold answers are spans of the paragraph. Normalised alone, "Six" would not stand in "Six-time winner", nor "Rollo" in
    "Rollo's men".
    """
    padded, plain = f" {normalised(text)} ", " ".join(text.casefold().split())
    return any(
        f" {normalised(gold)} " in padded or _stands(" ".join(gold.casefold().split()), plain)
        for gold in golds
        if normalised(gold)
    )


def _stands(wanted: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", text) is not None


def token_f1(text: str, golds: Sequence[str]) -> float:
    """SQuAD's F1 of the words, by the best gold answer."""
    return max((_f1(normalised(text).split(), normalised(gold).split()) for gold in golds), default=0.0)


def _f1(said: list[str], gold: list[str]) -> float:
    common = sum((Counter(said) & Counter(gold)).values())
    if not common:
        return float(said == gold)
    precision, recall = common / len(said), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def words(text: str) -> int:
    return len(unmarked(text).split())


def unmarked(text: str) -> str:
    """An answer without its citation markers."""
    return _MARKER.sub("", text).strip()


def digest(sentence: str) -> str:
    """A sentence's name in the labelled sample: 16 hexadecimal digits of the SHA-256 of its words."""
    return hashlib.sha256(" ".join(sentence.split()).encode()).hexdigest()[:16]


def verbatim(sentence: str, document: str) -> bool:
    """Whether `sentence` stands in `document` letter by letter, white space aside."""
    return " ".join(sentence.split()) in " ".join(document.split())


def supported(sentence: str, quotes: Sequence[str], *, question: str, golds: Sequence[str], is_gold: bool) -> bool:
    """Whether a model's sentence follows from what it cites, by a strict rule that errs towards no.

    Every content word of it, numbers and names included, stands in the quotes, nearly all of them in the same order, and
    it denies where they deny. A sentence that gives the gold answer from the gold paragraph (`is_gold`) may take other
    words from the question, and their order: a person wrote that the two belong together.
    """
    said, evidence = _content(sentence), _content(" ".join(quotes))
    denies, denied = _denials(sentence), _denials(" ".join(quotes))
    if not said or (denies and not denied):
        return False
    if is_gold and contains(sentence, golds):
        return set(said) <= set(evidence) | set(_content(question))
    return denies == denied and set(said) <= set(evidence) and _in_order(said, evidence) >= _ORDER * len(said)


def _content(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return [_stemmed(word) for word in _WORD.findall(plain) if word not in _FUNCTION and word not in _DENIALS]


def _stemmed(word: str) -> str:
    """Words that differ by an ending are one; numbers are what they are."""
    return word if word[0].isdigit() or len(word) < 5 else re.sub(r"(?:ing|ed|es|s|ly|e)$", "", word)


def _denials(text: str) -> bool:
    plain = text.casefold().replace("’", "'")
    return bool(_DENIALS & set(_WORD.findall(plain))) or "n't" in plain


def _in_order(said: Sequence[str], evidence: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(evidence) + 1)
    for word in said:
        before = 0
        for place, other in enumerate(evidence, start=1):
            before, row[place] = row[place], before + 1 if word == other else max(row[place], row[place - 1])
    return row[-1]
