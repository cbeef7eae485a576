"""Texts in one spelling, each character with the place that it came from. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from howdah.chains.sentences import Span
from howdah.chains.words import UNSPACED

_SAME = str.maketrans("’‘‛“”„‟«»—–−‐‑", "'''" + 6 * '"' + 5 * "-")
_UNSEEN = frozenset("*`_\u00ad\u200b\u200c\u200d\u2060\ufeff\ufe0f")
_DIVIDED = re.compile(r"(?<=[^\W\d_])[-\u2010\u00ad][ \t]*\n[ \t]*(?=[^\W\d_])")
_PUNCTUATION = re.compile(r"(?<!\d)[^\w\s]+|[^\w\s]+(?!\d)")


@dataclass(frozen=True, slots=True)
class Folded:
    """`text` without case, accents, emphasis and ligatures, white space as one blank; `places[i]` is where `text[i]` was."""

    text: str
    places: tuple[int, ...]

    def span(self, begin: int, end: int, original: str) -> Span:
        """`text[begin:end]` in the original, with the accents that belong to its last letter."""
        last = self.places[end - 1] + 1
        while last < len(original) and unicodedata.combining(original[last]):
            last += 1
        return Span(self.places[begin], last)

    def whole(self, begin: int, end: int) -> bool:
        """Whether `text[begin:end]` cuts no word in two."""
        return not (_joined(self.text[begin - 1 : begin + 1]) or _joined(self.text[end - 1 : end + 1]))

    def widened(self, begin: int, end: int) -> tuple[int, int]:
        """The same without white space around it, and as far as the words that it cuts go."""
        while begin < end and self.text[begin].isspace():
            begin += 1
        while end > begin and self.text[end - 1].isspace():
            end -= 1
        while begin > 0 and _joined(self.text[begin - 1 : begin + 1]):
            begin -= 1
        while end < len(self.text) and _joined(self.text[end - 1 : end + 1]):
            end += 1
        return begin, end


@lru_cache(maxsize=256)
def fold(text: str, *, bare: bool = False) -> Folded:
    """In time linear in `text`; a word divided at the end of a line is whole. `bare`: without punctuation, but in numbers."""
    folded: list[str] = []
    places: list[int] = []
    left_out = (*_DIVIDED.finditer(text), *(_PUNCTUATION.finditer(text) if bare else ()))
    skipped = {place for match in left_out for place in range(*match.span())}
    for place, char in enumerate(text.translate(_SAME)):
        if char in _UNSEEN or place in skipped or (char.isspace() and folded[-1:] == [" "]):
            continue
        for letter in _letters(char):
            folded.append(letter)
            places.append(place)
    return Folded("".join(folded), tuple(places))


def undivided(text: str) -> str:
    """`text` with the words that line ends divide made whole."""
    return _DIVIDED.sub("", text)


def _letters(char: str) -> str:
    if char.isascii():
        return " " if char.isspace() else char.lower()
    if char.isspace():
        return " "
    if unicodedata.category(char) in ("Cf", "Me"):
        return ""
    bare = "".join(each for each in unicodedata.normalize("NFKD", char.casefold()) if not unicodedata.combining(each))
    return bare.casefold()


def _joined(pair: str) -> bool:
    return len(pair) == 2 and pair.isalnum() and not UNSPACED.search(pair)
