"""The batch lane's cost: accepting requests of 1 kB, packing 50,000 of them, and what Redis holds of each.

    python -m benchmarks.batch_lane --json OUT [--rows 50000] [--seconds 10] [--quick]

Real Redis with AOF, and the code that a worker runs. A process of its own plans the rows that wait and packs them into
the file that would be uploaded; memory is the growth of its peak. Beside it, in the same run, what a program does that
keeps the bodies in a list and joins their lines. Two kinds of bodies, encrypted: the example traffic's sentences, and
random letters, which compression does not shorten much. Time and memory are the worse of the two; Redis is given of
both. The processor's time is the process's own, without Redis. Accepting is the lane's own application in two processes
with wrk in front (rig/lane_acceptance.py): Redis, lane and wrk share the machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import string
import tempfile
import time
import uuid
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from redis import Redis as Client

from benchmarks.rig.lane_acceptance import WRK, accepted
from benchmarks.rig.lane_redis import Redis
from benchmarks.rig.machine import about
from benchmarks.rig.proxies import ROOT
from fivelevers.levers.batch.packaging import cut
from fivelevers.levers.batch.work import Endpoint, Group, Terms, Work
from fivelevers.providers.batches import Account
from fivelevers.providers.openai_batches import OpenAIBatches
from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches

AT_LEAST: Final = {"accepted_per_s_everysec": 2000.0}
TARGETS: Final = {"p99_ms": 30.0, "package_50k_s": 3.0, "package_50k_rss_mb": 20.0, "redis_bytes_per_request": 1700}
BODY_BYTES: Final = 1000
GROUP: Final = Group("openai", "main", Endpoint.CHAT, "gpt-4.1-mini")
_TEXTS: Final = ROOT / "examples/traffic/workloads/tickets.jsonl"
_AT_ONCE: Final = 64
_LEASE_S: Final = 600.0
_ENCRYPTED: Final = {"FIVELEVERS_CONTENT_KEY": b64encode(bytes(range(32))).decode()}
# As the proxy's: who asked, by which key, under which plan.
ABOUT: Final = {
    "alias": "ticket-pipeline", "tenant": "operations", "treated": ["batch"], "deployment": "0" * 64,
    "provider_key": "0" * 16, "caller": {"key": "0" * 64, "key_alias": "pipeline", "team": "operations"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Packing:
    """Seconds, and growth of the peak of resident memory in 10^6 bytes, from the waiting rows to the file."""

    rows: int
    file_mb: float
    plan_s: float
    plan_cpu_s: float
    plan_mb: float
    pack_s: float
    pack_cpu_s: float
    pack_mb: float
    joined_s: float
    joined_cpu_s: float
    joined_mb: float


def main() -> None:
    args = _arguments()
    rows = 2000 if args.quick else args.rows
    result: dict[str, Any] = {"rows": rows, "seed": args.seed}
    for kind, bodies in (("texts", texts(rows, args.seed)), ("letters", letters(rows, args.seed))):
        packing, held = asyncio.run(packed(bodies))
        result[kind] = {"redis_bytes_per_request": held, **asdict(packing)}
    both = (result["texts"], result["letters"])
    result |= {
        "package_50k_s": round(max(found["plan_s"] + found["pack_s"] for found in both), 2),
        "package_50k_rss_mb": round(max(max(found["plan_mb"], found["pack_mb"]) for found in both), 1),
        "redis_bytes_per_request": round(result["texts"]["redis_bytes_per_request"]),
        "redis_bytes_per_request_at_most": round(result["letters"]["redis_bytes_per_request"]),
    }
    result |= acceptance(args.seconds if not args.quick else 1, args.connections, args.processes, args.seed)
    result |= about("benchmarks.batch_lane")
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def acceptance(seconds: int, connections: int, processes: int, seed: int) -> dict[str, Any]:
    """Requests a second that the lane's own application accepts, with Redis on disk each second and each time."""
    if not WRK:
        print("accepting is not measured: there is no wrk (apt-get install wrk)")
        return {}
    rng = random.Random(seed)
    text = "".join(rng.choices(string.ascii_letters + string.digits, k=BODY_BYTES - 90))
    body = _body(f"%s {text}").decode()
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for fsync in ("everysec", "always"):
            load = (processes, connections, seconds)
            found = accepted(Path(name) / fsync, body, fsync=fsync, env=_ENCRYPTED, load=load)
            assert found.kept >= found.answered, found  # what wrk cut off at its end was accepted too
            told[f"accepted_per_s_{fsync}"] = round(found.per_s)
            told[f"acceptance_{fsync}"] = asdict(found)
    return told | {"p99_ms": told["acceptance_everysec"]["p99_ms"]}


def letters(count: int, seed: int) -> list[bytes]:
    """Chat requests of `BODY_BYTES` whose text is random."""
    rng = random.Random(seed)
    return [_body("".join(rng.choices(string.ascii_letters + string.digits, k=BODY_BYTES))) for _ in range(count)]


def texts(count: int, seed: int) -> list[bytes]:
    """The same, of sentences of the example traffic in random order."""
    rng = random.Random(seed)
    chats = (orjson.loads(line)["body"].get("messages") for line in _TEXTS.open("rb"))
    asked = (chat[-1]["content"] for chat in chats if chat)
    sentences = [f"{part.strip()}." for text in asked if isinstance(text, str) for part in text.split(". ")]
    return [_body(" ".join(rng.choices(sentences, k=40))) for _ in range(count)]


