"""Lines and steps through dots: the recall-latency frontier, the risk-coverage curve. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

from howdah.scripts.reports.chart import NARROW, Chart, Drawing, across, along, hue
from howdah.scripts.reports.placing import Box, Labels, apart
from howdah.scripts.reports.placing import along as along_path
from howdah.scripts.reports.scales import Axis, Scale, scale
from howdah.scripts.reports.svg import SIZE, element, fitted, text, titled, width
from howdah.scripts.reports.tables import Table, figure, words

_DASHES = (None, "7 4", "2 3", "9 3 2 3", "1 5")


@dataclass(frozen=True, kw_only=True)
class Dot:
    """`label` is written beside it where there is room; `chosen` makes it stand out. y None breaks the line."""

    x: float
    y: float | None
    label: str = ""
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """`label` may be empty: a line without a name has none at its end."""

    label: str
    dots: Sequence[Dot]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A level line with its meaning: what is to be reached, or not passed."""

    y: float
    label: str


def lines(title: str, said: str, lines: Sequence[Line], *, x: Axis, y: Axis, rule: Rule | None = None) -> Chart:
    """Straight lines through the dots of each of `lines`, in their order, each dot marked."""
    plot = _Plot(lines=list(lines), x=x, y=y, rule=rule, stepped=False)
    return Chart(title=title, said=said, table=_table(plot), draw=partial(_draw, plot), kind="lines")


def steps(title: str, said: str, lines: Sequence[Line], *, x: Axis, y: Axis, rule: Rule | None = None) -> Chart:
    """As `lines`, each level held until the next dot; the dots that have a label or are chosen are marked alone."""
    plot = _Plot(lines=list(lines), x=x, y=y, rule=rule, stepped=True)
    return Chart(title=title, said=said, table=_table(plot), draw=partial(_draw, plot), kind="steps")


@dataclass(frozen=True, kw_only=True)
class _Plot:
    lines: list[Line]
    x: Axis
    y: Axis
    rule: Rule | None
    stepped: bool
    marked: float = field(default=3.5)

    @property
    def many(self) -> bool:
        """Whether the lines have to be told apart by their names."""
        return sum(bool(line.label) for line in self.lines) > 1

    def marks(self, line: Line) -> list[Dot]:
        return [dot for dot in line.dots if dot.y is not None and (not self.stepped or dot.label or dot.chosen)]


def _table(plot: _Plot) -> Table:
    many = plot.many
    named = any(dot.label for line in plot.lines for dot in line.dots)
    columns = [words("Line")] * many + [words("Setting")] * named
    columns += [figure(plot.x.label, plot.x.show), figure(plot.y.label, plot.y.show)]
    rows: list[list[Any]] = []
    strong: set[int] = set()
    for line in plot.lines:
        for dot in line.dots:
            if dot.chosen:
                strong.add(len(rows))
            rows.append([line.label] * many + [dot.label] * named + [dot.x, dot.y])
    return Table(columns=columns, rows=rows, strong=frozenset(strong))


def _draw(plot: _Plot, wide: int) -> Drawing:
    narrow, many = wide <= NARROW, plot.many
    heights = [dot.y for line in plot.lines for dot in line.dots if dot.y is not None]
    heights += [plot.rule.y] if plot.rule else []
    top, legend = _legend(plot, wide) if narrow and many else (24.0, "")
    bottom = top + (240 if narrow else 320)
    y = scale(plot.y, heights, bottom, top)
    left = max(width(plot.y.show(tick)) for tick in y.ticks) + 12
    right = 18.0 if narrow or not many else max(width(line.label) for line in plot.lines) + 22
    across_values = [dot.x for line in plot.lines for dot in line.dots]
    x = scale(plot.x, across_values, left, wide - min(right, wide * 0.3), most=5 if narrow else 8)
    parts = [
        legend,
        text(plot.y.label, 0, top - 10, class_="axis"),
        along(x, bottom, top, plot.x.show),
        across(y, left, x.end, plot.y.show),
        text(plot.x.label, x.end, bottom + 2 * SIZE + 12, anchor="end", class_="axis"),
        _rule(plot.rule, x, y),
        *(_path(plot, line, x, y, number) for number, line in enumerate(plot.lines)),
        _labels(plot, x, y, roomy=not narrow or not many),
        "" if narrow or not many else _ends(plot, x, y, wide),
    ]
    return Drawing("".join(parts), bottom + 2 * SIZE + 20)


