"""What lever 3's filter costs an Envoy: alone, with the filter beside it, and where the filter decides. By wrk.

    python -m benchmarks.envoy --json OUT [--rounds 30] [--seconds 1] [--connections 16] [--quick]

Two Envoys with one worker each stand in front of a third that reads a request and answers at once: the shipped file,
and the same without filter, lane and their routes. In each round every case is measured once, each right after its
twin at the Envoy alone with a body of the same size, in an order of its own; a ratio is the median over the rounds of
(requests a second / its twin's), with its 95 % interval by resampled rounds. Every process shares the machine's
processors, the load generator's too, so what the filter's process costs is in the ratios where it decides.
`processor_cpu_us` is the filter process's own time for each request that it decided.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rig.envoys import Envoys, running
from benchmarks.rig.machine import about
from benchmarks.rig.proxies import Proxy
from fivelevers.embedded.ports import HOST

PATH = "/v1/chat/completions"
TARGET = 0.97  # of the requests that never ask the filter
RESAMPLES = 2000
WRK = shutil.which("wrk") or ""
_ASKED = re.compile(r"^http\.models\.ext_proc\.fivelevers\.(\w+): (\d+)$", re.M)


@dataclass(frozen=True, slots=True)
class Case:
    """Requests of one kind, and what the upstream says of them when all is well."""

    name: str
    body_bytes: int
    headers: tuple[tuple[str, str], ...]
    expected: str


CASES = (
    Case("interactive", 100, (), "live"),
    Case("divert_headers", 100, (("Prefer", "respond-async"),), "lane"),
    Case("pass_headers", 100, (("Prefer", "respond-async"), ("x-fivelevers-skip", "batch")), "live"),
    Case("divert_body4k", 4 << 10, (("Host", "pipelines.example"),), "lane"),
    Case("divert_body64k", 64 << 10, (("Host", "pipelines.example"),), "lane"),
)


@dataclass(frozen=True, slots=True)
class Load:
    rounds: int
    seconds: int
    connections: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of one case and of its twin. ``decided`` and ``failed_open``: requests, as Envoy counted them."""

    rps: float
    alone_rps: float
    p50_ms: float
    p99_ms: float
    alone_p50_ms: float
    envoy_cpu_us: float
    alone_cpu_us: float
    processor_cpu_us: float
    decided: int
    failed_open: int