def _body(text: str) -> bytes:
    def of(content: str) -> bytes:
        return orjson.dumps({"model": GROUP.model, "messages": [{"role": "user", "content": content}]})

    return of(text[: BODY_BYTES - len(of(""))])


async def packed(bodies: Sequence[bytes]) -> tuple[Packing, float]:
    """How it went, and the bytes of Redis for each request while it waits."""
    with tempfile.TemporaryDirectory() as name:
        redis = Redis(Path(name))
        try:
            held = await _accepted(redis.url, bodies)
            with multiprocessing.get_context("spawn").Pool(1) as pool:  # whose memory nobody has used yet
                packing = pool.apply(_pack, (redis.url, len(bodies)))
        finally:
            redis.close()
    return packing, held


async def _accepted(url: str, bodies: Sequence[bytes]) -> float:
    """Bytes for each."""
    lane, todo = Lane(url, _ENCRYPTED), iter(bodies)
    with Client.from_url(url) as client:
        before = client.info("memory")["used_memory"]

        async def accept() -> None:
            for body in todo:
                await lane.accept(_work(body, len(bodies)), fingerprint=str(hash(body)), now=time.time())

        await asyncio.gather(*(accept() for _ in range(_AT_ONCE)))
        await lane.close()  # a connection's buffers are no request's
        after = client.info("memory")["used_memory"]
    return float(after - before) / len(bodies)


def _work(body: bytes, rows: int) -> Work:
    now = time.time()
    return Work(
        id=f"flr_{uuid.uuid4().hex}", group=GROUP, tenant="operations", route="tickets", body=body, accepted_at=now,
        deadline_at=now + 14_400, prompt_tokens=250, prefix="0" * 32, about=ABOUT, terms=Terms(flush_rows=rows),
    )  # fmt: skip


def _pack(url: str, rows: int) -> Packing:
    return asyncio.run(_measured(url, rows))


async def _measured(url: str, rows: int) -> Packing:
    lane = Lane(url, _ENCRYPTED)
    batches, provider = Batches(lane), OpenAIBatches(Account("main", "openai", "sk-none"))
    (waiting,) = await batches.waiting()
    await batches.plan(GROUP, cut(await batches.queued(GROUP, 10), waiting.queue, provider.limits), lease_s=_LEASE_S)
    (waiting,) = await batches.waiting()

    start = _Reading()
    found = cut(await batches.queued(GROUP, waiting.queue.flush_rows), waiting.queue, provider.limits)
    batch = await batches.plan(GROUP, found, lease_s=_LEASE_S)
    assert batch is not None
    plan = start.since()
    del found

    size, start = rows * BODY_BYTES, _Reading()
    file, written = await provider.pack(batch, batches.bodies(batch), size_bytes=size)
    pack = start.since()
    assert written == batch.rows
    file_mb = file.seek(0, 2) / 1e6
    file.close()

    start = _Reading()
    lines = [
        json.dumps({"custom_id": str(seq), "method": "POST", "url": GROUP.endpoint.value, "body": orjson.loads(body)})
        for seq, body in [pair async for pair in batches.bodies(batch)]
    ]
    assert "\n".join(lines).encode()
    joined = start.since()
    await provider.close()
    await lane.close()
    return Packing(batch.rows, file_mb, *plan, *pack, *joined)


class _Reading:
    """Of the clock and of memory, whose peak starts anew."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._mb, self._at, self._cpu_at = _memory_mb("VmRSS"), time.perf_counter(), time.process_time()

    def since(self) -> tuple[float, float, float]:
        """Seconds, the processor's seconds, growth of the peak."""
        grown_mb = _memory_mb("VmHWM") - self._mb
        return time.perf_counter() - self._at, time.process_time() - self._cpu_at, grown_mb


def _memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


def _tell(result: dict[str, Any]) -> None:
    for kind in ("texts", "letters"):
        found = result[kind]
        held = f"{found['redis_bytes_per_request']:.0f} bytes of Redis each"
        print(f"{kind}: {found['rows']} rows, {found['file_mb']:.1f} MB, {held}")
        for name, what in (("plan", "planned"), ("pack", "packed"), ("joined", "instead: all in a list, joined")):
            seconds, cpu_s, grown_mb = (found[f"{name}_{unit}"] for unit in ("s", "cpu_s", "mb"))
            print(f"  {what}: {seconds:.2f} s ({cpu_s:.2f} s of the processor), {grown_mb:+.1f} MB")
    for fsync in ("everysec", "always"):
        if found := result.get(f"acceptance_{fsync}"):
            times = f"p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms"
            print(f"accepted, fsync {fsync}: {found['per_s']:.0f}/s, {times}")
    for name, least in AT_LEAST.items():
        if name in result:
            print(f"{name}: {result[name]} (at least {least:g}: {'met' if result[name] >= least else 'MISSED'})")
    for name, most in TARGETS.items():
        if name not in result:
            continue
        print(f"{name}: {result[name]} (at most {most}: {'met' if result[name] <= most else 'MISSED'})")
    print(f"{result['machine']}; {result['command']}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_lane", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--rows", type=int, default=50_000, help="(%(default)s)")
    parser.add_argument("--seconds", type=int, default=10, help="of acceptance, for each way to the disk (%(default)s)")
    parser.add_argument("--connections", type=int, default=16, help="of wrk (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="of the lane (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few rows: whether it runs, no figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
