"""What every chart is: a drawing for wide and for narrow screens, its words, and its data as a table. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from howdah.scripts.reports.scales import Scale
from howdah.scripts.reports.svg import SIZE, element, text
from howdah.scripts.reports.tables import Table

WIDE, NARROW = 800, 356
"""Pixels. Words in a drawing keep their size only where it is shown at about its own width: hence two of them."""
HUES = 5
"""Colours of series in page.css; a sixth series begins again, and is told apart by its label."""


class Drawing(NamedTuple):
    """The inside of an SVG, and its height in pixels."""

    body: str
    height: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """`said` is the chart in a sentence: shown above it, and read out in its place. `draw` takes a width in pixels."""

    title: str
    said: str
    table: Table
    draw: Callable[[int], Drawing]
    kind: str = "chart"


def svg(chart: Chart, width: int, name: str, class_: str) -> str:
    """The chart at `width`, with a title and a description for those who do not see it; `name` is unique in the page."""
    drawn = chart.draw(width)
    return element(
        "svg",
        element("title", _escaped(chart.title), id=f"{name}-title"),
        element("desc", _escaped(chart.said), id=f"{name}-desc"),
        drawn.body,
        viewBox=f"0 0 {width} {drawn.height:.0f}",
        class_=class_,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def hue(number: int) -> str:
    """The class of a series' colour."""
    return f"hue{number % HUES}"


def along(x: Scale, bottom: float, top: float, show: Callable[[float], str]) -> str:
    """Upright lines at the ticks of `x`, their values below."""
    return "".join(
        element("path", d=f"M{x(tick):.1f} {top:.1f}V{bottom:.1f}", class_="grid")
        + text(show(tick), x(tick), bottom + SIZE + 5, anchor="middle", class_="tick")
        for tick in x.ticks
    )


def across(y: Scale, left: float, right: float, show: Callable[[float], str]) -> str:
    """Level lines at the ticks of `y`, their values at the left."""
    return "".join(
        element("path", d=f"M{left:.1f} {y(tick):.1f}H{right:.1f}", class_="grid")
        + text(show(tick), left - 8, y(tick) + 4, anchor="end", class_="tick")
        for tick in y.ticks
    )


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
