"""What a search asks of the database, one round trip after another, and which of the rows say the same. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from howdah.retrieval.queries import MAX_K
from howdah.retrieval.search import FURTHER, Search, loosened
from howdah.retrieval.types import Array

Row = dict[str, Any]
Pair = tuple[Search, Array | None]


class Pages:
    """Searches with their queries' embeddings, and the rows that each has found so far.

    `wanted` is asked and `take` given, until nothing is wanted: first every search; then those that nothing holds the
    phrases of, without them; then those that equal texts left too few rows, further down (see `Search.further`).
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = list(pairs)
        self._rows: list[list[Row]] = [[] for _ in pairs]
        self._places = list(range(len(pairs)))
        self._loosened = False

    @property
    def wanted(self) -> list[Pair]:
        """What to ask next, in one round trip; nothing when all is known."""
        return [self._pairs[place] for place in self._places]

    def take(self, found: Sequence[list[Row]]) -> None:
        """The rows of what was wanted, in its order."""
        for place, rows in zip(self._places, found, strict=True):
            self._rows[place] = rows
        again: Mapping[int, Pair] = {} if self._loosened else loosened(self._pairs, self._rows)
        self._loosened = True
        again = again or self._deeper()
        self._places = list(again)
        for place, pair in again.items():
            self._pairs[place] = pair

    def distinct(self) -> list[list[Row]]:
        """The rows of each search, best first, each text of documents once; no more than it would have without repeats."""
        pairs = zip(self._pairs, self._rows, strict=True)
        return [collapsed(rows)[: search.candidates] for (search, _), rows in pairs]

    def _deeper(self) -> dict[int, Pair]:
        """place: the search that reads further down, of those that lack rows although the last answer was full."""
        return {
            place: (replace(search, further=search.further + 1), embedding)
            for place, (search, embedding) in enumerate(self._pairs)
            if search.further < FURTHER
            and len(self._rows[place]) == search.rows < MAX_K
            and len(set(_firsts(self._rows[place]))) < search.candidates
        }


def collapsed(rows: Sequence[Row]) -> list[Row]:
    """The rows, those of documents with exactly the same content as one: the best of them.

    It has `also_in` then, the other documents' sources, best first. Rows added through the API stay as they are.
    """
    also: dict[int, dict[str, None]] = {}
    for first, row in zip(_firsts(rows), rows, strict=True):
        sources = also.setdefault(first, {})
        if row["source"] != rows[first]["source"]:
            sources[row["source"]] = None
    return [{**rows[first], "also_in": tuple(sources)} if sources else rows[first] for first, sources in also.items()]


def _firsts(rows: Sequence[Row]) -> list[int]:
    """For each row the place of the first one with its text; its own, where it belongs to no document."""
    seen: dict[str, int] = {}
    return [
        place if row["source"] is None else seen.setdefault(row["content"], place) for place, row in enumerate(rows)
    ]