def main() -> None:
    args = _arguments()
    if not WRK:
        print("wrk is not here (apt-get install wrk): nothing is measured")
        raise SystemExit(0 if args.quick else 2)
    load = Load(1, 1, 8) if args.quick else Load(args.rounds, args.seconds, args.connections)
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as envoys:
        found = measure(envoys, load, Path(name), args.seed)
    result = {**figures(found, args.seed), **asdict(load), "seed": args.seed, **about("benchmarks.envoy")}
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.envoy", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=30, help="of every case (%(default)s)")
    parser.add_argument("--seconds", type=int, default=1, help="of each measurement (%(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="of wrk (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one short round: whether it runs, no figures")
    return parser.parse_args()


def measure(envoys: Envoys, load: Load, folder: Path, seed: int) -> dict[str, list[Measured]]:
    """The rounds of each case. Raises AssertionError where a request does not end where it should."""
    scripts = {case.name: _script(case, folder) for case in CASES}
    for case in CASES:
        _soon(partial(_answers, envoys.filtered, case))
        assert _answer(envoys.alone, case) == "live"
    rng, found = random.Random(seed), {case.name: list[Measured]() for case in CASES}
    for turn in range(load.rounds):
        print(f"round {turn + 1} of {load.rounds} ...", flush=True)
        for case in rng.sample(CASES, len(CASES)):
            found[case.name].append(_round(envoys, load, scripts[case.name], ours_first=rng.random() < 0.5))
    return found


def _round(envoys: Envoys, load: Load, script: Path, *, ours_first: bool) -> Measured:
    took: dict[int, _Run] = {}
    for proxy in (envoys.filtered, envoys.alone) if ours_first else (envoys.alone, envoys.filtered):
        if proxy is envoys.filtered:
            before, spent_s = _counts(envoys), envoys.processor.cpu_s()
        took[proxy.port] = _wrk(proxy, load, script)
        if proxy is envoys.filtered:
            after, spent_s = _counts(envoys), envoys.processor.cpu_s() - spent_s
    ours, alone = took[envoys.filtered.port], took[envoys.alone.port]
    decided = after.get("streams_started", 0) - before.get("streams_started", 0)
    return Measured(
        rps=ours.rps,
        alone_rps=alone.rps,
        p50_ms=ours.p50_ms,
        p99_ms=ours.p99_ms,
        alone_p50_ms=alone.p50_ms,
        envoy_cpu_us=ours.cpu_us,
        alone_cpu_us=alone.cpu_us,
        processor_cpu_us=spent_s * 1e6 / decided if decided else 0.0,
        decided=decided,
        failed_open=after.get("failure_mode_allowed", 0) - before.get("failure_mode_allowed", 0),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # Envoy's, for each request


def _wrk(proxy: Proxy, load: Load, script: Path) -> _Run:
    url = f"http://{HOST}:{proxy.port}{PATH}"
    sizes = ["-t1", f"-c{load.connections}", f"-d{load.seconds}s"]
    before_s = proxy.cpu_s()
    said = subprocess.run(
        [WRK, *sizes, "--latency", "-s", str(script), url], capture_output=True, text=True, check=True
    )
    spent_s = proxy.cpu_s() - before_s
    assert "Non-2xx" not in said.stdout, said.stdout
    assert "Socket errors" not in said.stdout, said.stdout
    requests = int(_found(r"(\d+) requests in", said.stdout))
    times = {share: _ms(_found(rf"^\s+{share}%\s+(\S+)$", said.stdout)) for share in (50, 99)}
    rps = float(_found(r"Requests/sec:\s+(\S+)", said.stdout))
    return _Run(rps, times[50], times[99], spent_s * 1e6 / requests)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.M)
    assert match is not None, text
    return match[1]


def _ms(text: str) -> float:
    """wrk's `312.00us`, `1.20ms`, `2.50s`."""
    for unit, factor in (("us", 1e-3), ("ms", 1.0), ("s", 1e3)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def _body(case: Case) -> str:
    empty = json.dumps({"model": "ticket-a", "background": True, "input": ""})
    return json.dumps({"model": "ticket-a", "background": True, "input": "x" * (case.body_bytes - len(empty))})


def _script(case: Case, folder: Path) -> Path:
    """wrk's requests, in Lua."""
    headers = (("Content-Type", "application/json"), ("Authorization", "Bearer sk-bench"), *case.headers)
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers]
    file = folder / f"{case.name}.lua"
    file.write_text('wrk.method = "POST"\n' + f"wrk.body = {json.dumps(_body(case))}\n" + "\n".join(lines) + "\n")
    return file


def _answers(proxy: Proxy, case: Case) -> bool:
    return _answer(proxy, case) == case.expected


def _answer(proxy: Proxy, case: Case) -> str:
    connection = http.client.HTTPConnection(HOST, proxy.port, timeout=10)
    try:
        connection.request("POST", PATH, _body(case), {"Content-Type": "application/json", **dict(case.headers)})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def _soon(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline, "the filter does not decide as it should"
        time.sleep(0.1)


def _counts(envoys: Envoys) -> dict[str, int]:
    connection = http.client.HTTPConnection(HOST, envoys.admin_port, timeout=10)
    try:
        connection.request("GET", "/stats?filter=ext_proc")
        return {name: int(value) for name, value in _ASKED.findall(connection.getresponse().read().decode())}
    finally:
        connection.close()


def figures(found: dict[str, list[Measured]], seed: int) -> dict[str, Any]:
    """The ratios, and of each case the medians over its rounds."""
    result: dict[str, Any] = {}
    for name, rounds in found.items():
        ratio = [each.rps / each.alone_rps for each in rounds]
        result[f"{name}_rps_ratio"] = round(median(ratio), 4)
        result[f"{name}_rps_interval"] = _interval(ratio, seed)
    result["interactive_cpu_ratio"] = _ratio_of_medians(found["interactive"])
    for name in ("divert_headers", "divert_body4k", "divert_body64k"):
        suffix = "" if name == "divert_headers" else f"_{name.removeprefix('divert_')}"
        result[f"processor_cpu_us{suffix}"] = round(median(each.processor_cpu_us for each in found[name]), 1)
    result["cases"] = {
        name: {key: round(median(asdict(each)[key] for each in rounds), 3) for key in asdict(rounds[0])}
        for name, rounds in found.items()
    }
    return result


def _ratio_of_medians(rounds: Sequence[Measured]) -> float:
    return round(median(each.envoy_cpu_us / each.alone_cpu_us for each in rounds), 4)


def _interval(values: Sequence[float], seed: int) -> list[float]:
    rng = random.Random(seed)
    found = sorted(median(rng.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return [round(found[int(RESAMPLES * share)], 4) for share in (0.025, 0.975)]


def _tell(result: dict[str, Any]) -> None:
    for name, case in result["cases"].items():
        low, high = result[f"{name}_rps_interval"]
        target = ""
        if name == "interactive":
            target = f"  target >= {TARGET:g}: {'met' if result['interactive_rps_ratio'] >= TARGET else 'MISSED'}"
        print(f"{name:15} {result[f'{name}_rps_ratio']:7.4f} of Envoy alone  95 % {low:.4f} .. {high:.4f}{target}")
        print(
            f"{'':15} {case['rps']:.0f} of {case['alone_rps']:.0f} requests/s, p50 {case['p50_ms']:.2f} ms (alone "
            f"{case['alone_p50_ms']:.2f}), p99 {case['p99_ms']:.2f} ms, {case['decided']:.0f} decided, "
            f"{case['failed_open']:.0f} failed open"
        )
    for name in ("interactive_cpu_ratio", "processor_cpu_us", "processor_cpu_us_body4k", "processor_cpu_us_body64k"):
        print(f"{name}: {result[name]}")
    for name in ("machine", "python", "versions", "seed", "command"):
        print(f"{name}: {result[name]}")


if __name__ == "__main__":
    main()
