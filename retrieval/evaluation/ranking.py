"""Hits to ranked documents: a document scores by its best chunk, and a passage counts when a hit overlaps it. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.types import Hit

CORPUS_ID = "_id"
"""The metadata key in which the chunks of an evaluation's own collection hold their document's id."""

_PASSAGE = re.compile(r"(?P<source>.+)#(?P<start>\d+)-(?P<end>\d+)", re.DOTALL)

Range = tuple[int, int]
Named = Callable[[str, Iterable[Hit]], Iterator[tuple[str, float]]]
"""A query's id and its hits, best first, to ids that the qrels speak of with scores; an id may come more than once."""


class Gold(NamedTuple):
    """What a corpus id of a user's own collection means: a whole source, or the code points [start, end) of one."""

    id: str
    source: str
    span: Range | None = None

    @classmethod
    def of(cls, id_: str, sources: Iterable[str]) -> "Gold":
        """`source#start-end` is a passage, but for a source of just this name. Raises InvalidInput for an empty one."""
        match = _PASSAGE.fullmatch(id_)
        if match is None or id_ in sources:
            return cls(id_, id_)
        start, end = int(match["start"]), int(match["end"])
        if start >= end:
            raise InvalidInput(f"the passage {id_!r} has no length", hint="source#start-end, the end is not part of it")
        return cls(id_, match["source"], (start, end))


def firsts(named: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Each id where it comes first."""
    found: dict[str, float] = {}
    for id_, score in named:
        found.setdefault(id_, score)
    return list(found.items())


def by_corpus_id(_query: str, hits: Iterable[Hit]) -> Iterator[tuple[str, float]]:
    """Of a collection that an evaluation has made."""
    for hit in hits:
        yield str(hit.metadata[CORPUS_ID]), hit.score


Elsewhere = Callable[[str, str], Sequence[Range]]
"""A source and a text: where in the source chunks with just this text lie."""


@dataclass(frozen=True)
class BySource:
    """Of a user's own collection: `golds` are each query's. A row added through the API is named by its own id.

    A hit is every gold passage that it overlaps and its source, where that is gold; where it is neither, it is its source,
    once, and only while nothing of that source has been found: a document is one document however many chunks it has.
    The documents in which the same text lies (`also_in`) follow it.
    """

    golds: Mapping[str, Sequence[Gold]]
    elsewhere: Elsewhere = field(default=lambda _source, _text: ())

    def __call__(self, query: str, hits: Iterable[Hit]) -> Iterator[tuple[str, float]]:
        by_source: dict[str, list[Gold]] = {}
        for gold in self.golds.get(query, ()):
            by_source.setdefault(gold.source, []).append(gold)
        seen: set[str] = set()
        for hit in hits:
            for source in _sources(hit):
                golds = by_source.get(source, [])
                ids = [gold.id for gold in golds if gold.span is None or self._overlaps(gold.span, source, hit)]
                if not ids and source not in seen:
                    ids = [source]
                seen.add(source)
                yield from ((id_, hit.score) for id_ in ids)

    def _overlaps(self, span: Range, source: str, hit: Hit) -> bool:
        if source == hit.source:
            ranges: Sequence[Range] = [] if hit.start is None or hit.end is None else [(hit.start, hit.end)]
        else:
            ranges = self.elsewhere(source, hit.content)
        return any(start < span[1] and span[0] < end for start, end in ranges)


def _sources(hit: Hit) -> list[str]:
    return [hit.id if hit.source is None else hit.source, *hit.also_in]
