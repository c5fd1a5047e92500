"""Calls in the order in which they were sent, in bounded memory: sorted by runs, the runs on disk, then merged.

The files are without a name from the start: nothing of them is left, however this ends.
"""

from __future__ import annotations

import copyreg
import heapq
import io
import os
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from tempfile import TemporaryFile
from typing import IO, Any

from fivelevers.audit.asked import Asked
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.manner import Manner
from fivelevers.levers.prompt_cache.opening import Opening
from fivelevers.levers.semantic_cache.question import Question
from fivelevers.policy import Caller
from fivelevers.prices import Usage
from fivelevers.request import Request, Segment

SEGMENTS_AT_ONCE = 500_000  # about 150 MB
_SEGMENT_CHARS = 200  # text that takes as much memory as a segment
_CALLS_TOGETHER = 64  # written as one: what they share, such as a system prompt, is written once
_BUFFER = 2**18

_sent = attrgetter("at")


@dataclass(frozen=True, slots=True)
class Run:
    """Calls by time, as they stand in a file between two of its bytes."""

    start: int
    end: int


def in_order(calls: Iterable[LoggedCall], segments_at_once: int = SEGMENTS_AT_ONCE) -> Iterator[LoggedCall]:
    """The same calls by time; equal times in the order in which they came. What fits is never written."""
    with TemporaryFile() as file:
        runs: list[Run] = []
        last: list[LoggedCall] = []
        for held in _held(calls, segments_at_once):
            if last:
                runs.append(_written(last, file))
            last = held
        yield from merged([*(stored(file, run) for run in runs), last])


def write_runs(calls: Iterable[LoggedCall], file: IO[bytes], segments_at_once: int = SEGMENTS_AT_ONCE) -> list[Run]:
    """All calls, written to the end of ``file``."""
    return [_written(held, file) for held in _held(calls, segments_at_once)]


def stored(file: IO[bytes], run: Run) -> Iterator[LoggedCall]:
    """The calls of one run; others of the same file may be read beside it."""
    with io.BufferedReader(_Span(file.fileno(), run), _BUFFER) as span:
        while span.peek(1):
            yield from pickle.load(span)  # noqa: S301  # our own, a moment ago, in a file that nobody else can open


def merged(runs: Iterable[Iterable[LoggedCall]]) -> Iterator[LoggedCall]:
    """The calls of all runs by time."""
    return heapq.merge(*runs, key=_sent)


def _held(calls: Iterable[LoggedCall], segments_at_once: int) -> Iterator[list[LoggedCall]]:
    """Calls by time, as many as fit into memory at once."""
    held: list[LoggedCall] = []
    weight = 0
    for call in calls:
        held.append(call)
        weight += _weight(call)
        if weight >= segments_at_once:
            yield sorted(held, key=_sent)
            held, weight = [], 0
    if held:
        yield sorted(held, key=_sent)


def _weight(call: LoggedCall) -> int:
    segments = len(call.request.segments) if call.request else 0
    question = call.asked.question if call.asked else None
    chars = (call.opening.chars if call.opening else 0) + (len(question.text) if question else 0)
    return (6 if call.asked else 4) + segments + chars // _SEGMENT_CHARS


def _written(calls: list[LoggedCall], file: IO[bytes]) -> Run:
    start = file.tell()
    for at in range(0, len(calls), _CALLS_TOGETHER):
        pickler = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL)
        pickler.dispatch_table = _PLAINLY
        pickler.dump(calls[at : at + _CALLS_TOGETHER])
    file.flush()
    return Run(start, file.tell())


class _Span(io.RawIOBase):
    """Part of a file, read by position: neither moves what others read of it."""

    def __init__(self, descriptor: int, run: Run) -> None:
        self._descriptor, self._at, self._end = descriptor, run.start, run.end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = os.pread(self._descriptor, min(len(buffer), self._end - self._at), self._at)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _reduced(cls: type, values: attrgetter[Any], one: object) -> tuple[type, Any]:
    return cls, values(one)


# A dataclass's own way, field by field through a list of them, takes three times as long.
_PLAINLY = copyreg.dispatch_table | {
    cls: partial(_reduced, cls, attrgetter(*(field.name for field in fields(cls))))
    for cls in (LoggedCall, Request, Segment, Opening, Asked, Question, Usage, Caller, Manner)
}
