"""Files of JSON lines, and the four readers of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fivelevers.cli import labelled_pairs, labelled_prompts
from fivelevers.cli.benchmark_grading import Grading
from fivelevers.cli.benchmark_prompts import of_file
from fivelevers.cli.json_lines import lines_of
from fivelevers.errors import CalibrationError

BREAKS = "a\u2028b\u2029c\x85d"
READERS: dict[str, tuple[dict[str, Any], Callable[[Path], Any]]] = {
    "prompts": ({"prompt": BREAKS}, lambda path: of_file(path, "r")[0]),
    "graded": ({"prompt": BREAKS, "answer": "x", "right": True}, lambda path: Grading(labels=path).sample()),
    "labelled": ({"prompt": BREAKS, "correct": {"m": True}, "tokens": {"m": [1, 2]}}, labelled_prompts.read),
    "pairs": ({"a": BREAKS, "b": "x", "same": True}, labelled_pairs.read),
}


def test_blank_lines_are_none_and_count(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"a\n\n \r\nb\x0bc\r\n")
    assert list(lines_of(path)) == [(f"{path}:1", "a"), (f"{path}:4", "b\x0bc\r")]


@pytest.mark.parametrize(("line", "read"), READERS.values(), ids=READERS)
def test_a_line_feed_alone_ends_a_line(tmp_path: Path, line: dict[str, Any], read: Callable[[Path], Any]) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    assert len(read(path)) == 1


@pytest.mark.parametrize(("line", "read"), READERS.values(), ids=READERS)
@pytest.mark.parametrize("bad", [b'{"prompt": "\xff"}', b"[" * 100_000])
def test_bytes_that_are_none_and_endless_nesting_are_named(
    tmp_path: Path, line: dict[str, Any], read: Callable[[Path], Any], bad: bytes
) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(json.dumps(line).encode() + b"\n" + bad)
    with pytest.raises(CalibrationError, match=r"lines\.jsonl:2: "):
        read(path)
