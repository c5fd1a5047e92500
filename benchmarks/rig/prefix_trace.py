"""Traces of prompts as a gateway sees them arrive: which prefixes each one has in common with earlier ones, and when.

Two formats, told apart by their first line:

- Claude Code sessions (kv-cache-tester): block ids of 64 tokens, run-length coded, per session; sizes of tools and
  system prompt. Sub-agents are left out. Sessions share nothing, and begin at random: exponential gaps from a seed.
- Mooncake: chained hashes of 512-token blocks, one stream.

Neither says where content blocks end. A place where an entry may end is the last whole block of a request, the end of
tools or system where known, and any place where two requests so far were seen to part; nobody is told of it earlier.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fivelevers.levers.prompt_cache.prefix import Position, Section

START_EVERY_S = 300.0
EPOCH_S = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request. ``split``: index of a place that became known by this request's parting from another there.

    ``shared``: tokens in common with any earlier request.
    """

    at: float
    tokens: int
    positions: tuple[Position, ...]
    shared: int
    split: int | None = None

    @property
    def head(self) -> int | None:
        """Index of the end of the system prompt, or of the tools."""
        ends = [at for at, position in enumerate(self.positions) if position.section is not Section.MESSAGES]
        return ends[-1] if ends else None


class _Tree:
    """The prompts of one scope. Blocks are numbered in the order in which they were first seen."""

    def __init__(self, scope: int, block_tokens: int) -> None:
        self._scope, self._block_tokens = scope, block_tokens
        self._places: list[int] = []  # numbers of blocks at whose ends an entry may end, ascending
        self._newest = -1

    def arrival(self, at: float, tokens: int, runs: list[tuple[int, int]], heads: Mapping[int, Section]) -> Arrival:
        """``runs``: first and last number of each run of blocks. ``heads``: sections by the blocks that they end at."""
        shared, last = self._known(runs)
        split = last if shared and last not in self._places_at(last) else None
        if split is not None:
            insort(self._places, split)
        total = sum(end - first + 1 for first, end in runs)
        for depth in (*heads, total):
            if 0 < depth <= total and (block := _block_at(runs, depth)) not in self._places_at(block):
                insort(self._places, block)
        self._newest = max(self._newest, *(end for _, end in runs)) if runs else self._newest
        places = [(block, depth) for block, depth in self._on(runs)]
        positions = tuple(
            Position(self._node(block), depth * self._block_tokens, heads.get(depth, Section.MESSAGES), place)
            for place, (block, depth) in enumerate(places, 1)
        )
        parted = next((place for place, (block, _) in enumerate(places) if block == split), None)
        return Arrival(EPOCH_S + at, tokens, positions, shared * self._block_tokens, parted)

    def _known(self, runs: list[tuple[int, int]]) -> tuple[int, int]:
        """How many leading blocks an earlier prompt had too, and the last of them."""
        shared, last = 0, -1
        for first, end in runs:
            known = min(end, self._newest)
            if first <= known:
                shared, last = shared + known - first + 1, known
            if known < end:
                break
        return shared, last

    def _places_at(self, block: int) -> list[int]:
        at = bisect_left(self._places, block)
        return self._places[at : at + 1]

    def _on(self, runs: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        depth = 0
        for first, end in runs:
            at = bisect_left(self._places, first)
            while at < len(self._places) and self._places[at] <= end:
                yield self._places[at], depth + self._places[at] - first + 1
                at += 1
            depth += end - first + 1

    def _node(self, block: int) -> bytes:
        return self._scope.to_bytes(4, "big") + block.to_bytes(4, "big")


def _block_at(runs: list[tuple[int, int]], depth: int) -> int:
    for first, end in runs:
        if depth <= end - first + 1:
            return first + depth - 1
        depth -= end - first + 1
    raise ValueError("the prompt ends before that")


def load(file: Path, part: str, seed: int) -> list[Arrival]:
    """A trace in order of arrival. ``part``: ``all``, or ``a`` or ``b``: sessions by the hash of their name."""
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    if not rows or not isinstance(rows[0], dict):
        raise ValueError(f"{file}: not a trace: no line with an object")
    if "hash_ids" in rows[0]:
        if part != "all":
            raise ValueError(f"{file}: one stream has no sessions to take a part of; use --part all")
        return _mooncake(rows)
    if "r" in rows[0]:
        return _claude_code([row for row in rows if part in ("all", _part(row["id"]))], seed)
    raise ValueError(f"{file}: neither Claude Code sessions (key r) nor Mooncake (key hash_ids)")


def _part(name: str) -> str:
    return "ab"[sha256(name.encode()).digest()[0] & 1]


def _mooncake(rows: Iterable[dict[str, Any]]) -> list[Arrival]:
    tree, arrivals = _Tree(0, 512), []
    for row in rows:
        whole = row["hash_ids"][: row["input_length"] // 512]
        arrivals.append(tree.arrival(row["timestamp"] / 1000, row["input_length"], [(id_, id_) for id_ in whole], {}))
    return arrivals


def _claude_code(sessions: Iterable[dict[str, Any]], seed: int) -> list[Arrival]:
    rng, start_s, trees = random.Random(seed), 0.0, 0
    arrivals: list[Arrival] = []
    for session in sessions:
        start_s += rng.expovariate(1 / START_EVERY_S)
        by_model: dict[str, _Tree] = {}
        heads = {session["tool"] // 64: Section.TOOLS, (session["tool"] + session["sys"]) // 64: Section.SYSTEM}
        for row in session["r"]:
            if isinstance(row, list):
                at_s, model, tokens, runs = row[0], row[1], row[2], row[6]
                if model not in by_model:
                    by_model[model] = _Tree(trees, 64)
                    trees += 1
                runs = [(first, end) for first, end in runs]
                arrivals.append(by_model[model].arrival(start_s + at_s, tokens, runs, heads))
    return sorted(arrivals, key=lambda arrival: arrival.at)
