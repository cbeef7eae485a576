"""Whether a sentence follows from what it cites, by a strict rule that shares nothing with the chain's own check. Pure."""

import re
import unicodedata
from collections.abc import Sequence

from howdah.chains.evaluation.squad import contains

_WORD = re.compile(r"\w+(?:[.,]\d+)*")
_FUNCTION_WORDS = """
a and an are as at be been being but by can could did do does for from had has have he her his how i if in into is it
its many much of on or our she so such than that the their them then there these they this those to under up was we
were what when where which while who whom whose why will with would you
"""
_FUNCTION = frozenset(_FUNCTION_WORDS.split())
_DENIALS = frozenset(("no", "not", "never", "none", "neither", "nor", "without", "cannot"))
_NOT_SHOWN = re.compile(r"\]\([^()\s]*(?:\s[^()]*)?\)|</?[a-z][^<>]*>|\b(?:https?|ftp|file)://", re.IGNORECASE)
_ORDER = 0.8  # of a sentence's content words that must stand in its evidence in the same order


def verbatim(sentence: str, document: str) -> bool:
    """Whether `sentence` stands in `document` letter by letter, white space aside."""
    return " ".join(sentence.split()) in " ".join(document.split())


def repeated(shown: str, quote: str) -> bool:
    """Whether `shown` is said by `quote` word by word, once what is never shown is taken out of it: links' targets, tags."""
    said, source = _bare(shown), _bare(quote)
    return bool(said) and any(source[n : n + len(said)] == said for n in range(len(source) - len(said) + 1))


def _bare(text: str) -> list[str]:
    return re.findall(r"\w+", _NOT_SHOWN.sub(" ", unicodedata.normalize("NFKC", text)))


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
