"""What the small model is asked: a word again, after five examples, and sums; and whether an answer is right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fivelevers.output import Output

WORDS = """
lantern river copper meadow violin harbor saddle pepper window candle orchard hammer blanket feather
market thunder garden pencil ladder mirror basket rocket tunnel whistle anchor barrel cactus dragon
engine forest helmet island jacket kettle lemon magnet napkin oyster pillow ribbon spider turtle valley
walnut zipper bridge castle desert falcon guitar hunter insect jungle kitten lizard monkey needle orange
parrot rabbit sailor temple urchin velvet winter yellow
"""
SAID = [(f"Repeat: {word}", word) for word in ("dog", "house", "apple", "chair", "stone")]
SUMS = [(f"{a} + {b}", str(a + b)) for a, b in ((1, 1), (2, 2), (5, 3), (4, 1), (6, 2))]


def _turns(examples: Sequence[tuple[str, str]], last: str) -> list[dict[str, str]]:
    said = [({"role": "user", "content": one}, {"role": "assistant", "content": other}) for one, other in examples]
    return [*(turn for pair in said for turn in pair), {"role": "user", "content": last}]


def _rows() -> Iterator[dict[str, Any]]:
    for word in WORDS.split():
        yield {"messages": _turns(SAID, f"Repeat: {word}"), "answer": word, "route": "repeat"}
    for a in range(1, 10):
        for b in (1, 2):
            yield {"messages": _turns(SUMS, f"{a} + {b}"), "answer": str(a + b), "route": "sum"}


def write(path: Path) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in _rows()))
    return path


def right(output: Output, line: Mapping[str, Any]) -> bool:
    return re.search(rf"\b{line['answer']}\b", output.text) is not None
