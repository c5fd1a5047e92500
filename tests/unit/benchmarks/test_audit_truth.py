"""The audit's ranges against a provider's bill, on one small seed; benchmarks.audit_truth has the figures."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from benchmarks.audit_truth import of_seed
from benchmarks.rig.audit_mooncake import ceiling
from benchmarks.rig.audit_traffic import draw


async def test_a_small_seed() -> None:
    rows = await of_seed(1, calls=100)
    told = {(row["route"], row["lever"]): row for row in rows}
    assert all(told[name]["held"] for name in (("desk", 1), ("agent", 1), ("tickets", 3)))
    assert told["desk", 1]["saved_usd"] > 0
    assert told["triage", 4]["held"] is None  # far too few labels


def test_the_traffic_is_what_was_drawn() -> None:
    known, traffic = draw(3, 1000)
    calls, same, batchable = (
        Counter(sent.route for sent in traffic if keep(sent))
        for keep in (lambda _: True, lambda sent: sent.same, lambda sent: sent.batchable)
    )
    assert abs(same["desk"] / calls["desk"] - known.same) < 0.1
    assert batchable["tickets"] == round(calls["tickets"] * known.batchable)
    assert [sent.at for sent in traffic] == sorted(sent.at for sent in traffic)
    assert draw(3, 1000) == (known, traffic)


def test_a_trace_of_blocks_is_a_log(tmp_path: Path) -> None:
    """Of the second half of these, one of the two prompts has half of its blocks from an earlier one."""
    blocks = [[1, 2, 3, 4], [5, 6, 7, 8], [1, 2, 9, 10], [11, 12, 13, 14]]
    tokens = {"input_length": 2048, "output_length": 9}
    rows = [{"timestamp": at * 1000, "hash_ids": names, **tokens} for at, names in enumerate(blocks)]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert abs(ceiling(trace) - 0.25) < 0.001
