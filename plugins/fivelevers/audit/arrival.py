"""Calls in the order in which they were sent, in bounded memory: sorted by parts, the parts on disk, then merged."""

from __future__ import annotations

import heapq
import pickle
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from operator import attrgetter
from tempfile import TemporaryFile
from typing import IO

from fivelevers.audit.calls import LoggedCall

_SEGMENTS_AT_ONCE = 500_000  # about 150 MB
_SEGMENT_CHARS = 200  # text that takes as much memory as a segment
_CALLS_TOGETHER = 64  # written as one: what they share, such as a system prompt, is written once

_sent = attrgetter("at")


def in_order(calls: Iterable[LoggedCall], segments_at_once: int = _SEGMENTS_AT_ONCE) -> Iterator[LoggedCall]:
    """The same calls by time; equal times in the order in which they came.

    The files are without a name from the start: nothing of them is left, however this ends.
    """
    with ExitStack() as files:
        parts: list[Iterable[LoggedCall]] = []
        held: list[LoggedCall] = []
        weight = 0
        for call in calls:
            held.append(call)
            weight += _weight(call)
            if weight >= segments_at_once:
                parts.append(_read(_written(sorted(held, key=_sent), files)))
                held, weight = [], 0
        held.sort(key=_sent)
        yield from heapq.merge(*parts, held, key=_sent) if parts else held


def _weight(call: LoggedCall) -> int:
    segments = len(call.request.segments) if call.request else 0
    question = call.asked.question if call.asked else None
    chars = (call.opening.chars if call.opening else 0) + (len(question.text) if question else 0)
    return (6 if call.asked else 4) + segments + chars // _SEGMENT_CHARS


def _written(calls: list[LoggedCall], files: ExitStack) -> IO[bytes]:
    file = files.enter_context(TemporaryFile())  # noqa: SIM115  # the stack closes it
    for at in range(0, len(calls), _CALLS_TOGETHER):
        pickle.dump(calls[at : at + _CALLS_TOGETHER], file, pickle.HIGHEST_PROTOCOL)
    file.seek(0)
    return file


def _read(file: IO[bytes]) -> Iterator[LoggedCall]:
    while True:
        try:
            yield from pickle.load(file)  # noqa: S301  # our own, a moment ago, in a file that nobody else can open
        except EOFError:
            return
