"""From what it had cost to what it cost, one step for each lever in its order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fivelevers.pages.markup import Markup, element
from fivelevers.pages.numbers import dollars, on_axis, signed, ticks
from fivelevers.pages.parts import Draw, svg, words

_ROW, _BAR, _TEXT, _FOOT = 42.0, 14.0, 14.0, 26.0


@dataclass(frozen=True, slots=True)
class Step:
    """One lever. ``sure``: USD that it took off by the bill; ``likely``: what it took off by estimate. Negative: it
    cost more. ``told`` stands beside it; empty: their sum."""

    name: str
    colour: str
    sure: float
    likely: float = 0.0
    told: str = ""


def waterfall(title: str, before: tuple[str, float], steps: Sequence[Step], after: tuple[str, float]) -> Draw:
    """``before`` and ``after``: what the ends are called, and USD. The steps lead from one to the other."""
    told = f"{before[0]} {dollars(before[1])}; " + "; ".join(_in_words(step) for step in steps)
    told += f"; {after[0]} {dollars(after[1])}."
    highest = max(before[1], after[1], *_levels(before[1], steps))

    def draw(width: float) -> Markup:
        marks = ticks(highest, 5 if width > 500 else 3)
        scale = (width - 2) / (marks[-1] or 1.0)
        height = _ROW * (len(steps) + 2) + _FOOT
        rows = [_whole(*before, 0, scale), *_rows(before[1], steps, scale), _whole(*after, len(steps) + 1, scale)]
        values = _values(before, steps, after, width)
        return svg(width, height, title, told, *_grid(marks, scale, height), *rows, *values)

    return draw


def _levels(start: float, steps: Sequence[Step]) -> Iterator[float]:
    for step in steps:
        for part in (step.sure, step.likely):
            start -= part
            yield start


def _in_words(step: Step) -> str:
    return f"{step.name} {signed(-(step.sure + step.likely))}" if step.sure or step.likely else f"{step.name}: nothing"


def _grid(marks: Sequence[float], scale: float, height: float) -> Iterator[Markup]:
    for at, amount in enumerate(marks):
        x, last = amount * scale + 1, at == len(marks) - 1
        yield element("line", x1=x, x2=x, y1=0.0, y2=height - _FOOT + 4, class_="rule")
        anchor = "start" if at == 0 else "end" if last else "middle"
        yield words(on_axis(amount, marks[1] - marks[0]), x, height - 6, "soft", anchor)


def _whole(name: str, amount: float, row: int, scale: float) -> Markup:
    return element("g", words(name, 1, row * _ROW + _TEXT, "strong"), _bar(0.0, amount, row, scale, "cost", sure=True))


def _rows(level: float, steps: Sequence[Step], scale: float) -> Iterator[Markup]:
    for at, step in enumerate(steps, start=1):
        x = level * scale + 1
        joined = [element("line", x1=x, x2=x, y1=at * _ROW - _ROW + 20, y2=at * _ROW + 20 + _BAR, class_="join")]
        for part, sure in ((step.sure, True), (step.likely, False)):
            if part:
                joined.append(_bar(level - part, level, at, scale, step.colour, sure=sure))
            level -= part
        quiet = "" if step.sure or step.likely else "soft"
        yield element("g", *joined, words(step.name, 1, at * _ROW + _TEXT, quiet))


def _values(
    before: tuple[str, float], steps: Sequence[Step], after: tuple[str, float], width: float
) -> Iterator[Markup]:
    texts = [dollars(before[1]), *(_beside(step) for step in steps), dollars(after[1])]
    for row, text in enumerate(texts):
        strong = "strong" if row in (0, len(texts) - 1) else ""
        yield words(text, width, row * _ROW + _TEXT, strong, "end")


def _beside(step: Step) -> str:
    return step.told or (signed(-(step.sure + step.likely)) if step.sure or step.likely else "nothing")


def _bar(low: float, high: float, row: int, scale: float, colour: str, *, sure: bool) -> Markup:
    left, right = sorted((low * scale + 1, high * scale + 1))
    paint = {"fill": f"var(--{colour})"}
    if not sure:
        paint |= {"fill_opacity": "0.25", "stroke": f"var(--{colour})", "stroke_width": "1.2"}
    title = element("title", f"{dollars(abs(high - low))}{'' if sure else ' (estimated)'}")
    return element("rect", title, x=left, y=row * _ROW + 20, width=max(right - left, 1.5), height=_BAR, rx=2, **paint)
