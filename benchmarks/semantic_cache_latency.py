"""What a look-up of lever 2 costs on Redis, beside others' look-ups.

    python -m benchmarks.semantic_cache_latency --json OUT [--entries 1000 10000 100000] [--quick]

Made-up entries: 384 numbers a question, spread over 100 scopes, an answer of 800 bytes each; every query has a stored
question within cosine .9. Looks at one place stand together in random order, in one process and one event loop, so
what the machine does meanwhile meets all. No look embeds: `embed` is measured apart. The looks:

    ping      PING on the same connection settings, asked as the others are
    search    the 8 nearest in scope (RedisVL's query), their keys and cosines: `knn_over_ping_p50` is this over ping
    nearest   that, and which of them have an answer that is there, with what decides whether one is served
    look_up   that, and the answer: all that a hit of the semantic tier asks of Redis
    exact     a hit of the exact tier
    redisvl   RedisVL's `SemanticCache.acheck`, the scope as its filter
    litellm   LiteLLM's `RedisSemanticCache.async_get_cache`, on the same index as redisvl

`flat`: one bucket (a sixteenth of a store) by how many questions it has and which share of them is in the scope that is
asked. FLAT compares every vector in scope, so the time goes mostly with their number. Measured in two runs on 2 shared
cores: within about 3 x PING up to 1,000 in scope, 0.6 to 1.5 ms at 5,000 of 50,000, 3 to 4 ms at 44,500. So FLAT ends
with the share of a look-up's deadline that the search may have: 10 ms are some 100,000 questions in one scope, by
extrapolation. A store of 100,000 in 100 scopes takes 1.4 ms, more than its 1,000 in scope explain; why was not found.

`bytes_per_entry` counts the 16 indexes, which take about 3 MB whatever they hold: a store of 1,000 has twice as much
for each.

`proxy`: a miss and a hit through LiteLLM with the plugin against the bare one, paired (benchmarks/rig/answer_proxy.py),
with a provider that answers at once and with one at its own pace (the simulator's: 0.3 to 0.5 s here). `hit_ms_p50` and
`miss_overhead_ratio` are of the first, where a miss is compared with the bare proxy's own time alone; what a miss is to
the client of a provider, the second says. `--entries` without a number leaves Redis out, `--proxy-blocks 0` proxies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis
from rich.progress import Progress

from benchmarks.rig import answer_proxy
from benchmarks.rig.lookups import Entries, Look, Ours, Theirs, made, scope_names, timed
from benchmarks.rig.machine import about
from benchmarks.rig.proxies import redis
from fivelevers.errors import EmbedderError
from fivelevers.providers.minilm import MiniLm

SCOPES = 100
TARGETS = {"knn_over_ping_p50": 3.0, "bytes_per_entry": 4000.0, "miss_overhead_ratio": 1.15}
_TARGET_ENTRIES = 10_000  # the size that targets are stated for
_FLAT_SHARES = (0.01, 0.1, 0.89)
_ROOM = ("--maxmemory", "0")  # the stack's own cache of 256 MB would evict
_EMBEDDED = 200


def main() -> None:
    args = _arguments()
    result = asyncio.run(measure(args))
    result |= {"seed": args.seed, "scopes": SCOPES, **about("benchmarks.semantic_cache_latency")}
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.semantic_cache_latency", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--entries", type=int, nargs="*", default=[1000, 10_000, 100_000], help="(%(default)s)")
    parser.add_argument("--flat", type=int, nargs="*", default=[1000, 10_000, 50_000], help="in a bucket (%(default)s)")
    parser.add_argument("--queries", type=int, default=1000, help="at each size; 100 above 10,000 (%(default)s)")
    parser.add_argument("--proxy-blocks", type=int, default=20, help="of 20 questions, a fifth paced (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="small: whether it runs, no figures")
    args = parser.parse_args()
    if args.quick:
        args.entries, args.flat, args.queries, args.proxy_blocks = [500], [500], 50, 1
    return args


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {"entries": {}, "flat": [], **dict.fromkeys((*TARGETS, "hit_ms_p50"))}
    with tempfile.TemporaryDirectory() as name, redis(Path(name), *_ROOM) as url, Progress(transient=True) as progress:
        for count in args.entries:
            queries = args.queries if count <= _TARGET_ENTRIES else max(args.queries // 10, 1)
            result["entries"][str(count)] = await _size(url, count, queries, args.seed, progress)
        for count in args.flat:
            result["flat"] += await _flat(url, count, args.queries // 5, args.seed, progress)
    if args.entries:
        stated = result["entries"].get(str(_TARGET_ENTRIES)) or next(iter(result["entries"].values()))
        result["knn_over_ping_p50"] = stated["over_ping_p50"]["search"]
        result["bytes_per_entry"] = stated["bytes_per_entry"]["ours"]
    result["embed_ms_p50"] = await _embed_ms()
    return result | (_through_proxy(args.proxy_blocks, args.seed) if args.proxy_blocks else {})


def _through_proxy(blocks: int, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        at_once = answer_proxy.measured(Path(name, "at-once"), blocks, seed)
        paced = answer_proxy.measured(Path(name, "paced"), max(blocks // 5, 1), seed, latency_scale=1)
    return {
        "hit_ms_p50": at_once["hit"]["ours_ms_p50"],
        "miss_overhead_ratio": at_once["miss"]["ratio_p50"],
        "proxy": {"at_once": at_once, "paced": paced},
    }


async def _size(url: str, count: int, queries: int, seed: int, progress: Progress) -> dict[str, Any]:
    entries = made(count, scope_names(SCOPES, seed), seed)
    ours, theirs = Ours(url, entries), None
    try:
        empty = _emptied(url)
        await ours.load(progress)
        with_ours = _used_memory(url)
        theirs = Theirs(url, entries)
        await theirs.load(progress)
        weights = {"ours": (with_ours - empty) / count, "redisvl": (_used_memory(url) - with_ours) / count}
        looks: dict[str, Look] = {
            "ping": ours.ping, "search": ours.search, "nearest": ours.nearest, "look_up": ours.look_up,
            "exact": ours.exact, "redisvl": theirs.redisvl, "litellm": theirs.litellm,
        }  # fmt: skip
        took = await _shown(looks, _places(entries, queries), seed, progress, f"{count:,} entries")
    finally:
        await ours.close()
        if theirs is not None:
            await theirs.close()
    p50 = {name: median(times) for name, times in took.items()}
    return {
        "p50_ms": {name: round(value, 3) for name, value in p50.items()},
        "p99_ms": {name: round(_p99(times), 3) for name, times in took.items()},
        "over_ping_p50": {name: round(value / p50["ping"], 2) for name, value in p50.items()},
        "bytes_per_entry": {name: round(value) for name, value in weights.items()},
        "queries": queries,
    }


async def _flat(url: str, count: int, queries: int, seed: int, progress: Progress) -> list[dict[str, Any]]:
    """One bucket with three scopes of these shares."""
    scopes = scope_names(len(_FLAT_SHARES), seed, bucket="{g0}")
    in_turn = [scope for scope, share in zip(scopes, _FLAT_SHARES, strict=True) for _ in range(round(share * 100))]
    entries = made(count, in_turn, seed)
    ours = Ours(url, entries)
    rows = []
    try:
        _emptied(url)
        await ours.load(progress)
        for scope, share in zip(scopes, _FLAT_SHARES, strict=True):
            places = [n for n in range(count) if entries.scopes[n] == scope][:queries]
            took = await _shown({"ping": ours.ping, "search": ours.search}, places, seed, progress, "flat")
            ping, search = median(took["ping"]), median(took["search"])
            row = {"in_index": count, "in_scope": round(share * count), "search_ms_p50": round(search, 3)}
            rows.append(row | {"over_ping_p50": round(search / ping, 2)})
    finally:
        await ours.close()
    return rows


async def _shown(
    looks: dict[str, Look], places: Sequence[int], seed: int, progress: Progress, what: str
) -> dict[str, list[float]]:
    """Timed after a few looks that are not."""
    task = progress.add_task(f"looking up: {what}")
    await timed(looks, places[:10], seed)
    took = await timed(looks, places, seed)
    progress.remove_task(task)
    return took


def _places(entries: Entries, queries: int) -> list[int]:
    """Spread over all entries, and so over all scopes."""
    return [n * 7919 % len(entries) for n in range(queries)]  # a prime: no scope is passed over


def _emptied(url: str) -> int:
    """Bytes that Redis uses when it holds nothing."""
    with Redis.from_url(url) as client:
        client.flushall()
    return _used_memory(url)


def _used_memory(url: str) -> int:
    """Once what was deleted or is being indexed has settled."""
    with Redis.from_url(url) as client:
        before = -1
        while (now := int(client.info("memory")["used_memory"])) != before:
            before = now
            time.sleep(0.3)
    return before


async def _embed_ms() -> float | None:
    """One question at a time, each another one; None where MiniLM is not installed."""
    embedder, took = MiniLm(), list[float]()
    try:
        await embedder.ready()
    except EmbedderError as error:
        print(f"embed_ms_p50: {error}")
        return None
    for n in range(_EMBEDDED):
        start = time.perf_counter()
        await embedder.embed([f"How do I change the billing address of account {n} before the invoice?"])
        took.append((time.perf_counter() - start) * 1e3)
    return round(median(took), 2)


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[math.ceil(0.99 * len(times)) - 1]


def _tell(result: dict[str, Any]) -> None:
    for count, figures in result["entries"].items():
        weights = figures["bytes_per_entry"]
        print(f"{int(count):,} entries: ours {weights['ours']} bytes each, RedisVL's {weights['redisvl']}")
        for name, value in figures["p50_ms"].items():
            over, p99 = figures["over_ping_p50"][name], figures["p99_ms"][name]
            print(f"  {name:8} p50 {value:8.3f} ms  p99 {p99:8.3f} ms  {over:7.2f} x PING")
    for row in result["flat"]:
        print(
            f"flat: {row['in_index']:>7,} in the index, {row['in_scope']:>7,} in scope: {row['search_ms_p50']:8.3f} ms"
            f"  {row['over_ping_p50']:7.2f} x PING"
        )
    for provider, found in result.get("proxy", {}).items():
        for name in ("miss", "hit"):
            print(f"{name}, provider {provider}:", "  ".join(f"{key} {value}" for key, value in found[name].items()))
        print(f"  otherwise than a miss of too low a score, or a hit: {found['other']}")
    for name, target in TARGETS.items():
        if result[name] is not None:
            print(f"{name} {result[name]:g}  target <= {target:g}: {'met' if result[name] <= target else 'MISSED'}")
    for name in ("hit_ms_p50", "embed_ms_p50", "machine", "python", "versions", "seed", "command"):
        print(f"{name}: {result[name]}")


if __name__ == "__main__":
    main()
