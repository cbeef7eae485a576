"""What a text asserts, as far as its surface tells: content words, names, numbers, links, negation. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from howdah.chains.links import links, without_links
from howdah.chains.numerals import Date, Quantity, dates, differs, quantities, same_date, without_months
from howdah.chains.wordlists import NEGATORS, NUMBER_WORDS, OPPOSITES, STOP_WORDS

_TOKEN = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")
_WORD = re.compile(r"\w+(?:['’]\w+)?")
UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)
_EMPHASIS = re.compile(r"(?<=\d)[*~`]+(?=\d)")  # 4**5** is read as 45
_CODE = re.compile(r"`([^`\n]+)`")
_CLAUSE_END = frozenset(',;:.!?()—–"“”„«»') | {
    "and",
    "but",
    "or",
    "however",
    "although",
    "while",
    "und",
    "aber",
    "oder",
}
_CLAUSE_END |= frozenset({"sondern", "y", "pero", "o", "et", "mais", "ou", "，", "。", "；"})
_VOWEL = re.compile(r"[aeiouyäöüáéíóú]")
_NOT_ONLY = re.compile(r"\b(?:not (?:only|just|merely)|nicht nur|no sólo|no solo|pas seulement)\b", re.IGNORECASE)
_UNSPACED_NEGATION = re.compile(r"[不没沒無无非未](.{1,3})|(.{1,3})(?:ない|ません)")
_REACH = 3  # content words that a negation covers
_AFFIXES = ("un", "non", "in", "im", "ir", "il", "dis", "a")


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The surface of one text; stems, but for `words`, which are only folded, and `links`.

    `pairs` are neighbours among the content words. Each of `denials` holds the content words that one negation covers,
    in order; `affirmed` are those under none.
    """

    words: frozenset[str] = frozenset()
    content: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()
    quantities: frozenset[Quantity] = frozenset()
    dates: frozenset[Date] = frozenset()
    links: frozenset[str] = frozenset()
    denials: frozenset[tuple[str, ...]] = frozenset()
    affirmed: frozenset[str] = frozenset()

    @property
    def numbers(self) -> frozenset[str]:
        return frozenset(each.number for each in self.quantities)

    @property
    def denied(self) -> frozenset[str]:
        return frozenset(word for denial in self.denials for word in denial)

    def __or__(self, other: "Facts") -> "Facts":
        return Facts(
            words=self.words | other.words,
            content=self.content | other.content,
            names=self.names | other.names,
            pairs=self.pairs | other.pairs,
            quantities=self.quantities | other.quantities,
            dates=self.dates | other.dates,
            links=self.links | other.links,
            denials=self.denials | other.denials,
            affirmed=self.affirmed | other.affirmed,
        )


@lru_cache(maxsize=4096)
def facts(text: str) -> Facts:
    text = _EMPHASIS.sub("", unicodedata.normalize("NFC", text))
    plain = without_links(text)
    content = content_words(plain)
    denials, affirmed = _polarity(plain)
    return Facts(
        words=frozenset(word.casefold() for word in _WORD.findall(plain)),
        content=frozenset(content),
        names=_names(without_months(plain)),
        pairs=frozenset(pairwise(content)),
        quantities=quantities(plain),
        dates=dates(plain),
        links=links(text),
        denials=denials,
        affirmed=affirmed,
    )


