"""How a calibration looks: in a terminal, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from fivelevers.cli.tables import table
from fivelevers.levers.semantic_cache.calibration import Calibration, Point, Verdict

_DAY_S = 86_400.0
_WIDTH = 30
_SAYS = {
    Verdict.SERVE: "serves",
    Verdict.DO_NOT_SERVE: "does not serve: answers are wrong too often, and more judging would not help",
    Verdict.NEED_MORE: "does not serve yet: too few judged questions to prove it",
}


def calibration_tables(made: Calibration, route: str, *, kept: bool) -> RenderableType:
    """The curve, what was chosen of it, and what is missing."""
    shown = table("Semantic cache: what had been served, and how sure", "share", "hits", "wrong", "at most", "")
    top = max((point.upper for point in _drawn(made)), default=0.0)
    for point in _drawn(made):
        mark = "  <- served" if point == made.chosen else "  <- proven" if point == made.proven else ""
        bar = "#" * max(1, round(_WIDTH * point.upper / top))
        style = "green" if point.upper <= made.max_wrong else "red"
        row = (f"{point.share:.0%}", f"{point.hits:,}", f"{point.wrong:,}", f"{point.upper:.1%}")
        shown.add_row(*row, Text(bar + mark, style=style))
    parts: list[RenderableType] = [shown] if made.curve else []
    return Group(*parts, *(Text(note) for note in _notes(made, route, kept=kept)))


def _drawn(made: Calibration) -> list[Point]:
    """Every fifth share, and the two that matter; beyond three times the bound nobody looks."""
    return [
        point
        for point in made.curve
        if point in (made.chosen, made.proven)
        or (round(point.share * 100) % 5 == 0 and point.hits >= 30 and point.upper <= 3 * made.max_wrong)
    ]


def _notes(made: Calibration, route: str, *, kept: bool) -> Iterator[str]:
    yield f"{route} {_SAYS[made.verdict]}."
    days = (made.last_at - made.first_at) / _DAY_S
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (made.first_at, made.last_at))
    passed = f"{made.tested:,} of them judged and within the route's rules"
    when = f"asked from {first} to {last} UTC" if made.first_at else "from labelled pairs"
    yield f"{made.questions:,} questions, {passed}; {when}."
    if made.chosen is not None:
        chosen = made.chosen
        yield (
            f"Expected: {chosen.share:.0%} of new questions answered from the store, at most {chosen.upper:.1%} "
            f"of them wrongly (95 % confidence; {chosen.wrong} of {chosen.hits:,} were); allowed: {made.max_wrong:.1%}."
        )
        yield "at most: upper bound on the share of wrong hits. share: of questions that were not asked before."
    if made.needed is not None:
        rate = made.questions / days if days > 0 else 0.0
        when = f", about {made.needed / rate:.0f} days at this rate" if rate else ""
        yield f"Missing: {made.needed:,} more questions{when}."
    if not made.holds.prompts:
        yield "No look-up of this route is in the ledger: it serves nothing until one is (mode shadow or on)."
    yield "Kept: proxies follow within seconds." if kept else "Not kept (--dry-run)."


def calibration_svg(made: Calibration) -> str:
    """The bound over the share that is served, with what is allowed."""
    width, height, left, bottom = 640, 360, 60, 40
    points = [point for point in made.curve if point.hits >= 30]
    top = min(max([point.upper for point in points] + [2 * made.max_wrong]), 4 * made.max_wrong)

    def x(share: float) -> float:
        return left + share * (width - left - 20)

    def y(rate: float) -> float:
        return height - bottom - min(rate / top, 1) * (height - bottom - 20)

    bound = " ".join(f"{x(point.share):.1f},{y(point.upper):.1f}" for point in points)
    seen = " ".join(f"{x(point.share):.1f},{y(point.wrong / point.hits):.1f}" for point in points)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<line x1="{left}" y1="{y(0)}" x2="{x(1)}" y2="{y(0)}" stroke="black"/>',
        f'<line x1="{left}" y1="{y(0)}" x2="{left}" y2="20" stroke="black"/>',
        (
            f'<line x1="{left}" y1="{y(made.max_wrong)}" x2="{x(1)}" y2="{y(made.max_wrong)}" stroke="crimson" '
            'stroke-dasharray="4"/>'
        ),
        f'<text x="{x(1) - 120}" y="{y(made.max_wrong) - 6}" fill="crimson">allowed: {made.max_wrong:.1%}</text>',
        f'<polyline points="{bound}" fill="none" stroke="steelblue" stroke-width="2"/>',
        f'<polyline points="{seen}" fill="none" stroke="gray"/>',
        *(f'<text x="{x(at / 10) - 10}" y="{y(0) + 18}">{at * 10} %</text>' for at in range(0, 11, 2)),
        f'<text x="{left}" y="14">wrong hits: seen (gray), at most with 95 % confidence (blue)</text>',
        f'<text x="{x(0.4)}" y="{height - 6}">share of new questions served</text>',
    ]
    if made.chosen is not None:
        at = made.chosen
        lines.append(f'<circle cx="{x(at.share):.1f}" cy="{y(at.upper):.1f}" r="5" fill="seagreen"/>')
    return "\n".join([*lines, "</svg>", ""])
