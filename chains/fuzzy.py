"""Where a passage holds a text nearly: typing errors and dropped words within a bound, any punctuation. Pure.

Distances are Levenshtein's, by the bit vectors of Myers (1999) on Python's long integers: time is linear in the passage.
"""

from collections.abc import Collection, Iterator

from howdah.chains.folding import Folded, fold
from howdah.chains.sentences import Span

BOUND = 0.2  # edits for each character of what is looked for: a short word in a clause
_SHORTEST, _LONGEST = 12, 1_000  # characters that are looked for; a shorter text has no room for an error


def nearest(text: str, content: str, *, bound: float = BOUND) -> Span | None:
    """The part of `content`, whole words, that is nearest to `text` within `bound`; the first of equally near ones."""
    wanted = fold(text, bare=True).text.strip()
    most = int(bound * len(wanted))
    if not _SHORTEST <= len(wanted) <= _LONGEST or not most:
        return None
    folded = fold(content, bare=True)
    distance, end = min(_distances(wanted, folded.text, anchored=False), default=(most + 1, 0))
    if distance > most:
        return None
    begin = _begin(wanted, folded, end, distance)
    begin, end = folded.widened(begin, end)
    if begin == end or _apart(wanted, folded.text[begin:end]) > most:
        return None  # to make whole words of it took too much
    return folded.span(begin, end, content)


def misspells(word: str, words: Collection[str]) -> bool:
    """Whether `word` is one of `words` with an error in it: one edit, two in six letters; digits are never errors."""
    most = (len(word) >= 4) + (len(word) >= 6)
    if not most or not word.isalpha():
        return False
    return any(
        abs(len(word) - len(other)) <= most and other.isalpha() and _apart(word, other) <= most for other in words
    )


def _begin(wanted: str, folded: Folded, end: int, distance: int) -> int:
    """Where the best match that ends at `end` begins: the same search, backwards."""
    before = folded.text[max(0, end - len(wanted) - distance) : end]
    _, length = min(_distances(wanted[::-1], before[::-1], anchored=True))
    return end - length


def _apart(one: str, other: str) -> int:
    *_, (distance, _) = _distances(one, other, anchored=True)
    return distance


def _distances(wanted: str, text: str, *, anchored: bool) -> Iterator[tuple[int, int]]:
    """For each end in `text` the distance of `wanted` to what ends there; anchored, to all of `text` before it."""
    places: dict[str, int] = {}
    for bit, char in enumerate(wanted):
        places[char] = places.get(char, 0) | 1 << bit
    every, last = (1 << len(wanted)) - 1, 1 << (len(wanted) - 1)
    rises, falls, distance, carry = every, 0, len(wanted), int(anchored)
    for end, char in enumerate(text, start=1):
        equal = places.get(char, 0)
        down = equal | falls
        across = (((equal & rises) + rises) ^ rises) | equal
        more, less = (falls | ~(across | rises)) & every, rises & across
        distance += bool(more & last) - bool(less & last)
        more, less = (more << 1 | carry) & every, (less << 1) & every
        rises, falls = (less | ~(down | more)) & every, more & down
        yield distance, end
