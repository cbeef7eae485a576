"""Bars that lie: one value a line with its interval, in groups where several series are compared. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from howdah.scripts.reports import numbers
from howdah.scripts.reports.chart import NARROW, Chart, Drawing, along, hue
from howdah.scripts.reports.scales import Axis, Scale, scale
from howdah.scripts.reports.svg import SIZE, element, fitted, text, titled, width
from howdah.scripts.reports.tables import Table, figure, words

_THICK, _FOOT = 12, 28  # px: a bar, and the axis below


@dataclass(frozen=True, kw_only=True)
class Bar:
    """`value` None is shown as not measured; `low` and `high` are the ends of its interval.

    `group` is the heading that the bar stands under; `series` decides its colour.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    group: str = ""
    series: str = ""


def bars(
    title: str, said: str, bars: Sequence[Bar],
    *, axis: Axis | None = None, show: Callable[[float | None], str] = numbers.fixed,
) -> Chart:  # fmt: skip
    """A chart of `bars` in their order; the axis begins at 0 and goes to 1 unless `axis` says otherwise."""
    axis = axis or Axis(label="", low=0, high=1, show=numbers.short)
    return Chart(
        title=title, said=said, table=_table(bars, show), draw=partial(_draw, list(bars), axis, show), kind="bars"
    )


def _table(bars: Sequence[Bar], show: Callable[[float | None], str]) -> Table:
    grouped, spread = any(bar.group for bar in bars), any(bar.low is not None for bar in bars)
    columns = [words("Group")] * grouped + [words("What"), figure("Value", show)]
    columns += [figure("95 % from", show), figure("to", show)] * spread
    rows = [[bar.group] * grouped + [bar.label, bar.value] + [bar.low, bar.high] * spread for bar in bars]
    return Table(columns=columns, rows=rows)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Where the columns are. A narrow drawing has the words above each bar, a wide one at its left and right."""

    left: float
    right: float
    row: float
    above: bool

    @property
    def bar(self) -> float:
        """From a line's top to the middle of its bar."""
        return 30 if self.above else self.row / 2


def _draw(bars: list[Bar], axis: Axis, show: Callable[[float | None], str], wide: int) -> Drawing:
    layout = _layout(bars, show, wide)
    ends = [value for bar in bars for value in (bar.value, bar.low, bar.high) if value is not None]
    x = scale(axis, ends, layout.left, wide - layout.right, most=6 if wide > NARROW else 5)
    hues = {series: hue(number) for number, series in enumerate(dict.fromkeys(bar.series for bar in bars))}
    parts: list[str] = []
    y, group = 4.0, ""
    for bar in bars:
        if bar.group != group:
            group, y = bar.group, y + (10 if parts else 0)
            parts.append(text(fitted(group, wide), 0, y + SIZE + 2, class_="group"))
            y += SIZE + 10
        parts.append(_line(bar, x, layout, y, wide, hues[bar.series], show))
        y += layout.row
    grid = along(x, y + 2, 4 if not group else 24, axis.show)
    name = text(axis.label, x.end, y + _FOOT + SIZE, anchor="end", class_="axis") if axis.label else ""
    return Drawing(grid + "".join(parts) + name, y + _FOOT + (SIZE + 4 if axis.label else 0))


def _layout(bars: Sequence[Bar], show: Callable[[float | None], str], wide: int) -> _Layout:
    if wide <= NARROW:
        return _Layout(left=4, right=6, row=44, above=True)
    longest = max((width(bar.label) for bar in bars), default=0)
    said = max((width(_value(bar, show)) for bar in bars), default=0)
    return _Layout(left=min(longest + 14, wide * 0.34), right=said + 12, row=26, above=False)


def _line(
    bar: Bar, x: Scale, layout: _Layout, y: float, wide: float, colour: str, show: Callable[[float | None], str]
) -> str:
    middle, value = y + layout.bar, _value(bar, show)
    room = wide - width(value) - 16 if layout.above else layout.left - 12
    base = y + 15 if layout.above else middle + 4
    label = text(fitted(bar.label, room), 0, base, class_="label")
    return element(
        "g",
        titled(f"{bar.group} {bar.label}: {value}".strip()),
        label,
        _shape(bar, x, middle),
        _numbers(bar, wide, base, show),
        class_=colour,
    )


def _shape(bar: Bar, x: Scale, middle: float) -> str:
    if bar.value is None:
        return ""
    begin, end = sorted((x(max(x.low, 0.0)), x(bar.value)))
    filled = element("rect", x=begin, y=middle - _THICK / 2, width=end - begin, height=_THICK, class_="bar")
    if bar.low is None or bar.high is None:
        return filled
    whisker = element("path", d=f"M{x(bar.low):.1f} {middle:.1f}H{x(bar.high):.1f}", class_="whisker")
    return filled + whisker + element("circle", cx=x(bar.value), cy=middle, r=3.5, class_="mean")


def _value(bar: Bar, show: Callable[[float | None], str]) -> str:
    if bar.value is None:
        return "not measured"
    return f"{show(bar.value)}{_between(bar, show)}"


def _between(bar: Bar, show: Callable[[float | None], str]) -> str:
    return "" if bar.low is None or bar.high is None else f"  {show(bar.low)} to {show(bar.high)}"


def _numbers(bar: Bar, wide: float, base: float, show: Callable[[float | None], str]) -> str:
    """The value in bold and its interval in grey, at the right edge."""
    if bar.value is None:
        return text("not measured", wide, base, anchor="end", class_="missing")
    spread = element("tspan", _between(bar, show).strip(), class_="spread", dx="8") if bar.low is not None else ""
    return element("text", element("tspan", show(bar.value), class_="value"), spread, x=wide, y=base, text_anchor="end")