def _path(plot: _Plot, line: Line, x: Scale, y: Scale, number: int) -> str:
    drawn, pen = [], "M"
    for dot in line.dots:
        if dot.y is None:
            pen = "M"
            continue
        at, level = f"{x(dot.x):.1f}", f"{y(dot.y):.1f}"
        drawn.append(f"H{at}V{level}" if plot.stepped and pen == "L" else f"{pen}{at} {level}")
        pen = "L"
    line_path = element("path", d="".join(drawn), class_="line", stroke_dasharray=_DASHES[number % len(_DASHES)])
    marks = "".join(_mark(plot, line, dot, x, y) for dot in plot.marks(line))
    return element("g", line_path, marks, class_=hue(number))


def _mark(plot: _Plot, line: Line, dot: Dot, x: Scale, y: Scale) -> str:
    assert dot.y is not None
    said = titled(f"{line.label} {dot.label}: {plot.x.label} {plot.x.show(dot.x)}, {plot.y.label} {plot.y.show(dot.y)}")
    ring = element("circle", cx=x(dot.x), cy=y(dot.y), r=8, class_="ring") if dot.chosen else ""
    return ring + element("circle", said, cx=x(dot.x), cy=y(dot.y), r=4.5 if dot.chosen else plot.marked, class_="dot")


def _labels(plot: _Plot, x: Scale, y: Scale, *, roomy: bool) -> str:
    """The labels of dots, the chosen first: where there is no room the table has them."""
    dots = [(dot, number) for number, line in enumerate(plot.lines) for dot in plot.marks(line) if dot.label]
    dots.sort(key=lambda pair: not pair[0].chosen)
    everywhere = [(x(dot.x), y(dot.y or 0)) for line in plot.lines for dot in plot.marks(line)]
    strokes = [at for line in plot.lines for at in along_path(_corners(plot, line, x, y))]
    labels = Labels(Box(x.start - 4, y.end - 8, x.end + 8, y.start), everywhere, strokes)
    if plot.rule is not None:
        labels.keep_free(plot.rule.label, x.end - width(plot.rule.label, 12), _below(plot.rule, y))
    drawn = []
    for dot, number in dots:
        spot = labels.place(dot.label, x(dot.x), y(dot.y or 0), gap=12 if dot.chosen else 7, needed=dot.chosen or roomy)
        if spot is not None:
            class_ = f"note {hue(number)}{' chosen' if dot.chosen else ''}"
            drawn.append(text(dot.label, spot.x, spot.y, anchor=spot.anchor, class_=class_))
    return "".join(drawn)


def _corners(plot: _Plot, line: Line, x: Scale, y: Scale) -> list[tuple[float, float]]:
    """The points that the line bends at; a gap is bridged, which costs a label a good place at most."""
    dots = [(x(dot.x), y(dot.y)) for dot in line.dots if dot.y is not None]
    if not plot.stepped:
        return dots
    held = [((to_x, at), (to_x, to)) for (_, at), (to_x, to) in pairwise(dots)]
    return dots[:1] + [corner for pair in held for corner in pair]


def _ends(plot: _Plot, x: Scale, y: Scale, wide: float) -> str:
    """Each line's name at its right end, in its colour."""
    last = [next((dot for dot in reversed(line.dots) if dot.y is not None), None) for line in plot.lines]
    wanted = [y.start if dot is None else y(dot.y or 0) + 4 for dot in last]
    placed = apart(wanted, SIZE + 3, y.end, y.start)
    return "".join(
        text(fitted(line.label, wide - x.end - 12), x.end + 12, at, class_=f"name {hue(number)}")
        for number, (line, at) in enumerate(zip(plot.lines, placed, strict=True))
        if line.label
    )


def _legend(plot: _Plot, wide: float) -> tuple[float, str]:
    """Names under each other, with a piece of their lines; and where the plot may begin."""
    rows = [
        element("path", d=f"M0 {10 + 20 * number}H26", class_="line", stroke_dasharray=_DASHES[number % len(_DASHES)])
        + text(fitted(line.label, wide - 34), 34, 14 + 20 * number, class_="name")
        for number, line in enumerate(line for line in plot.lines if line.label)
    ]
    inside = "".join(element("g", row, class_=hue(number)) for number, row in enumerate(rows))
    return 20.0 * len(rows) + 34, inside


def _rule(rule: Rule | None, x: Scale, y: Scale) -> str:
    if rule is None:
        return ""
    level = y(rule.y)
    path = element("path", d=f"M{x.start:.1f} {level:.1f}H{x.end:.1f}", class_="rule")
    return path + text(rule.label, x.end - 2, _below(rule, y), anchor="end", class_="rulename")


def _below(rule: Rule, y: Scale) -> float:
    """The height of its label: below the line, where there is room above the axis."""
    return y(rule.y) + (15 if y.start - y(rule.y) > 24 else -6)
