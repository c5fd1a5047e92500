"""Amounts by name, and shares with their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fivelevers.pages.markup import Markup, element
from fivelevers.pages.numbers import percent, ticks
from fivelevers.pages.parts import Draw, shortened, svg, words

_ROW, _FOOT = 38.0, 24.0


@dataclass(frozen=True, slots=True)
class Bar:
    """``size`` is drawn, ``text`` stands beside it."""

    name: str
    size: float
    text: str
    colour: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A share that was seen, the one that it can be at most, and the one that was promised, if one was."""

    name: str
    seen: float
    upper: float
    promised: float | None
    text: str

    @property
    def broken(self) -> bool:
        """What was seen is above it already."""
        return self.promised is not None and self.seen > self.promised


def bars(title: str, shown: Sequence[Bar]) -> Draw:
    told = "; ".join(f"{bar.name} {bar.text}" for bar in shown)
    top = max((bar.size for bar in shown), default=0.0) or 1.0

    def draw(width: float) -> Markup:
        rows = [_row(bar, at, width, width * max(bar.size, 0.0) / top) for at, bar in enumerate(shown)]
        return svg(width, _ROW * len(shown), title, told, *rows)

    return draw


def _row(bar: Bar, at: int, width: float, length: float) -> Markup:
    y, quiet = at * _ROW, "" if bar.size > 0 else "soft"
    name = words(shortened(bar.name, int(width / 10)), 0, y + 13, quiet)
    value = words(bar.text, width, y + 13, quiet, "end")
    track = element("rect", x=0, y=y + 19, width=width, height=9, rx=2, fill="var(--ghost)", fill_opacity="0.35")
    full = element("rect", x=0, y=y + 19, width=max(length, 1.5), height=9, rx=2, fill=f"var(--{bar.colour})")
    return element("g", name, value, track, full if bar.size > 0 else "")


def bounds(title: str, shown: Sequence[Bound], colour: str) -> Draw:
    """From what was seen to what it can be at most, with the promise as a mark."""
    told = "; ".join(f"{one.name}: {one.text}" for one in shown)
    top = min(max((max((one.promised or 0.0) * 2, one.upper) for one in shown), default=0.1), 1.0)

    def draw(width: float) -> Markup:
        marks = ticks(top, 5 if width > 500 else 3)
        height, scale = _ROW * len(shown) + _FOOT, (width - 8) / marks[-1]
        grid = [_mark(share, scale, height, last=share == marks[-1]) for share in marks]
        return svg(
            width, height, title, told, *grid, *(_bound(one, at, width, scale, colour) for at, one in enumerate(shown))
        )

    return draw


def _mark(share: float, scale: float, height: float, *, last: bool) -> Markup:
    x, anchor = share * scale + 4, "start" if not share else "end" if last else "middle"
    return element(
        "g",
        element("line", x1=x, x2=x, y1=0.0, y2=height - _FOOT, class_="rule"),
        words(percent(share, 0 if share * 100 == round(share * 100) else 1), x, height - 6, "soft", anchor),
    )


def _bound(one: Bound, at: int, width: float, scale: float, colour: str) -> Markup:
    y, left, right = at * _ROW + 24, *(4 + share * scale for share in (one.seen, one.upper))
    paint = f"var(--{'bad' if one.broken else colour})"
    return element(
        "g",
        words(shortened(one.name, int(width / 12)), 0, y - 11),
        words(one.text, width, y - 11, "soft", "end"),
        element("line", x1=left, x2=right, y1=y, y2=y, stroke=paint, stroke_width=5, stroke_opacity="0.3"),
        element("line", x1=right, x2=right, y1=y - 6, y2=y + 6, stroke=paint, stroke_width=2),
        element("circle", cx=left, cy=y, r=4, fill=paint),
        "" if one.promised is None else _promised(4 + one.promised * scale, y),
    )


def _promised(x: float, y: float) -> Markup:
    return element("line", x1=x, x2=x, y1=y - 8, y2=y + 8, stroke="var(--ink)", stroke_dasharray="3 2")