def content_words(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order; scripts without spaces give pairs of characters."""
    found: list[str] = []
    for word in _WORD.findall(text):
        folded = _bare(word)
        if UNSPACED.search(folded):
            found += _pairs(folded)
        elif not _functional(folded) and (len(folded) > 1 or folded.isdigit()):
            found.append(stem(folded))
    return found


def _functional(folded: str) -> bool:
    return folded in STOP_WORDS or folded in NEGATORS or folded.endswith("n't")


def stem(word: str) -> str:
    """A light stem: enough to join `caches`, `cached` and `caching`."""
    word = _bare(word)
    if not word.isalpha() or len(word) <= 3:
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and word[-2] not in "sui":
        word = word[:-1]
    for suffix in ("ing", "ed", "ly", "e"):
        rest = word.removesuffix(suffix)
        if rest != word and len(rest) >= 3 and _VOWEL.search(rest):
            word = rest
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and not _VOWEL.match(word[-1]) else word


def miscounts(claim: Facts, evidence: Facts) -> bool:
    """Whether `claim` has a number or a date that `evidence` lacks, or has in another unit or as the opposite bound."""
    if claim.numbers - evidence.numbers or differs(claim.quantities, evidence.quantities):
        return True
    return any(not any(same_date(date, other) for other in evidence.dates) for date in claim.dates)


def denies(claim: Facts, evidence: Facts) -> bool:
    """Whether `claim` negates what `evidence` does not, or affirms what `evidence` only negates."""
    denied = evidence.denied
    for denial in claim.denials:
        spoken_of = [word for word in denial if word in evidence.content]
        if not spoken_of or spoken_of[0] not in denied:
            return True
    return not claim.denials and bool(claim.content & (denied - evidence.affirmed))


def reverses(claim: Facts, evidence: Facts) -> bool:
    """Whether a word of `claim` is not in `evidence`, but its opposite is."""
    return any(_opposed(word, evidence.words) for word in claim.words - evidence.words)


def _opposed(word: str, words: frozenset[str]) -> bool:
    if OPPOSITES.get(word, frozenset()) & words or any(affix + word in words for affix in _AFFIXES if len(word) > 3):
        return True
    return any(len(rest) > 3 and rest in words for affix in _AFFIXES if (rest := word.removeprefix(affix)) != word)


def proper_names(text: str) -> list[str]:
    """Capitalised words (the first of a sentence too, but for stop words) and identifiers, in order."""
    return list(dict.fromkeys(word for word in _WORD.findall(text) if _is_name(word)))


def _names(text: str) -> frozenset[str]:
    """Stems of the proper names, and of what is set as code."""
    code = [word for piece in _CODE.findall(text) for word in _WORD.findall(piece)]
    return frozenset(name for word in [*proper_names(text), *code] if len(name := stem(word)) > 1)


def _is_name(word: str) -> bool:
    bare = _bare(word)
    if word.isdigit() or _functional(bare) or bare in NUMBER_WORDS or len(bare) < 2:
        return False
    return word != word.casefold() or "_" in word or any(char.isdigit() for char in word)


def _polarity(text: str) -> tuple[frozenset[tuple[str, ...]], frozenset[str]]:
    """What each negation covers, and the content words that none does."""
    denials: list[tuple[str, ...]] = []
    affirmed: set[str] = set()
    clause: list[str] = []
    for token in [*_TOKEN.findall(_NOT_ONLY.sub(" ", text)), "."]:
        if token.casefold() not in _CLAUSE_END:
            clause.append(token)
            continue
        covered = _denials_in(clause)
        denials += covered
        affirmed.update(set(content_words(" ".join(clause))).difference(*covered))
        clause = []
    return frozenset(denials), frozenset(affirmed)


def _denials_in(clause: list[str]) -> list[tuple[str, ...]]:
    """The next few content words after each negation; where it ends the clause, the few before it."""
    found: list[list[str]] = []
    for place, token in enumerate(clause):
        if _bare(token) in NEGATORS or _bare(token).endswith("n't"):
            following = content_words(" ".join(clause[place + 1 :]))
            found.append(following[:_REACH] or content_words(" ".join(clause[:place]))[-_REACH:])
        found += [_pairs(after or before) for after, before in _UNSPACED_NEGATION.findall(token)]
    return [tuple(each) for each in found if each]


def _bare(word: str) -> str:
    folded = word.casefold().replace("’", "'")
    return folded.removesuffix("'s").removesuffix("'")


def _pairs(word: str) -> list[str]:
    found: list[str] = []
    for run in UNSPACED.findall(word):
        found += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return found + [rest for rest in UNSPACED.split(word) if len(rest) > 1]
