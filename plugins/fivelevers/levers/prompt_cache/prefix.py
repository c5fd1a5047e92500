"""The prefixes of a request: every place where a cache entry may end, named by the hash of all that comes before it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from fivelevers.request import Request, SegmentKind

NODE_BYTES = 8


class Section(StrEnum):
    """The parts of a prompt in the order in which they are cached."""

    TOOLS = "tools"
    SYSTEM = "system"
    MESSAGES = "messages"


class Position(NamedTuple):  # hundreds of them in a request: a tuple is made in a third of a dataclass's time
    """The end of one segment.

    ``node``: chained hash of the scope and everything up to here, 8 bytes; equal prefixes have equal nodes. ``tokens``:
    estimated prompt tokens up to here, this segment included. ``block``: content blocks up to here. ``mark_s``: TTL of
    the client's own mark, or None. ``markable``: whether the provider takes a mark here. ``segment``: index in
    ``Request.segments``.
    """

    node: bytes
    tokens: int
    section: Section
    block: int
    mark_s: int | None = None
    markable: bool = True
    segment: int = 0


_SECTIONS = {
    SegmentKind.TOOL: Section.TOOLS,
    SegmentKind.SYSTEM: Section.SYSTEM,
    SegmentKind.MESSAGE: Section.MESSAGES,
}
_ORDER = (Section.TOOLS, Section.SYSTEM, Section.MESSAGES)
_UNIT_S = {"s": 1, "m": 60, "h": 3600}
_DEFAULT_TTL_S = 300


def prefix_of(
    request: Request,
    scope: bytes,
    tokens_per_char: float,
    *,
    takes: Sequence[bool] | None = None,
    system_first: bool = True,
) -> tuple[Position, ...]:
    """The request's positions in the order in which the provider caches them.

    ``scope``: what never shares an entry with another: workspace, deployment, model. ``tokens_per_char``: the tokenizer
    as learned from reported usage. ``takes``: for each segment, whether a mark can be put on it; None: on all.
    ``system_first``: system messages within the conversation are moved to its front, as Anthropic's API needs it.
    """
    rows = list(enumerate(request.segments))
    if system_first and not _in_order(request):
        rows = [row for kind in _SECTIONS for row in rows if row[1].kind is kind]
    states = dict(zip(_ORDER, (b"", request.system_state, request.message_state), strict=True))
    chain, chars = sha256(scope).digest(), 0
    kind: SegmentKind | None = None
    here = Section.TOOLS
    positions = []
    for block, (at, segment) in enumerate(rows, 1):
        if segment.kind is not kind:  # members of an enum are slow to look up, so only where they change
            passed = _passed(states, here if kind else None, _SECTIONS[segment.kind])
            kind, here = segment.kind, _SECTIONS[segment.kind]
            chain = sha256(chain + b"".join(passed)).digest()
        chain = sha256(chain + segment.digest).digest()
        chars += segment.chars
        mark_s = None if segment.mark is None else ttl_s(segment.mark)
        node, tokens = chain[:NODE_BYTES], int(chars * tokens_per_char)
        positions.append(Position(node, tokens, here, block, mark_s, takes is None or takes[at], at))
    return tuple(positions)


def _in_order(request: Request) -> bool:
    """Whether nothing but messages comes after the first message, as in most requests."""
    kinds = [segment.kind for segment in request.segments]
    if SegmentKind.MESSAGE not in kinds:
        return True
    after = kinds[kinds.index(SegmentKind.MESSAGE) :]
    return len(after) == after.count(SegmentKind.MESSAGE)


def ttl_s(mark: str) -> int:
    """Seconds of a mark's TTL such as ``5m`` or ``1h``; five minutes where it can not be read."""
    unit, count = _UNIT_S.get(mark[-1:], 0), mark[:-1]
    return int(count) * unit if unit and count.isascii() and count.isdigit() else _DEFAULT_TTL_S


def _passed(states: dict[Section, bytes], before: Section | None, here: Section) -> list[bytes]:
    """The states of the sections that begin between two segments: what invalidates a section is part of its prefix."""
    first = 0 if before is None else _ORDER.index(before) + 1
    return [states[section] for section in _ORDER[first : _ORDER.index(here) + 1]]
