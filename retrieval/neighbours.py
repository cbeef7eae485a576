"""What stands around a hit in its document: the chunks before and after it, or the section that it is in.

One statement finds it for all hits of a search; the rest is arithmetic on offsets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from psycopg.sql import SQL

from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Query
from howdah.retrieval.types import Hit

MAX_CHARACTERS = 4_000
MAX_WINDOW = 100


@dataclass(frozen=True, kw_only=True)
class Around:
    """How far a hit is widened: by `window` chunks on either side, or to its section, up to `max_characters` in all.

    The bound is kept by leaving out whole chunks, those farthest from the hit first; the hit itself always stays.
    """

    window: int | None = None
    parent: str | None = None
    max_characters: int = MAX_CHARACTERS

    def __post_init__(self) -> None:
        if self.parent not in (None, "section"):
            raise InvalidInput(f"parent is {self.parent!r} and must be 'section'")
        if (self.window is None) == (self.parent is None):
            raise InvalidInput(
                f"a hit is widened by window= or by parent=, got {'neither' if self.window is None else 'both'}",
                hint="window=1 takes one chunk on either side, parent='section' the whole section",
            )
        _check("window", 1 if self.window is None else self.window, MAX_WINDOW)
        _check("max_characters", self.max_characters, 10_000_000)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self | None:
        """From the arguments of a search; None where none of them is given, or window is 0."""
        wanted = {name: value for name, value in given.items() if value is not None and (name, value) != ("window", 0)}
        return cls(**wanted) if wanted else None


AROUND_OPTIONS = frozenset(Around.__dataclass_fields__)


def _check(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(f"{name} is {value!r} and must be a whole number from 1 to {most:,}")


def around(collection: Collection, ids: Sequence[str], how: Around) -> Query:
    """One row a hit that belongs to a document: the chunks near it in the order of the document, itself among them.

    `text` is the document's from the first of them to the last, where it is stored; else `contents` has each one's own.
    """
    # A document's chunks are listed once, however many hits it has, and their texts are not read.
    near = SQL("part.ordinal BETWEEN hit.ordinal - %(window)s AND hit.ordinal + %(window)s")
    if how.window is None:
        near = SQL(
            "part.section IS NOT DISTINCT FROM hit.section"
            " AND part.start_at > hit.end_at - %(limit)s AND part.end_at < hit.start_at + %(limit)s"
        )
    return Query(
        SQL("""
            WITH hit AS MATERIALIZED (
                SELECT c.id, c.document, p.ordinal, p.section, p.start_at, p.end_at
                FROM {chunks} AS c JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
                WHERE c.tenant = %(tenant)s AND c.id = ANY(%(ids)s::text[]) AND c.document IS NOT NULL
                  AND p.ordinal IS NOT NULL AND p.start_at IS NOT NULL AND p.end_at IS NOT NULL
            ),
            part AS MATERIALIZED (
                SELECT c.document, c.n, p.ordinal, p.section, p.start_at, p.end_at
                FROM {chunks} AS c JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
                WHERE c.tenant = %(tenant)s AND c.document = ANY(ARRAY(SELECT DISTINCT document FROM hit))
            ),
            near AS MATERIALIZED (
                SELECT hit.id, hit.document, hit.ordinal, min(part.start_at) AS "start", max(part.end_at) AS "end",
                       array_agg(part.n ORDER BY part.ordinal) AS numbers,
                       array_agg(part.ordinal ORDER BY part.ordinal) AS ordinals,
                       array_agg(part.start_at ORDER BY part.ordinal) AS starts,
                       array_agg(part.end_at ORDER BY part.ordinal) AS ends
                FROM hit JOIN part ON part.document = hit.document AND {near} GROUP BY hit.id, hit.document, hit.ordinal
            )
            SELECT near.id, near.document, near.ordinal, near.start, near.ordinals, near.starts, near.ends,
                   substr(d.text, near.start + 1, near.end - near.start) AS text,
                   CASE WHEN d.text IS NULL THEN (
                       SELECT array_agg(p.content ORDER BY p.ordinal) FROM {passages} AS p
                       WHERE p.tenant = %(tenant)s AND p.n = ANY(near.numbers)
                   ) END AS contents
            FROM near LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = near.document
        """).format(chunks=collection.chunks, passages=collection.passages, near=near),
        {"tenant": collection.tenant, "ids": list(ids), "window": how.window, "limit": how.max_characters},
    )


def widened(hits: Sequence[Hit], rows: Sequence[Mapping[str, Any]], how: Around) -> list[Hit]:
    """The hits with what stands around them, from the rows of `around`; those without a document stay as they are.

    `start` and `end` are those of the wider text, and `content` is the document's text between them (where that is not
    stored, blanks stand for what lies between two chunks). Id and scores stay. Hits of one document whose texts would
    overlap become one, in the place of the best of them: no text comes twice.
    """
    rank = {hit.id: place for place, hit in reversed(list(enumerate(hits)))}
    found = [(rank[row["id"]], _stretch(row, how)) for row in rows]
    best = dict(_joined(found))
    inside = {place for place, _ in found}
    return [
        _widened(hit, best[place]) if place in best else hit
        for place, hit in enumerate(hits)
        if rank[hit.id] == place and (place in best or place not in inside)
    ]


def _widened(hit: Hit, to: "_Stretch") -> Hit:
    """The hit with the wider text, and with the page on which that begins: form feeds end pages."""
    before = to.text.count("\f", 0, max(0, hit.start - to.start)) if hit.start is not None else 0
    page = hit.page and max(1, hit.page - before)
    return replace(hit, content=to.text, start=to.start, end=to.end, page=page)


@dataclass(frozen=True)
class _Stretch:
    document: int
    start: int
    end: int
    text: str

    def with_next(self, other: "_Stretch") -> "_Stretch":
        """Both as one, for an `other` that begins before this one ends."""
        end = max(self.end, other.end)
        return replace(self, end=end, text=self.text + other.text[self.end - other.start :])


def _joined(found: list[tuple[int, _Stretch]]) -> list[tuple[int, _Stretch]]:
    """The stretches without overlaps, each with the best place of those in it."""
    runs: list[tuple[int, _Stretch]] = []
    for place, stretch in sorted(found, key=lambda item: (item[1].document, item[1].start, -item[1].end)):
        if runs and runs[-1][1].document == stretch.document and stretch.start < runs[-1][1].end:
            runs[-1] = (min(runs[-1][0], place), runs[-1][1].with_next(stretch))
        else:
            runs.append((place, stretch))
    return runs


def _stretch(row: Mapping[str, Any], how: Around) -> _Stretch:
    first, last = _reach(row, how.max_characters)
    starts, ends = row["starts"][first : last + 1], row["ends"][first : last + 1]
    start, end = min(starts), max(ends)
    if row["text"] is not None:
        text = row["text"][start - row["start"] : end - row["start"]]
    else:
        text = _pasted(list(zip(starts, ends, row["contents"][first : last + 1], strict=True)))
    return _Stretch(row["document"], start, end, text)


def _reach(row: Mapping[str, Any], limit: int) -> tuple[int, int]:
    """The first and the last of the row's chunks: as many as hang together with the hit and fit, alternately."""
    ordinals, starts, ends = row["ordinals"], row["starts"], row["ends"]
    first = last = ordinals.index(row["ordinal"])
    after = before = True
    while after or before:
        after = after and last + 1 < len(ordinals) and ordinals[last + 1] == ordinals[last] + 1
        after = after and ends[last + 1] - starts[first] <= limit
        last += after
        before = before and first > 0 and ordinals[first - 1] == ordinals[first] - 1
        before = before and ends[last] - starts[first - 1] <= limit
        first -= before
    return first, last


def _pasted(parts: list[tuple[int, int, str]]) -> str:
    """Chunks' texts put together by their offsets."""
    text, at = "", parts[0][0]
    for start, end, content in parts:
        text += " " * (start - at) + content[max(at - start, 0) :]
        at = max(at, end)
    return text
