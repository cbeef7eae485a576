"""A text as atoms that are never above a token limit, and the chunks of least cost that they add up to."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from howdah.retrieval.structure import ANYWHERE, BLOCK, LINE, cuts
from howdah.retrieval.types import Extract, Heading

TokenSpans = Callable[[str], Sequence[tuple[int, int]]]

# A run of characters that the tokenizer takes for one unknown word counts by its length.
CHARS_A_TOKEN = 16
_FULL = 0.8  # of the limit is a chunk's best size: the rest is room to end where the text does
_CALL = 4_000  # characters at least in a call of the tokenizer
_NEXT_LINE = re.compile(r"[\r\n]\s*(?=\S)")


@dataclass(frozen=True, kw_only=True)
class Atoms:
    """`starts[i]:starts[i + 1]` is an atom, `costs[i]` the cost of a chunk's edge before it, `tokens[i]` the number
    of tokens before it. The last start is the text's end; a blank text has no atoms. `parts` are the starts of
    sections, pages and records.
    """

    starts: list[int]
    costs: list[float]
    tokens: list[int]
    parts: frozenset[int]

    @classmethod
    def of(cls, extract: Extract, *, limit: int, token_spans: TokenSpans) -> "Atoms":
        """Atoms of at most `limit` tokens; the tokenizer is called once a block."""
        text, marks = extract.text, cuts(extract)
        tokens = _token_starts(text, marks, token_spans)
        small = dict(_small_enough(text, marks, tokens, limit))
        parts = frozenset((*(start for start, _ in _parts(extract)), *extract.rows))
        kept = _not_tiny(small, tokens, limit, keep=parts, end=len(text))
        starts = [*kept, len(text)] if kept else []
        counts = [bisect_left(tokens, start) for start in starts]
        costs = [small.get(start, 0.0) for start in starts]
        return cls(starts=starts, costs=costs, tokens=counts, parts=parts)

    def size(self, first: int, last: int) -> int:
        """Tokens of the atoms from `first` up to `last`."""
        length = self.starts[last] - self.starts[first]
        return max(self.tokens[last] - self.tokens[first], -(-length // CHARS_A_TOKEN))

    def segments(self, extract: Extract, *, crumb: int) -> list[tuple[int, int]]:
        """Runs of atoms that no chunk may leave: (first, last) each.

        A section (with those below it) or a page begins one if neither it nor what has gathered before it is a crumb;
        a record always does, and in a text of records nothing else.
        """
        if extract.rows:
            return self._records(extract.rows)
        forced = [0]
        for start, end in _parts(extract):
            first, last = bisect_left(self.starts, start), bisect_left(self.starts, end)
            if last < len(self.starts) and min(self.size(forced[-1], first), self.size(first, last)) >= crumb:
                forced.append(first)
        return list(pairwise([*forced, len(self.starts) - 1])) if self.starts else []

    def _records(self, rows: tuple[int, ...]) -> list[tuple[int, int]]:
        firsts = {0, *(bisect_left(self.starts, row) for row in rows)}
        last = len(self.starts) - 1
        return list(pairwise([*sorted(first for first in firsts if first < last), last]))

    def edges(self, first: int, last: int, limit: int) -> list[int]:
        """The chunk edges, `first` and `last` among them, of least cost: each edge's own, and for each chunk
        its distance from the best size, squared.

        As Knuth and Plass (1981) break lines; the work is atoms times atoms a chunk.
        """
        best, previous = {first: 0.0}, {first: first}
        for end in range(first + 1, last + 1):
            for start in range(end - 1, first - 1, -1):
                size = self.size(start, end)
                if size > limit and start < end - 1:
                    break
                cost = best[start] + (self.costs[start] if start > first else 0.0) + (1 - size / (_FULL * limit)) ** 2
                if end not in best or cost < best[end]:
                    best[end], previous[end] = cost, start
        edges = [last]
        while edges[-1] != first:
            edges.append(previous[edges[-1]])
        return edges[::-1]


def _parts(extract: Extract) -> list[tuple[int, int]]:
    """Start and end of each section (with those below it) and of each page, in order of their starts."""
    length = len(extract.text)
    parts = list(pairwise([*extract.pages, length]))
    still_open: list[Heading] = []
    for heading in (*extract.headings, Heading(start=length, level=0, title="")):
        while still_open and still_open[-1].level >= heading.level:
            parts.append((still_open.pop().start, heading.start))
        still_open.append(heading)
    return sorted(parts)


def _token_starts(text: str, marks: dict[int, float], token_spans: TokenSpans) -> list[int]:
    starts: list[int] = []
    done = 0
    for offset in (*(offset for offset, cost in marks.items() if cost <= BLOCK), len(text)):
        # Many tiny blocks go in one call: calls cost more than their tokens.
        if offset - done >= _CALL or offset == len(text):
            starts += [done + token[0] for token in token_spans(text[done:offset])]
            done = offset
    return starts


def _size(tokens: list[int], start: int, end: int) -> int:
    return max(bisect_left(tokens, end) - bisect_left(tokens, start), -(-(end - start) // CHARS_A_TOKEN))


def _small_enough(text: str, marks: dict[int, float], tokens: list[int], limit: int) -> Iterator[tuple[int, float]]:
    """The cuts, and in what is longer than `limit` more of them: at line ends, then between words, then anywhere."""
    for start, end in pairwise([*marks, len(text)]):
        yield start, marks[start]
        if _size(tokens, start, end) <= limit:
            continue
        lines = [match.end() for match in _NEXT_LINE.finditer(text, start, end) if match.end() < end]
        for line, line_end in pairwise([start, *lines, end]):
            if line > start:
                yield line, LINE
            yield from ((cut, ANYWHERE) for cut in _hard_cuts(text, (line, line_end), tokens, limit))


def _hard_cuts(text: str, line: tuple[int, int], tokens: list[int], limit: int) -> Iterator[int]:
    """Cuts half a limit apart, after a blank if there is one on the way, else between tokens."""
    start, end = line
    step = max(1, limit // 2)
    while _size(tokens, start, end) > limit:
        number = bisect_left(tokens, start) + step
        cut = min(tokens[number] if number < len(tokens) else end, start + step * CHARS_A_TOKEN)
        cut = max(tokens[bisect_right(tokens, cut) - 1], start + 1) if tokens and tokens[0] <= cut else cut
        blank = text.rfind(" ", start + (cut - start) // 2, cut)
        start = blank + 1 if blank > start else cut
        yield start


def _not_tiny(cuts_at: dict[int, float], tokens: list[int], limit: int, *, keep: frozenset[int], end: int) -> list[int]:
    """Atoms' starts, tiny neighbours joined, so that a chunk has a few dozen atoms at most and time stays linear."""
    kept: list[int] = []
    for start, following in pairwise([*cuts_at, end]):
        bound = limit // 16 if cuts_at[start] > BLOCK else limit // 64
        if not kept or start in keep or _size(tokens, kept[-1], following) > bound:
            kept.append(start)
    return kept
