"""A share by something: with its bounds, as a line; or as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fivelevers.pages.markup import Markup, element
from fivelevers.pages.numbers import percent, ticks
from fivelevers.pages.parts import svg, words

WIDTH, _HEIGHT = 440.0, 170.0
_LEFT, _FOOT, _TOP = 46.0, 22.0, 10.0


@dataclass(frozen=True, slots=True)
class Share:
    """``share`` in 0..1 at ``x``, and its 95 % interval."""

    x: float
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Column:
    """``share`` in 0..1; ``name`` stands below it."""

    name: str
    share: float
    colour: str


def shares(title: str, points: Sequence[Share], colour: str) -> Markup:
    """``points`` by ``x``, at least two."""
    marks, first, last = _marks(point.high for point in points), points[0].x, points[-1].x

    def at(x: float, share: float) -> str:
        return f"{_LEFT + (WIDTH - _LEFT - 8) * (x - first) / (last - first):.1f},{_y(share, marks):.1f}"

    there, back = [at(p.x, p.high) for p in points], [at(p.x, p.low) for p in reversed(points)]
    middle = " ".join(at(p.x, p.share) for p in points)
    told = "; ".join(f"{p.x:.2f}: {percent(p.share)} ({percent(p.low)} to {percent(p.high)})" for p in points[::4])
    return svg(
        WIDTH,
        _HEIGHT,
        title,
        told,
        *_grid(marks),
        element("path", d="M" + "L".join((*there, *back)) + "Z", fill=f"var(--{colour})", fill_opacity="0.16"),
        element("polyline", points=middle, fill="none", stroke=f"var(--{colour})", stroke_width=2),
        *(_below(f"{p.x:.2f}", float(at(p.x, 0.0).partition(",")[0])) for p in points[::5]),
        *([_below(f"{last:.2f}", WIDTH - 8)] if (len(points) - 1) % 5 else []),
    )


def columns(title: str, shown: Sequence[Column]) -> Markup:
    marks = _marks(column.share for column in shown)
    step = (WIDTH - _LEFT) / max(len(shown), 1)
    told = "; ".join(f"{column.name}: {percent(column.share)}" for column in shown)
    bars = [_column(column, _LEFT + step * at, step, marks) for at, column in enumerate(shown)]
    return svg(WIDTH, _HEIGHT, title, told, *_grid(marks), *bars)


def _column(column: Column, x: float, step: float, marks: Sequence[float]) -> Markup:
    top, paint = _y(column.share, marks), f"var(--{column.colour})"
    title = element("title", f"{column.name}: {percent(column.share)}")
    bar = element("rect", title, x=x + 2, y=top, width=step - 4, height=_y(0.0, marks) - top, fill=paint, rx=1)
    return element("g", bar, _below(column.name, x + step / 2))


def _below(text: str, x: float) -> Markup:
    return words(text, x, _HEIGHT - 5, "soft", "middle")


def _marks(values: Iterator[float]) -> list[float]:
    return ticks(min(max(max(values, default=0.0), 0.01), 1.0), 3)


def _y(share: float, marks: Sequence[float]) -> float:
    return _HEIGHT - _FOOT - (_HEIGHT - _FOOT - _TOP) * share / marks[-1]


def _grid(marks: Sequence[float]) -> Iterator[Markup]:
    digits = 0 if all(round(mark * 100, 6) == round(mark * 100) for mark in marks) else 1
    for mark in marks:
        yield element("line", x1=_LEFT, x2=WIDTH, y1=_y(mark, marks), y2=_y(mark, marks), class_="rule")
        yield words(percent(mark, digits), _LEFT - 7, _y(mark, marks) + 4, "soft", "end")
