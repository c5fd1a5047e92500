"""What the plugin costs a proxy: bare LiteLLM against LiteLLM with the plugin, in turns, in one run.

    python -m benchmarks.overhead --json OUT [--boots 3] [--requests 3000] [--levers off|shadow|on] [--quick]

Both proxies have one worker, the shipped config and the same simulator, which answers at once; they are asked directly.
Short blocks of requests alternate between the two, a request of one has its twin in the other, so what the machine does
meanwhile meets both. Processor time is that of the whole process, what it does between requests included. Memory is the
growth over many requests after as many as it takes to settle, less that of the bare proxy.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.rig import ratios
from benchmarks.rig.load import KINDS, Ask, Client, asks
from benchmarks.rig.machine import about
from benchmarks.rig.proxies import ROOT, Pair, Proxy, booted, simulator
from benchmarks.rig.ratios import Block
from fivelevers.order import LEVER_NAMES

DATA = tuple(ROOT / "examples/traffic/workloads" / name for name in ("support.jsonl", "coding_agent.jsonl"))
TARGETS = {"p50_ratio": 1.03, "cpu_ratio": 1.05, "rss_growth_mb": 5.0}
BLOCK = 5 * len(KINDS)  # requests of a block
_PAUSE_S = 0.1  # what a proxy still does after its last answer ends before the other one's turn
_SETTLED_SHARE = 0.15  # of the requests of the memory phase, sent before the first reading
_CLIENTS = 2  # for each proxy while memory is measured


@dataclass(frozen=True, slots=True)
class Size:
    boots: int
    requests: int  # to each proxy in each boot
    warm_up: int
    memory_requests: int


QUICK = Size(boots=1, requests=200, warm_up=60, memory_requests=400)


def main() -> None:
    args = _arguments()
    size = QUICK if args.quick else Size(args.boots, args.requests, 400, args.memory_requests)
    boots, growth = measure(args.data, size, args.levers, args.seed)
    result = {**_figures(boots, growth, args.seed), "levers": args.levers, **asdict(size), "seed": args.seed}
    result |= {"data": ", ".join(path.name for path in args.data), **about("benchmarks.overhead")}
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--data", type=Path, nargs="+", default=DATA, metavar="FILE", help="traffic files (examples)")
    parser.add_argument("--boots", type=int, default=3, help="how often both proxies are booted (%(default)s)")
    parser.add_argument("--requests", type=int, default=3000, help="to each proxy in each boot (%(default)s)")
    parser.add_argument("--memory-requests", type=int, default=20_000, help="to each proxy, once (%(default)s)")
    parser.add_argument(
        "--levers", choices=("off", "shadow", "on"), default="off", help="mode of every lever (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one boot and few requests: whether it runs, no figures")
    return parser.parse_args()


def measure(files: Sequence[Path], size: Size, levers: str, seed: int) -> tuple[list[list[Block]], dict[str, float]]:
    """The blocks of each boot, and the growth of memory (MB) by proxy in the last."""
    boots: list[list[Block]] = []
    growth: dict[str, float] = {}
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, simulator(Path(name)) as url:
        for boot in range(size.boots):
            with booted(Path(name, f"boot-{boot}"), url, {lever: {"mode": levers} for lever in LEVER_NAMES}) as pair:
                print(f"boot {boot + 1} of {size.boots} ...", flush=True)
                boots.append(list(_blocks(pair, asks(files), size, rng)))
                if boot == size.boots - 1:
                    growth = _growth_mb(pair, files, size.memory_requests)
    return boots, growth


def _blocks(pair: Pair, source: Iterator[Ask], size: Size, rng: random.Random) -> Iterator[Block]:
    clients = (Client(pair.bare), Client(pair.ours))
    for ask in islice(source, size.warm_up):
        for client in clients:
            client.send(ask)
    for _ in range(size.requests // BLOCK):
        yield _block(pair, clients, list(islice(source, BLOCK)), first=rng.randrange(2))
    for client in clients:
        client.close()


def _block(pair: Pair, clients: tuple[Client, Client], batch: list[Ask], first: int) -> Block:
    """The same requests to both, all of one proxy's before the other's."""
    before = pair.bare.cpu_s(), pair.ours.cpu_s()
    took: dict[int, list[float]] = {}
    for side in (first, 1 - first):
        took[side] = [clients[side].send(ask) for ask in batch]
        time.sleep(_PAUSE_S)
    latency: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for ask, bare, ours in zip(batch, took[0], took[1], strict=True):
        latency[ask.kind].append((bare, ours))
    return Block(latency, (pair.bare.cpu_s() - before[0], pair.ours.cpu_s() - before[1]))


def _growth_mb(pair: Pair, files: Sequence[Path], requests: int) -> dict[str, float]:
    """Both at once: what one of them gets, the other gets."""
    with ThreadPoolExecutor(2) as pool:
        bare, ours = pool.map(lambda proxy: _grown_mb(proxy, files, requests), (pair.bare, pair.ours))
    return {"bare": bare, "ours": ours}


def _grown_mb(proxy: Proxy, files: Sequence[Path], requests: int) -> float:
    _send_all(proxy, files, int(requests * _SETTLED_SHARE))
    before = _settled_rss_mb(proxy)
    _send_all(proxy, files, requests)
    return _settled_rss_mb(proxy) - before


def _send_all(proxy: Proxy, files: Sequence[Path], requests: int) -> None:
    def send(share: int) -> None:
        client = Client(proxy)
        for ask in islice(asks(files), share):
            client.send(ask)
        client.close()

    with ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(send, [requests // _CLIENTS] * _CLIENTS))


def _settled_rss_mb(proxy: Proxy) -> float:
    """The least of some readings: what is on its way through is no growth."""
    readings = []
    for _ in range(10):
        time.sleep(0.3)
        readings.append(proxy.rss_mb())
    return min(readings)


def _figures(boots: list[list[Block]], growth: dict[str, float], seed: int) -> dict[str, Any]:
    everything = [block for blocks in boots for block in blocks]
    figures: dict[str, Any] = {}
    for name, statistic in (("p50", ratios.p50), ("p99", ratios.p99), ("cpu", ratios.cpu)):
        found = ratios.with_interval(statistic, boots, seed)
        figures[f"{name}_ratio"] = round(found.value, 4)
        figures[f"{name}_interval"] = [round(found.low, 4), round(found.high, 4)]
    figures["rss_growth_mb"] = round(growth["ours"] - growth["bare"], 2)
    figures["rss_growth_of_each_mb"] = {name: round(value, 2) for name, value in growth.items()}
    spent_s = [sum(block.cpu_s[side] for block in everything) for side in range(2)]
    bare_ms, ours_ms = (round(seconds * 1e3 / (len(everything) * BLOCK), 3) for seconds in spent_s)
    figures["cpu_ms_per_request"] = {"bare": bare_ms, "ours": ours_ms}
    figures["ms"] = {kind: _latencies(everything, kind) for kind in KINDS}
    return figures


def _latencies(blocks: list[Block], kind: str) -> dict[str, float]:
    shares = {"p50": 0.5, "p99": 0.99}
    found = {name: ratios.percentile(blocks, kind, share) for name, share in shares.items()}
    return {f"{side}_{name}": round(found[name][i], 3) for name in shares for i, side in enumerate(("bare", "ours"))}


def _tell(result: dict[str, Any]) -> None:
    for name in ("p50", "p99", "cpu"):
        low, high = result[f"{name}_interval"]
        interval = f"95 % {low:.4f} .. {high:.4f}"
        print(f"{name + '_ratio':14} {result[f'{name}_ratio']:7.4f}  {interval}  {_judged(name, result)}")
    print(f"{'rss_growth_mb':14} {result['rss_growth_mb']:7.2f}  {_judged('rss', result)}")
    for kind, times in result["ms"].items():
        print(f"{kind:18}", "  ".join(f"{name} {value:.2f} ms" for name, value in times.items()))
    for name in ("cpu_ms_per_request", "machine", "python", "versions", "data", "seed", "levers", "command"):
        print(f"{name}: {result[name]}")


def _judged(name: str, result: dict[str, Any]) -> str:
    figure = next((figure for figure in TARGETS if figure.startswith(name)), None)
    if figure is None:
        return ""
    return f"target <= {TARGETS[figure]:g}: {'met' if result[figure] <= TARGETS[figure] else 'MISSED'}"


if __name__ == "__main__":
    main()
