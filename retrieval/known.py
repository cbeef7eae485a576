"""What a collection holds of its sources, and which of those that a sync finds are the same still, or have moved."""

from collections.abc import Collection as Group
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from howdah.retrieval.errors import LoadError

if TYPE_CHECKING:
    from howdah.retrieval.sources import Source


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the database holds of a source."""

    content_hash: bytes
    made_by: str
    root: str
    size: int | None
    modified_at: datetime | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Known":
        return cls(
            content_hash=bytes(row["content_hash"]), made_by=row["made_by"], root=row["root"], size=row["size"],
            modified_at=row["modified_at"],
        )  # fmt: skip

    @property
    def stamp(self) -> tuple[int | None, datetime | None]:
        """Size and time: where they are the same the content is, too, unless somebody set the time back."""
        return self.size, self.modified_at


def moved(found: Iterable["Source"], known: Mapping[str, Known], whole: Group[str]) -> dict[str, str]:
    """New source → the source that it had before: of the same content, and gone from a root that stands here as a whole.

    Of several that are gone the first in name order moves to the first that is found.
    """
    listed = list(found)
    present = {item.source for item in listed}
    gone: dict[bytes, list[str]] = {}
    for source in sorted(known, reverse=True):
        if source not in present and known[source].root in whole:
            gone.setdefault(known[source].content_hash, []).append(source)
    moves: dict[str, str] = {}
    for item in listed if gone else ():
        if item.source not in known and (before := gone.get(_hash(item))):
            moves[item.source] = before.pop()
    return moves


def _hash(item: "Source") -> bytes:
    """The content's hash; of what cannot be read, which is reported when its turn comes, one that nothing has."""
    try:
        return item.content_hash
    except LoadError:
        return b""
