"""SVG as text: elements with escaped values, and how wide a word is about. Pure."""

from html import escape
from typing import Literal

Anchor = Literal["start", "middle", "end"]

SIZE = 13  # px, of every word in a chart
_ADVANCE = 0.56  # of a letter, in parts of the font's size: the mean of common sans-serif fonts, rounded up


def element(name: str, /, *inside: str, **attributes: float | str | None) -> str:
    """`<name …>inside</name>`; `inside` is markup already. None leaves an attribute out; `class_` is class."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    body = "".join(inside)
    return f"<{name}{given}>{body}</{name}>" if body else f"<{name}{given}/>"


def text(words: str, x: float, y: float, *, anchor: Anchor = "start", class_: str | None = None) -> str:
    """Words whose baseline begins, is centred or ends at x."""
    return element("text", escape(words), x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def titled(words: str) -> str:
    """What a browser shows of the element around it when a mouse rests there."""
    return f"<title>{escape(words)}</title>"


def number(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough."""
    shown = f"{value:.1f}"
    return shown.removesuffix(".0") if shown != "-0.0" else "0"


def width(words: str, size: float = SIZE) -> float:
    """About how many pixels `words` take: a page without script cannot measure them."""
    return len(words) * size * _ADVANCE


def fitted(words: str, room: float, size: float = SIZE) -> str:
    """`words`, cut to `room` pixels with an ellipsis where they are longer."""
    most = max(int(room / (size * _ADVANCE)), 2)
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def _value(value: float | str) -> str:
    return escape(value, quote=True) if isinstance(value, str) else number(value)
