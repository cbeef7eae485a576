"""Question by question against a baseline: which got better, which worse, and by how much. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from howdah.scripts.reports import numbers
from howdah.scripts.reports.chart import NARROW, Chart, Drawing, across
from howdah.scripts.reports.scales import Axis, scale
from howdah.scripts.reports.svg import SIZE, element, text, titled, width
from howdah.scripts.reports.tables import Table, figure, words

_EQUAL = 1e-9
_TITLED = 600  # questions up to which each bar names its own; beyond it a bar is no target for a mouse


@dataclass(frozen=True, kw_only=True)
class Change:
    """A question's value in the baseline and now; `less` where less of it is better."""

    label: str
    before: float
    after: float
    less: bool = False

    @property
    def by(self) -> float:
        """How much better it is."""
        return self.before - self.after if self.less else self.after - self.before


def wins(title: str, said: str, changes: Sequence[Change], *, measure: str) -> Chart:
    """One bar a question, from the greatest gain to the greatest loss; `measure` is what the values are."""
    ordered = sorted(changes, key=lambda change: (-change.by, change.label))
    table = Table(
        columns=[words("Question"), figure("Before"), figure("Now"), figure("Change", numbers.signed)],
        rows=[[change.label, change.before, change.after, change.by] for change in ordered],
    )
    return Chart(title=title, said=said, table=table, draw=partial(_draw, ordered, measure), kind="wins")


def told(changes: Sequence[Change], noun: str) -> str:
    """A sentence: 8 queries got better, 1 got worse, 76 stayed the same."""
    better, worse, same = counted(changes)
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{better:,} {noun if better == 1 else several} got better, {worse:,} got worse, {same:,} stayed the same."


def counted(changes: Sequence[Change]) -> tuple[int, int, int]:
    """How many are better, worse, and the same."""
    better = sum(change.by > _EQUAL for change in changes)
    worse = sum(change.by < -_EQUAL for change in changes)
    return better, worse, len(changes) - better - worse


def _draw(ordered: list[Change], measure: str, wide: int) -> Drawing:
    narrow = wide <= NARROW
    top, bottom = 34.0, 34.0 + (200 if narrow else 240)
    most = max((abs(change.by) for change in ordered), default=0) or 1.0
    y = scale(Axis(label=""), [-most, most], bottom, top, most=5)
    left = max(width(numbers.signed(tick, 2)) for tick in y.ticks) + 12
    slot = (wide - left) / max(len(ordered), 1)
    bars = [
        _bar(change, left + number * slot, slot, y(0), y(change.by), len(ordered))
        for number, change in enumerate(ordered)
    ]
    zero = element("path", d=f"M{left:.1f} {y(0):.1f}H{wide}", class_="zero")
    parts = [
        text(f"change of {measure}, a bar for each question", 0, 14, class_="axis"),
        across(y, left, wide, lambda tick: numbers.signed(tick, 2)),
        *bars,
        zero,
        _said(ordered, left, wide, y(0), top, bottom),
    ]
    return Drawing("".join(parts), bottom + 12)


def _bar(change: Change, x: float, slot: float, zero: float, end: float, among: int) -> str:
    if abs(change.by) <= _EQUAL:
        return ""
    name = titled(f"{change.label}: {numbers.signed(change.by)}") if among <= _TITLED else ""
    thick = max(slot * (0.8 if slot > 4 else 1), 0.6)
    return element(
        "rect", name, x=f"{x:.2f}", y=min(zero, end), width=f"{thick:.2f}", height=max(abs(end - zero), 1),
        class_="gain" if change.by > 0 else "loss",
    )  # fmt: skip


def _said(ordered: list[Change], left: float, wide: float, zero: float, top: float, bottom: float) -> str:
    """How many of each, in words in the corners that the bars leave free."""
    better, worse, same = counted(ordered)
    slot = (wide - left) / max(len(ordered), 1)
    gains, losses = f"{better:,} better", f"{worse:,} worse"
    at = min(left + better * slot + 10, wide - width(gains) - 4)
    until = max(left + (better + same) * slot - 10, left + width(losses) + 6)
    parts = [
        text(gains, at, top + SIZE + 4, class_="gain name"),
        text(losses, until, bottom - 8, anchor="end", class_="loss name"),
    ]
    if same * slot > width(f"{same:,} the same"):
        middle = left + (better + same / 2) * slot
        half = width(f"{same:,} the same") / 2
        middle = min(max(middle, left + half + 4), wide - half - 4)
        parts.append(text(f"{same:,} the same", middle, zero - 8, anchor="middle", class_="tick"))
    return "".join(parts)
