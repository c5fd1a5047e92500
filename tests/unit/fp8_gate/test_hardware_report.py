"""The file that `--hardware-report` names, with the reports of guidellm or vLLM beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fivelevers.errors import QuantizationError
from fivelevers.fp8_gate.hardware_report import read
from fivelevers.levers.quantization.measurement import runs
from fivelevers.levers.quantization.pricing import rates
from fivelevers.levers.quantization.verdict import Verdict
from tests.unit.levers.quantization.bench_documents import benchmark, guidellm, vllm

LEVEL = {"p95_ttft_ms": 500, "p95_itl_ms": 50}
ABOUT: dict[str, Any] = {
    "gpu": "H100 SXM",
    "vllm": "0.23.0",
    "service_level": LEVEL,
    "baseline": ["bf16-512.json", "bf16-2048.json"],
    "candidate": ["fp8-512.json", "fp8-2048.json"],
}
LONG = (2048, 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The candidate bears 1.4 times as many requests."""
    for name, gain in (("bf16", 1.0), ("fp8", 1.4)):
        route = [benchmark(16, 8 * gain, 200), benchmark(32, 10 * gain, 450), benchmark(64, 11 * gain, 900)]
        (tmp_path / f"{name}-512.json").write_text(guidellm(*route))
        long = [benchmark(8, 3 * gain, 300, size=LONG), benchmark(16, 3.5 * gain, 800, size=LONG)]
        (tmp_path / f"{name}-2048.json").write_text(guidellm(*long))
    return tmp_path


def written(folder: Path, **change: Any) -> Path:
    file = folder / "h100.json"
    file.write_text(json.dumps(ABOUT | change))
    return file


def refused(file: Path) -> str:
    with pytest.raises(QuantizationError) as found:
        read(file)
    return str(found.value)


def test_the_operating_points_of_guidellm_s_reports_are_the_loads(folder: Path) -> None:
    found = read(written(folder))
    assert [load.requests for load in (*found.made.baseline, *found.made.candidate)] == [600, 180, 840, 252]
    assert found.made.service_level == "p95_ttft_ms 500, p95_itl_ms 50"
    (finding,) = found.findings
    assert finding.verdict is Verdict.PASS
    assert "32 at once, 14.00 requests/s" in finding.why
    cheaper, dearer = (
        rates(runs(loads), gpu_hour_usd=2.5, gpus=1, utilisation=0.5)
        for loads in (found.made.candidate, found.made.baseline)
    )
    assert float(cheaper.output_usd) == pytest.approx(float(dearer.output_usd) / 1.4)


def test_the_lines_of_vllm_do_as_well(folder: Path) -> None:
    for name, gain in (("bf16", 1.0), ("fp8", 1.4)):
        rows = [
            vllm(at_once, per_s * gain, ttft) for at_once, per_s, ttft in ((16, 8, 200), (32, 10, 450), (64, 11, 900))
        ]
        (folder / f"{name}.json").write_text("\n".join(map(json.dumps, rows)))
    found = read(written(folder, baseline=["bf16.json"], candidate=["fp8.json"]))
    assert [load.requests for load in (*found.made.baseline, *found.made.candidate)] == [600, 840]
    assert [finding.verdict for finding in found.findings] == [Verdict.PASS]


def test_loads_of_its_own_were_chosen_before(folder: Path) -> None:
    load = {"seconds": 60, "requests": 600, "input_tokens": 307_200, "output_tokens": 76_800}
    found = read(written(folder, service_level="p95 TTFT below 500 ms", baseline=[load], candidate=[load]))
    assert (found.made.baseline[0].requests, found.findings) == (600, ())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"service_level": "p95 TTFT below 500 ms"}, "service_level: Input should be a valid dictionary (it is 'p95"),
        ({"service_level": {"p95_tft_ms": 500}}, "'p95_tft_ms' is no limit; write one such as p95_ttft_ms"),
        ({"service_level": {"p95_ttft_ms": 0}}, "p95_ttft_ms: Input should be greater than 0 (it is 0)"),
        ({"gpu": ""}, "gpu: String should have at least 1 character"),
        ({"candidate": []}, "candidate: List should have at least 1 item"),
        ({"candidate": ["bf16-512.json"]}, "bf16-512.json is a report of both models"),
        ({"candidate": ["fp8-512.json", {"seconds": 60}]}, "candidate.1: Input should be a valid string"),
    ],
)  # fmt: skip
def test_what_the_file_says_wrong_is_named_with_its_value(folder: Path, change: dict[str, Any], told: str) -> None:
    said = refused(written(folder, **change))
    assert told in said
    assert said.endswith("write it as docs/quantization.md shows")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "fp8-512.json: is no JSON"),
        ("{}", "fp8-512.json: is a report of neither tool; write it with `guidellm run"),
        (guidellm(), "benchmarks: List should have at least 1 item"),
        (json.dumps(vllm(16, 8, 200) | {"max_concurrency": None}), "max_concurrency: Input should be a valid integer"),
        (json.dumps(vllm(16, 8, 200)), "guidellm and vllm bench serve measure otherwise"),
        (guidellm(benchmark(16, 8, 0)), "fp8-512.json: p95_ttft_ms was not measured"),
    ],
)
def test_what_a_report_lacks_is_named_with_its_file(folder: Path, content: str, told: str) -> None:
    (folder / "fp8-512.json").write_text(content)
    assert told in refused(written(folder, candidate=["fp8-512.json"]))


def test_a_level_that_nothing_keeps_is_named(folder: Path) -> None:
    said = refused(written(folder, service_level={"p95_ttft_ms": 100}))
    why = "bf16-512.json, load 1: p95_ttft_ms is 200.0, above 100; measure fewer requests at once"
    assert said == f"--hardware-report: {why}"


def test_the_files_that_the_docs_show_are_read(folder: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/quantization.md").read_text()
    shown = re.findall(r"^```json\n(.*?)^```$", page, re.M | re.S)
    assert len(shown) == 2
    for text in shown:
        (folder / "shown.json").write_text(text)
        made = read(folder / "shown.json").made
        assert made.gpu == "H100 SXM"
        for loads in (made.baseline, made.candidate):
            assert rates(runs(loads), gpu_hour_usd=2.5, gpus=1, utilisation=0.5).worst < 0.25


def test_a_tool_s_report_alone_is_told_from_the_file(folder: Path) -> None:
    assert "is guidellm's report of one model; name those of both" in refused(folder / "bf16-512.json")


def test_a_report_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(OSError, match=r"nowhere\.json"):
        read(written(folder, candidate=["nowhere.json"]))
