"""Numbers as people read them: a real minus sign, the same decimals in a column, a dash for what is missing. Pure."""

import math

MISSING = "–"
MINUS = "\u2212"


def fixed(value: float | None, decimals: int = 3) -> str:
    """0.7412 as 0.741."""
    if value is None or not math.isfinite(value):
        return MISSING
    shown = f"{value:,.{decimals}f}"
    return _minus(shown if float(shown.replace(",", "")) else shown.lstrip("-"))


def signed(value: float | None, decimals: int = 3) -> str:
    """A difference: +0.021, −0.004, 0.000."""
    shown = fixed(value, decimals)
    return f"+{shown}" if value is not None and value > 0 and shown.strip("0.,") and shown != MISSING else shown


def percent(value: float | None, decimals: int = 1) -> str:
    """A share as 97.5 %, with a space that does not break."""
    return MISSING if value is None or not math.isfinite(value) else f"{fixed(value * 100, decimals)}\u00a0%"


def count(value: float | None) -> str:
    return fixed(value, 0)


def interval(low: float | None, high: float | None, decimals: int = 3) -> str:
    """0.712 to 0.769; empty where an end is missing."""
    if low is None or high is None:
        return ""
    return f"{fixed(low, decimals)} to {fixed(high, decimals)}"


def milliseconds(value: float | None) -> str:
    """Three digits or so: 0.42 ms, 5.5 ms, 120 ms."""
    if value is None:
        return MISSING
    return f"{fixed(value, 2 if value < 1 else 1 if value < 100 else 0)}\u00a0ms"


def short(value: float) -> str:
    """A tick of an axis: no more digits than it needs."""
    return _minus(f"{value:,.6g}")


def _minus(shown: str) -> str:
    return shown.replace("-", MINUS)
