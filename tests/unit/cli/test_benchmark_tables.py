"""What a benchmark says it has written."""

from __future__ import annotations

import pytest
from rich.console import Console

from fivelevers.cli.benchmark_tables import Result, record, tables
from tests.unit.route_benchmark.test_calls import Scene, said
from tests.unit.route_benchmark.test_run import made


@pytest.mark.parametrize("out", ["labelled.jsonl", None])
def test_a_file_that_was_not_written_is_not_told_of(out: str | None) -> None:
    benchmark = made(Scene(said()))
    benchmark.spent = True
    result = Result(benchmark, [], 100, out=out)
    console = Console(width=120)
    with console.capture() as told:
        console.print(tables(result))
    assert ("Written: labelled.jsonl (0 labelled prompts)." in told.get()) is (out is not None)
    assert ("Written" in told.get()) is (out is not None)
    assert record(result)["out"] == out
