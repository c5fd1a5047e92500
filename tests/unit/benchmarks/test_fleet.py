"""The queue model of the affinity benchmark, and the traces that it reads."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from benchmarks import affinity
from benchmarks.rig.balancers import balancers
from benchmarks.rig.fleet import BLOCK_TOKENS, Arrival, Fleet, Replica, Size, conversations, figures, read

SIZE = Size(kv_tokens=4 * BLOCK_TOKENS, tokens_per_s=1024.0)


def arrival(at_s: float, *blocks: int) -> Arrival:
    return Arrival(at_s, blocks, BLOCK_TOKENS * len(blocks), 10)


def test_a_replica_finds_the_beginning_it_has_and_computes_the_rest_in_turn() -> None:
    replica = Replica(SIZE)
    assert replica.serve(arrival(0.0, 1, 2)) == (0, 1.0)
    assert replica.serve(arrival(0.5, 1, 2, 3)) == (2 * BLOCK_TOKENS, 1.0)  # half a second of the first is left
    assert replica.serve(arrival(9.0, 7, 2)) == (0, 1.0)  # block 2 is behind another one
    assert replica.computed == 5 * BLOCK_TOKENS


def test_a_replica_evicts_the_ends_of_what_was_used_longest_ago() -> None:
    replica = Replica(SIZE)
    for blocks in ((1, 2, 3), (8, 9)):
        replica.serve(arrival(0.0, *blocks))
    assert replica.serve(arrival(9.0, 1, 2, 3))[0] == 2 * BLOCK_TOKENS


def test_a_request_is_in_flight_until_its_answer_is_decoded() -> None:
    fleet = Fleet([SIZE] * 2, decode_s=0.1)
    flight = fleet.send(arrival(0.0, 1, 2), 1)
    assert fleet.in_flight == [0, 1]
    assert list(fleet.ended_by(1.9)) == []
    assert list(fleet.ended_by(2.0)) == [(2.0, flight)]
    assert fleet.in_flight == [0, 0]
    assert figures(fleet, [flight])["imbalance"] == 2.0


def test_both_formats_are_read(tmp_path: Path) -> None:
    mooncake, claude_code = tmp_path / "m.jsonl", tmp_path / "c.jsonl"
    row = {"timestamp": 2000, "input_length": 1200, "output_length": 7, "hash_ids": [4, 5, 6]}
    mooncake.write_text(json.dumps(row) + "\n")
    assert read(mooncake, 1).arrivals == (Arrival(2.0, (4, 5), 1200, 7),)
    requests = [[0.0, "m", 1100, 9, 1.0, 0.0, [[1, 17]], "n"], {"sub": 1.0, "requests": []}]
    claude_code.write_text(json.dumps({"id": "t", "bs": 64, "tool": 0, "sys": 0, "r": requests}) + "\n")
    (found,) = read(claude_code, 1).arrivals
    assert (found.blocks, found.tokens) == ((8, 16), 1100)


@pytest.mark.parametrize("text", [None, "", "{}\n", "no JSON\n"])
def test_anything_else_ends_with_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    file = tmp_path / "trace.jsonl"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr("sys.argv", ["affinity", "--data", str(file)])
    with pytest.raises(SystemExit) as ended:
        affinity.main()
    assert ended.value.code == 2
    assert "benchmarks.affinity: " in capsys.readouterr().err


def test_every_way_to_choose_serves_everybody() -> None:
    workload = conversations(1, 60)
    for make in balancers(3, workload.size, 1).values():
        fleet = Fleet([workload.size] * 3, 0.03)
        flights = asyncio.run(affinity._replay(workload, fleet, make()))
        assert len(flights) == 60
