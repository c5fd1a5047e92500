"""Numbers by day: a line with its band, or columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fivelevers.pages.markup import Markup, element
from fivelevers.pages.numbers import DAY_S, day, dollars, hour, on_axis, ticks
from fivelevers.pages.parts import Draw, svg, words

_LEFT, _FOOT, _TOP = 52.0, 22.0, 8.0
LINE_WIDTH, _LINE_HEIGHT = 440.0, 150.0


@dataclass(frozen=True, slots=True)
class Point:
    """A value (USD) from ``at`` on (seconds since the epoch), with its 95 % interval where it has one."""

    at: float
    usd: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a picture shows, in steps of ``step_s``; both ends begin a step."""

    first: float
    last: float
    step_s: float = DAY_S

    def x(self, at: float, width: float) -> float:
        """Where the middle of a step stands."""
        steps = (self.last - self.first) / self.step_s + 1
        return _LEFT + (width - _LEFT) * ((at - self.first) / self.step_s + 0.5) / steps

    def label(self, at: float) -> str:
        """The step's day, or its hour."""
        return day(at) if self.step_s >= DAY_S else hour(at)

    def x_step(self, width: float) -> float:
        return (width - _LEFT) / ((self.last - self.first) / self.step_s + 1)


def line(title: str, points: Sequence[Point], span: Span, colour: str) -> Markup:
    """A gap where a step has no value: nothing is drawn through what is not known."""
    width, height = LINE_WIDTH, _LINE_HEIGHT
    marks = ticks(max((point.usd if point.high is None else point.high for point in points), default=0.0), 3)
    y = _y(marks, height)
    runs = [run for run in _runs(points, span.step_s) if len(run) > 1]
    bands = [_band(run, span, y, colour) for run in runs if all(point.low is not None for point in run)]
    lines = [_polyline(run, span, y, colour) for run in runs]
    dots = [_dot(point, span, y, colour, alone=len(points) < 40) for point in points]
    told = "; ".join(
        f"{span.label(point.at)}: {_with_interval(point)}" for point in points[:: max(len(points) // 12, 1)]
    )
    frame = (*_grid(marks, y, width), *_days(span, width, height))
    return svg(width, height, title, told or "No value is known.", *frame, *bands, *lines, *dots)


def columns(title: str, before: Sequence[Point], after: Sequence[Point], span: Span) -> Draw:
    """What each step cost, in front of what it had cost without us."""
    told = "; ".join(f"{span.label(one.at)}: {dollars(one.usd)}" for one in after[:: max(len(after) // 16, 1)])
    marks = ticks(max((point.usd for point in (*before, *after)), default=0.0))

    def draw(width: float) -> Markup:
        height = 210.0
        y = _y(marks, height)
        bars = [_column(point, span, y, width, colour) for colour, some in _painted(before, after) for point in some]
        return svg(width, height, title, told, *_grid(marks, y, width), *bars, *_days(span, width, height))

    return draw


def _painted(before: Sequence[Point], after: Sequence[Point]) -> tuple[tuple[str, Sequence[Point]], ...]:
    return ("ghost", before), ("cost", after)


def _y(marks: Sequence[float], height: float) -> Callable[[float], float]:
    return lambda usd: height - _FOOT - (height - _FOOT - _TOP) * usd / (marks[-1] or 1.0)


def _grid(marks: Sequence[float], y: Callable[[float], float], width: float) -> Iterator[Markup]:
    for amount in marks:
        yield element("line", x1=_LEFT, x2=width, y1=y(amount), y2=y(amount), class_="rule")
        yield words(on_axis(amount, marks[1] - marks[0]), _LEFT - 7, y(amount) + 4, "soft", "end")


def _days(span: Span, width: float, height: float) -> Iterator[Markup]:
    """The first and the last step, and as many between them as there is room for."""
    steps = round((span.last - span.first) / span.step_s)
    every = next(n for n in (1, 2, 3, 7, 14, 28, 91, 364, steps + 1) if n * span.x_step(width) >= 58 or n > steps)
    for at in range(0, steps + 1, every):
        moment = span.first + at * span.step_s
        yield words(span.label(moment), span.x(moment, width), height - 4, "soft", "middle")


def _runs(points: Sequence[Point], step_s: float) -> Iterator[list[Point]]:
    run: list[Point] = []
    for point in points:
        if run and point.at - run[-1].at > step_s * 1.5:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _band(run: Sequence[Point], span: Span, y: Callable[[float], float], colour: str) -> Markup:
    there = [(span.x(p.at, LINE_WIDTH), y(p.high or 0.0)) for p in run]
    back = [(span.x(p.at, LINE_WIDTH), y(p.low or 0.0)) for p in reversed(run)]
    path = "M" + "L".join(f"{x:.1f},{height:.1f}" for x, height in (*there, *back)) + "Z"
    return element("path", d=path, fill=f"var(--{colour})", fill_opacity="0.16")


def _polyline(run: Sequence[Point], span: Span, y: Callable[[float], float], colour: str) -> Markup:
    where = " ".join(f"{span.x(p.at, LINE_WIDTH):.1f},{y(p.usd):.1f}" for p in run)
    return element("polyline", points=where, fill="none", stroke=f"var(--{colour})", stroke_width=2)


def _dot(point: Point, span: Span, y: Callable[[float], float], colour: str, *, alone: bool) -> Markup:
    """A mark to point at; with a whisker where there is no band around it."""
    x, title = span.x(point.at, LINE_WIDTH), element("title", f"{span.label(point.at)}: {_with_interval(point)}")
    paint = f"var(--{colour})"
    dot = element("circle", title, cx=x, cy=y(point.usd), r=2.6 if alone else 1.5, fill=paint)
    if point.low is None or point.high is None:
        return dot
    whisker = element("line", x1=x, x2=x, y1=y(point.low), y2=y(point.high), stroke=paint, stroke_opacity="0.35")
    return element("g", whisker, dot)


def _with_interval(point: Point) -> str:
    text = dollars(point.usd)
    return (
        text if point.low is None or point.high is None else f"{text} ({dollars(point.low)} to {dollars(point.high)})"
    )


def _column(point: Point, span: Span, y: Callable[[float], float], width: float, colour: str) -> Markup:
    wide = min(span.x_step(width) * 0.72, 40.0)
    title = element("title", f"{span.label(point.at)}: {dollars(point.usd)}")
    left, top = span.x(point.at, width) - wide / 2, y(point.usd)
    return element("rect", title, x=left, y=top, width=wide, height=y(0.0) - top, fill=f"var(--{colour})", rx=1)


def span_of(days: Sequence[float], step_s: float) -> Span:
    return Span(min(days), max(days), step_s)
