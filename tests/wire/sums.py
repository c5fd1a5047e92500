"""Sums for the simulated models, and whether an answer has the right one."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fivelevers.output import Output


def write(path: Path, count: int, seed: int) -> Path:
    """Prompts as `fivelevers route benchmark` reads them; four products are hard, two terms are easy. No two of them
    are near-duplicates: those differ in more than numbers.
    """
    rng, lines = random.Random(seed), []
    for _ in range(count):
        a, b, c = (rng.randint(12, 97) for _ in range(3))
        hard = rng.random() < 0.5
        long = f"{a} * {b} + {b} * {c} - {a} * {c} + {a} * {a}", a * b + b * c - a * c + a * a
        text, sum_ = long if hard else (f"{a} + {b}", a + b)
        note = " ".join("".join(rng.choices("bdfgklmnprstaeiou", k=6)) for _ in range(12))
        route = "hard" if hard else "easy"
        lines.append(json.dumps({"prompt": f"Note: {note}.\n\nWhat is {text}?", "sum": sum_, "route": route}))
    path.write_text("\n".join(lines) + "\n")
    return path


def right(output: Output, line: Mapping[str, Any]) -> bool:
    return str(line["sum"]) in re.findall(r"\d+", output.text.replace(",", ""))
