"""Public files of prompts that several models answered, as labelled examples."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from fivelevers.levers.routing.examples import Examples, Rows
from fivelevers.levers.routing.features import features_of

CHARS_PER_TOKEN = 4
USD_PER_MILLION = {
    "mixtral-8x7b": (0.24, 0.24),  # RouteLLM's, as the next
    "gpt-4-1106": (24.7, 24.7),
    "gemini-1.5-flash-002": (0.075, 0.30),
    "gemini-1.5-pro-002": (1.25, 5.0),
    "Meta-Llama-3_1-8B-Instruct": (0.18, 0.18),
    "Meta-Llama-3_1-70B-Instruct": (0.88, 0.88),
}
"""Input and output."""

Prices = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """``splits``: the file's own part of each row, if it has any. ``left_out``: rows that a model did not answer, or
    that models had seen in training.
    """

    name: str
    texts: Sequence[str]
    examples: Examples
    splits: Sequence[str]
    left_out: int

    def take(self, rows: Rows) -> Labelled:
        texts, splits = [self.texts[at] for at in rows], [self.splits[at] for at in rows]
        return Labelled(self.name, texts, self.examples.take(rows), splits, self.left_out)


def load(path: Path, models: Sequence[str], prices: Prices) -> Labelled:
    """Rows that all ``models`` answered; without models, all of the first row's. Raises ValueError, OSError."""
    rows = _rows(path)
    models = tuple(models or sorted(_right(rows[0])))
    kept = [row for row in rows if not row.get("contaminated") and _complete(row, models)]
    if not kept:
        raise ValueError(f"{path}: no row that {', '.join(models)} answered; it has {', '.join(_right(rows[0]))}")
    texts = [_text(row["prompt"]) for row in kept]
    examples = Examples(
        models,
        [features_of(text) for text in texts],
        [str(row.get("domain", "all")) for row in kept],
        np.array([len(text) for text in texts], float),
        np.array([[float(_right(row)[model] >= 0.5) for model in models] for row in kept]),
        np.array([[_usd(row, len(text), model, prices) for model in models] for row, text in zip(kept, texts)]),  # noqa: B905
    )
    return Labelled(path.name, texts, examples, [row.get("split", "") for row in kept], len(rows) - len(kept))


def answers(path: Path, model: str, texts: Sequence[str]) -> list[str]:
    """What a model answered, from RouteLLM's table of responses. Raises ValueError, OSError."""
    csv.field_size_limit(10_000_000)
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    columns = [name for name in rows[0] if name.endswith("_response") and model.lower() in name.lower()] if rows else []
    if len(columns) != 1:
        raise ValueError(f"{path}: {len(columns)} columns hold the responses of {model}")
    found = {row["prompt"].strip(): row[columns[0]] for row in rows}
    missing = next((text for text in texts if text.strip() not in found), None)
    if missing is not None:
        raise ValueError(f"{path}: has no response to {missing[:60]!r}")
    return [found[text.strip()] for text in texts]


def _rows(path: Path) -> list[dict[str, Any]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    if not rows or not all(isinstance(row, dict) and "prompt" in row and _right(row) for row in rows):
        raise ValueError(f'{path}: wants {{"prompt", "domain", "correct" or "score": {{model: 0 or 1}}}} in each line')
    return rows


def _right(row: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = row.get("correct") or row.get("score") or {}
    return found


def _complete(row: Mapping[str, Any], models: Sequence[str]) -> bool:
    tables = [_right(row), *(row[name] for name in ("cost",) if name in row)]
    return all(table.get(model) is not None and isfinite(table[model]) for table in tables for model in models)


def _text(prompt: str | list[str]) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(prompt)


def _usd(row: Mapping[str, Any], chars: int, model: str, prices: Prices) -> float:
    """What the answer cost; where the file does not say, by price and length, an unknown answer having one token."""
    if "cost" in row:
        return float(row["cost"][model])
    if model not in prices:
        raise ValueError(f"no price of {model} is known: give --price {model}=INPUT/OUTPUT")
    dollars_in, dollars_out = prices[model]
    written = row["out_chars"][model] / CHARS_PER_TOKEN if "out_chars" in row else 1
    return (chars / CHARS_PER_TOKEN * dollars_in + written * dollars_out) / 1e6
