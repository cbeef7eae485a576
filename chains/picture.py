"""A curve of risk over coverage as an SVG that any browser shows. Pure."""

from collections.abc import Sequence
from html import escape

from howdah.chains.calibrate import Point

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 400, 64, 52, 44, 20
_INK, _GRID, _LINE, _MARK = "#222", "#ddd", "#2563a8", "#b3261e"


UNANSWERABLE = "risk: answered, and unanswerable"


def risk_coverage(points: Sequence[Point], chosen: Point, *, title: str, risk: str = UNANSWERABLE) -> str:
    """The picture: `points` as a line, `chosen` as a dot with its numbers; `risk` says what it is."""
    top = _ceiling(max(point.risk for point in points))
    steps = "".join(_steps(points, top))
    x, y = _x(chosen.coverage), _y(chosen.risk, top)
    anchor = "end" if chosen.coverage > 0.5 else "start"
    said = f"answers {chosen.coverage:.0%}, of these {chosen.risk:.1%} wrongly"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="13">',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="24" font-size="15" fill="{_INK}">{escape(title)}</text>',
            *_axes(top, risk),
            f'<path d="{steps}" fill="none" stroke="{_LINE}" stroke-width="2"/>',
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_MARK}"/>',
            f'<text x="{x:.1f}" y="{max(y - 12, _TOP + 12):.1f}" text-anchor="{anchor}" fill="{_MARK}">{said}</text>',
            "</svg>",
            "",
        ]
    )


def _axes(top: float, risk: str) -> list[str]:
    lines = []
    for part in (0, 0.25, 0.5, 0.75, 1):
        x, y = _x(part), _y(part * top, top)
        lines += [
            f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>',
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle" fill="{_INK}">{part:.0%}</text>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="{_INK}">{part * top:.3g}</text>',
        ]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    return [
        *lines,
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 12}" text-anchor="middle" fill="{_INK}">'
        "coverage: questions that are answered</text>",
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})" fill="{_INK}">'
        f"{escape(risk)}</text>",
    ]


def _steps(points: Sequence[Point], top: float) -> list[str]:
    return [
        f"{'M' if number == 0 else 'L'}{_x(point.coverage):.1f} {_y(point.risk, top):.1f}"
        for number, point in enumerate(points)
    ]


def _ceiling(risk: float) -> float:
    return next((edge for edge in (0.05, 0.1, 0.2, 0.5) if risk <= edge), 1.0)


def _x(coverage: float) -> float:
    return _LEFT + coverage * (_WIDTH - _LEFT - _RIGHT)


def _y(risk: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - risk / top * (_HEIGHT - _BOTTOM - _TOP)
