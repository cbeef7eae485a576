"""Where words beside dots go so that none lies on another. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from howdah.scripts.reports.svg import Anchor, width

_TALL = 12.0  # px of a small label


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: "Box") -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


class Spot(NamedTuple):
    """Where the baseline of a label begins, is centred or ends."""

    x: float
    y: float
    anchor: Anchor


class Labels:
    """Places labels one after another inside `frame`: the first come get the best places, the last perhaps none.

    No label lies on a dot or on another label; on a line, of which `strokes` are points, only where there is no other place.
    """

    def __init__(
        self, frame: Box, dots: Sequence[tuple[float, float]], strokes: Sequence[tuple[float, float]] = (),
        *, radius: float = 4.0,
    ) -> None:  # fmt: skip
        self._frame, self._strokes = frame, [Box(x - 2, y - 2, x + 2, y + 2) for x, y in strokes]
        self._taken = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in dots]

    def keep_free(self, words: str, x: float, y: float, *, size: float = 12) -> None:
        """Let no label lie on words that are there already, which begin at (x, y)."""
        self._taken.append(_box(Spot(x, y, "start"), width(words, size)))

    def place(
        self, words: str, x: float, y: float, *, gap: float = 7, size: float = 12, needed: bool = True
    ) -> Spot | None:
        """Above, below, at the right or the left of (x, y); None where every place is taken.

        Of a label that is not `needed` a place on a line is none.
        """
        long = width(words, size)
        spots = [(spot, _box(spot, long)) for spot in _around(x, y, gap)]
        free = [(spot, box) for spot, box in spots if box.within(self._frame) and not _meets(box, self._taken)]
        clear = next(((spot, box) for spot, box in free if not _meets(box, self._strokes)), None)
        found = clear or (next(iter(free), None) if needed else None)
        if found is None:
            return None
        self._taken.append(found[1])
        return found[0]


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Heights near `wanted`, in the same order, at least `least` from each other, between low and high where they fit."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed, floor = {}, low
    for number in order:
        placed[number] = floor = max(wanted[number], floor)
        floor += least
    over = (floor - least) - high if order else 0.0
    ceiling = high
    for number in reversed(order):
        if over > 0:
            placed[number] = ceiling = min(placed[number], ceiling)
            ceiling -= least
    return [placed[number] for number in range(len(wanted))]


def _around(x: float, y: float, gap: float) -> Iterator[Spot]:
    """Above, below, right, left, and the four corners, `gap` pixels from the dot's middle."""
    yield Spot(x, y - gap - 2, "middle")
    yield Spot(x, y + gap + 11, "middle")
    yield Spot(x + gap + 1, y + 4, "start")
    yield Spot(x - gap - 1, y + 4, "end")
    yield Spot(x + gap - 1, y - gap - 1, "start")
    yield Spot(x - gap + 1, y - gap - 1, "end")
    yield Spot(x + gap - 1, y + gap + 9, "start")
    yield Spot(x - gap + 1, y + gap + 9, "end")


def along(points: Sequence[tuple[float, float]], *, every: float = 5.0) -> list[tuple[float, float]]:
    """Points on the line through `points`, `every` so many pixels."""
    found: list[tuple[float, float]] = []
    for (x, y), (to_x, to_y) in pairwise(points):
        parts = max(int(max(abs(to_x - x), abs(to_y - y)) / every), 1)
        found += [(x + (to_x - x) * part / parts, y + (to_y - y) * part / parts) for part in range(parts + 1)]
    return found


def _meets(box: Box, others: Sequence[Box]) -> bool:
    return any(box.meets(other) for other in others)


def _box(spot: Spot, long: float) -> Box:
    left = {"start": spot.x, "middle": spot.x - long / 2, "end": spot.x - long}[spot.anchor]
    return Box(left, spot.y - _TALL + 2, left + long, spot.y + 2)
