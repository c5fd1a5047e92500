"""Make the example log anew: `python -m examples.logs.build` sends the example traffic to the provider simulator.

Each line is a request and its response as the providers' APIs have them, at the time at which the traffic sends it. The
support assistant is one that writes the time into the first line of its system prompt, as many do. Those that stream
are asked whole, since a gateway logs them so: the request says `stream`, the response is put together.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from examples.provider_simulator.app import create_app
from examples.provider_simulator.simulator import Simulator
from examples.traffic.workload import Request, load_all

HERE = Path(__file__).parent
LOG = HERE / "requests.jsonl.gz"
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
SUPPORT_REQUESTS, SUPPORT_CHARS = 100, 8000  # the first pages of its manual are enough here
TICKETS = 92  # two runs of the pipeline
MODEL, SMALL_MODEL = "claude-sonnet-4-5", "claude-haiku-4-5"


def main() -> None:
    lines = asyncio.run(_lines())
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    LOG.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{LOG.name}: {len(lines)} lines, {LOG.stat().st_size / 1e3:.0f} kB")


async def _lines() -> list[dict[str, Any]]:
    sim = Simulator(seed=1, latency_scale=0)
    transport, started = httpx.ASGITransport(create_app(sim)), time.time()
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator", timeout=60) as client:
        return [line async for line in _sent(client, sim, started)]


async def _sent(client: httpx.AsyncClient, sim: Simulator, started: float) -> AsyncIterator[dict[str, Any]]:
    for request in load_all():
        body = _body(request)
        if body is not None:
            sim.clock.advance(max(started + request.at_s - sim.clock.now(), 0))
            headers = {"x-api-key": "sk-sample", "anthropic-version": "2023-06-01"}
            asked = {name: value for name, value in body.items() if name != "stream"}
            answer = await client.post("/v1/messages", json=asked, headers=headers)
            yield {
                "timestamp": _time(request).isoformat(),
                "model_group": request.body["model"],
                "key_alias": request.tenant,
                "request": body,
                "response": answer.json(),
            }


def _time(request: Request) -> datetime:
    return datetime.fromtimestamp(START.timestamp() + request.at_s, UTC)


_support_left = iter(range(SUPPORT_REQUESTS))
_tickets_left = iter(range(TICKETS))


def _body(request: Request) -> Mapping[str, Any] | None:
    """The body for the Messages API; None for what the log leaves out."""
    body = {name: value for name, value in request.body.items() if name != "stream_options"}
    if request.body["model"] == "coding-agent":
        return {**body, "model": MODEL}
    if request.body["model"] == "ticket-pipeline" and "tools" not in body and next(_tickets_left, None) is not None:
        instructions, ticket = body.pop("messages")
        return {**body, "model": SMALL_MODEL, "system": instructions["content"], "messages": [ticket]}
    if request.workload != "support" or next(_support_left, None) is None:
        return None
    first, *rest = body["messages"]
    manual = first["content"][:SUPPORT_CHARS]
    system = f"The time is {_time(request):%Y-%m-%d %H:%M:%S} UTC.\n{manual}"
    return {"model": MODEL, "max_tokens": body["max_tokens"], "stream": True, "system": system, "messages": rest}


if __name__ == "__main__":
    main()
