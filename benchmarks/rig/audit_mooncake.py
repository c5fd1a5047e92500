"""The Mooncake conversation trace as a log to audit: each block of 512 tokens a part of the prompt.

The trace names blocks by hashes and has no text, so a block's text is made up from its name; it is as long as its
tokens need for the prompt to count as whole.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from fivelevers.audit.calls import Account
from fivelevers.audit.prompt_cache import PromptCacheAudit
from fivelevers.audit.read import read
from fivelevers.prices import PriceBook, find_litellm_map

PUBLISHED = 0.398
"""Of the trace's second half, by llmtrafficlens 0.13; of all of it 37.4 %, by its version 0.6."""

_BLOCK, _CHARS = 512, 256
_MODEL, _START = "claude-sonnet-4-5", 1_790_000_000.0


def ceiling(trace: Path) -> float:
    """Share of the prompt tokens of the second half that the audit finds at the start of an earlier prompt."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        count = _write(trace, log)
        audit = PromptCacheAudit(PriceBook.from_litellm_map(find_litellm_map()))
        half = (0, 0)
        for number, call in enumerate(read(str(log), Account())):
            if number == count // 2:
                half = _sums(audit)
            audit.see(call, call.alias)
    shared, tokens = (end - start for start, end in zip(half, _sums(audit), strict=True))
    return shared / tokens


def _sums(audit: PromptCacheAudit) -> tuple[int, int]:
    """Reusable prompt tokens so far, and all."""
    told = [line.projected for line in audit.lines()]
    return sum(one.reusable for one in told), sum(one.prompt for one in told)


def _write(trace: Path, log: Path) -> int:
    with trace.open("rb") as lines, log.open("wb") as file:
        return sum(1 for row in map(json.loads, lines) if file.write(orjson.dumps(_row(row)) + b"\n"))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    parts = [{"type": "text", "text": text} for text in _blocks(row["hash_ids"], row["input_length"])]
    return {
        "timestamp": _START + row["timestamp"] / 1000,
        "request": {"model": _MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": parts}]},
        "response": {
            "model": _MODEL,
            "content": [],
            "usage": {"input_tokens": row["input_length"], "output_tokens": row["output_length"]},
        },
    }


def _blocks(names: list[int], tokens: int) -> Iterator[str]:
    for at, name in enumerate(names):
        here = min(tokens - at * _BLOCK, _BLOCK)
        yield (f"{name:08x}" * (_CHARS // 8))[: max(here * _CHARS // _BLOCK, 1)]
