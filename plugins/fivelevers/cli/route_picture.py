"""A route's cost and success as a picture in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from fivelevers.cli.route_tables import Mark, marks
from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.artifact import Artifact

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 760, 440, 64, 40, 56, 24
_LOOKS = {".": ("silver", 1.5), "+": ("steelblue", 2.5), "X": ("seagreen", 7.0), "O": ("goldenrod", 5.0)}
_MODEL = ("black", 5.0)


def picture_svg(artifact: Artifact) -> str:
    """Success over cost, as the terminal has it. Raises CalibrationError where the artifact keeps no overview."""
    if artifact.overview is None:
        raise CalibrationError("--picture: the artifact is of a release that kept no picture; fit or certify it anew")
    found = marks(artifact.overview.spots, artifact.certificate)
    right = max(mark.cost for mark in found) or 1.0
    low, high = min(mark.right for mark in found), max(mark.right for mark in found)
    frame = _Frame(right, low, (high - low) or 1.0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        "<title>Right answers over cost</title>",
        "<style>text { font: 12px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
        *_axes(frame),
        *(_dot(mark, frame) for mark in found),
        *_names(found, frame),
    ]
    return "\n".join([*lines, "</svg>", ""])


class _Frame:
    def __init__(self, right: float, low: float, span: float) -> None:
        self.right, self.low, self.span = right, low, span

    def x(self, cost: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * cost / self.right

    def y(self, right: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * (right - self.low) / self.span


def _axes(frame: _Frame) -> Iterator[str]:
    bottom, left = _HEIGHT - _BOTTOM + 8, _LEFT - 8
    yield f'<path d="M{left},{_TOP} V{bottom} H{_WIDTH - _RIGHT}" fill="none" stroke="black"/>'
    for step in range(5):
        right, cost = frame.low + frame.span * step / 4, frame.right * step / 4
        yield f'<text x="{left - 4}" y="{frame.y(right) + 4:.1f}" text-anchor="end">{right:.1%}</text>'
        yield f'<text x="{frame.x(cost):.1f}" y="{bottom + 18}" text-anchor="middle">{cost:.0%}</text>'
    yield f'<text x="{left}" y="16">right answers; + blue: policies that were tried, gray: mixes by chance</text>'
    yield f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">cost, of the strong model alone</text>'


def _dot(mark: Mark, frame: _Frame) -> str:
    colour, radius = _LOOKS.get(mark.letter, _MODEL)
    return f'<circle cx="{frame.x(mark.cost):.1f}" cy="{frame.y(mark.right):.1f}" r="{radius}" fill="{colour}"/>'


def _names(found: Sequence[Mark], frame: _Frame) -> Iterator[str]:
    """Beside their points, on the side where there is room."""
    for mark in found:
        if mark.name:
            x, y = frame.x(mark.cost), frame.y(mark.right)
            end = x > _WIDTH - 160
            place = f'x="{x + (-10 if end else 10):.1f}" y="{y + 16:.1f}"' + (' text-anchor="end"' if end else "")
            yield f"<text {place}>{escape(mark.name)}</text>"
