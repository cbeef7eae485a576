"""Where words beside dots go so that none lies on another. Pure."""

from collections.abc import Iterator, Sequence
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
    """Places labels one after another inside `frame`: the first come get the best places, the last perhaps none."""

    def __init__(self, frame: Box, dots: Sequence[tuple[float, float]], *, radius: float = 4.0) -> None:
        self._frame = frame
        self._taken = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in dots]

    def place(self, words: str, x: float, y: float, *, size: float = 12) -> Spot | None:
        """Above, below, at the right or the left of (x, y); None where every place is taken."""
        long = width(words, size)
        for spot in _around(x, y):
            box = _box(spot, long)
            if box.within(self._frame) and not any(box.meets(taken) for taken in self._taken):
                self._taken.append(box)
                return spot
        return None


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


def _around(x: float, y: float) -> Iterator[Spot]:
    yield Spot(x, y - 9, "middle")
    yield Spot(x, y + 18, "middle")
    yield Spot(x + 8, y + 4, "start")
    yield Spot(x - 8, y + 4, "end")
    yield Spot(x + 6, y - 8, "start")
    yield Spot(x - 6, y - 8, "end")
    yield Spot(x + 6, y + 16, "start")
    yield Spot(x - 6, y + 16, "end")


def _box(spot: Spot, long: float) -> Box:
    left = {"start": spot.x, "middle": spot.x - long / 2, "end": spot.x - long}[spot.anchor]
    return Box(left, spot.y - _TALL + 2, left + long, spot.y + 2)
