"""What lm-evaluation-harness logged of two models (`--log_samples`), item by item.

Its files `samples_TASK_DATE.jsonl` have a line for each item and filter: `doc_id`, the task's metrics by name, their
names under `metrics` in newer releases. An item is right where its metric is 1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fivelevers.cli.json_lines import lines_of
from fivelevers.errors import QuantizationError
from fivelevers.levers.quantization.gate import Scored

METRICS: Final = ("exact_match", "acc_norm", "acc", "pass@1", "prompt_level_strict_acc")
_NAME: Final = re.compile(r"samples_(.+?)(?:_\d{4}-\d\d-\d\dT[\d.:-]+)?\.jsonl")


@dataclass(frozen=True, slots=True)
class Sample:
    """``text``: the hash of the item, where lm_eval logged it."""

    right: bool
    text: str


def scored_of(baseline: Path, candidate: Path, again: Path | None) -> list[Scored]:
    """Each item of each task that both answered; a task is a stratum. ``again``: the original, run once more.

    Raises QuantizationError, OSError.
    """
    _apart(baseline, candidate, again)
    one, other, more = _items(baseline), _items(candidate), {} if again is None else _items(again)
    apart = sorted(one.keys() ^ other.keys())
    if apart:
        told = " ".join(apart[0])
        raise QuantizationError(f"--baseline-samples, --candidate-samples: {told} is in one of them; run both alike")
    for key in sorted(one):
        texts = {found[key].text for found in (one, other, more) if key in found} - {""}
        if len(texts) > 1:
            why = f"{' '.join(key)} is another text in each; run both on the same release of the task"
            raise QuantizationError(f"--baseline-samples, --candidate-samples: {why}")
    return [
        Scored(f"{task}:{item}", task, one[task, item].right, other[task, item].right, _again(more.get((task, item))))
        for task, item in sorted(one)
    ]


def _again(found: Sample | None) -> bool | None:
    return None if found is None else found.right


def _apart(*folders: Path | None) -> None:
    """Raises QuantizationError where a model would be held against itself."""
    named = [folder.resolve() for folder in folders if folder is not None]
    for at, one in enumerate(named):
        for other in named[:at]:
            if one == other or one in other.parents or other in one.parents:
                raise QuantizationError(f"--..-samples: {one} and {other} hold one another; name a folder of each run")


def _items(folder: Path) -> dict[tuple[str, str], Sample]:
    files = sorted(folder.rglob("samples_*.jsonl")) if folder.is_dir() else [folder]
    runs = sorted({str(file.parent) for file in files})
    if len(runs) > 1:  # lm_eval makes a folder for each model
        raise QuantizationError(f"{folder}: holds several models, {', '.join(runs)}; name the folder of one")
    newest: dict[str, Path] = {}
    for file in files:
        match = _NAME.fullmatch(file.name)
        if match is not None:
            newest[match[1]] = file  # names end in the time
    if not newest:
        raise QuantizationError(f"{folder}: has no samples_*.jsonl; run lm_eval with --log_samples")
    found: dict[tuple[str, str], Sample] = {}
    for task, file in newest.items():
        for place, line in lines_of(file):
            found |= _item(place, task, line)
    return found


def _item(place: str, task: str, line: str) -> dict[tuple[str, str], Sample]:
    try:
        row: dict[str, Any] = json.loads(line)
        named = [name for name in (*row.get("metrics", ()), *METRICS) if isinstance(row.get(name), int | float)]
        metric, item = row[named[0]], str(row["doc_id"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        known = ", ".join(METRICS)
        raise QuantizationError(f"{place}: is no item with a doc_id and one of {known}") from error
    kind = row.get("filter")
    name = task if kind in (None, "none") else f"{task}/{kind}"
    return {(name, item): Sample(float(metric) == 1.0, str(row.get("doc_hash") or ""))}
