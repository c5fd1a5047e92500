"""Look-alike pairs: how many of each kind would be served at one cosine with every guard on."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.rig.answer_stream import embedded
from fivelevers.levers.semantic_cache.guards import Guard, refusals
from fivelevers.levers.semantic_cache.signature import signature_of

MIN_SIMILARITY = 0.9


async def served(path: Path) -> dict[str, float]:
    """Kind -> share of its pairs that are served; without a kind in the file, "same" and "different". Raises
    ValueError."""
    pairs = [_pair(line, f"{path}:{number}") for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)]
    vectors = await embedded([text for one, other, _ in pairs for text in (one, other)])
    by_kind: defaultdict[str, list[bool]] = defaultdict(list)
    for (one, other, kind), a, b in zip(pairs, vectors[::2], vectors[1::2], strict=True):
        near = sum(x * y for x, y in zip(a, b, strict=True)) >= MIN_SIMILARITY
        by_kind[kind].append(near and not refusals(signature_of(one), signature_of(other), frozenset(Guard)))
    return {kind: round(sum(were) / len(were), 4) for kind, were in by_kind.items()}


def _pair(line: str, place: str) -> tuple[str, str, str]:
    row: Any = json.loads(line)
    try:
        return str(row["a"]), str(row["b"]), str(row.get("kind") or ("same" if row["same"] else "different"))
    except (KeyError, TypeError) as error:
        raise ValueError(f'{place}: {line[:60]!r} is no {{"a": ..., "b": ..., "same": ...}}') from error
