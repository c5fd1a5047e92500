"""Writes workloads/ and transcripts/ from material/: `python -m examples.traffic.build`.

The outcome depends on the seed and the material alone; a test compares it with what stands in the tree.
"""

import json
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from examples.traffic.builders import coding_agent, handbook, support, tickets
from examples.traffic.builders.lines import Line
from examples.traffic.references import HERE

SEED = 20_261_012
BUILDERS: dict[str, Callable[[random.Random], list[Line]]] = {
    "support": support.build,
    "handbook": handbook.build,
    "coding_agent": coding_agent.build,
    "tickets": tickets.build,
}


def files(seed: int = SEED) -> Iterator[tuple[str, str]]:
    """(path beside this file, content) of every file."""
    for name, build in BUILDERS.items():
        rows = sorted(build(random.Random(f"{seed}/{name}")), key=lambda row: row["at"])
        yield f"workloads/{name}.jsonl", _jsonl(rows)
    for name, messages in coding_agent.transcripts().items():
        yield f"transcripts/{name}.jsonl", _jsonl(messages)


def _jsonl(rows: Iterable[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(folder: Path = HERE) -> None:
    for path, content in files():
        target = folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(content, encoding="utf-8")
        print(f"{path}: {content.count(chr(10))} lines, {len(content.encode()) / 1000:.0f} kB")


if __name__ == "__main__":
    write()
