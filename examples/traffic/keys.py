"""The key file: which key each tenant of the traffic calls with."""

from pathlib import Path
from typing import Any

import yaml

from examples.traffic.problems import TrafficError

KEYS = Path(__file__).with_name("keys.yaml")


def load_keys(path: Path = KEYS) -> dict[str, str]:
    """Key by alias. Raises TrafficError with the entry that is wrong."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as problem:
        raise TrafficError(f"{path}: {problem}") from None
    rows = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise TrafficError(f"{path}: keys: missing; write a list of entries with key and key_alias")
    return dict(_pair(path, number, row) for number, row in enumerate(rows))


def _pair(path: Path, number: int, row: Any) -> tuple[str, str]:
    for name in ("key_alias", "key"):
        if not isinstance(row, dict) or not isinstance(row.get(name), str):
            raise TrafficError(f"{path}: keys[{number}].{name}: missing or no text")
    return row["key_alias"], row["key"]
