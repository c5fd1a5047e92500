"""The projection against what comes true: the same calls again, marked as projected, at a provider that bills them."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from examples.provider_simulator.app import create_app
from examples.provider_simulator.simulator import Simulator
from fivelevers.audit import fields
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.prompt_cache import PromptCacheAudit
from fivelevers.levers.prompt_cache.breakpoints import Decision
from fivelevers.levers.prompt_cache.marks import Dialect, marked, places
from fivelevers.levers.prompt_cache.prefix import Position
from fivelevers.levers.prompt_cache.replay import Replay
from fivelevers.metering.cost import Unknown, cost
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.request import Api
from tests.unit.audit.logged import read_all

LOG = Path(__file__).parents[3] / "examples/logs/requests.jsonl.gz"


@dataclass
class Watched:
    """The replay's own decisions, as the audit takes them."""

    replay: Replay
    last: tuple[Any, Decision] | None = None

    def reusable(self, positions: tuple[Position, ...]) -> int:
        return self.replay.reusable(positions)

    def take(self, route: str, positions: tuple[Position, ...], *rest: Any, at: float) -> Decision:
        decision = self.replay.take(route, positions, *rest, at=at)
        self.last = positions, decision
        return decision


async def test_the_bill_falls_by_what_was_projected() -> None:
    prices = PriceBook.from_litellm_map(find_litellm_map())
    audit, paid_again = PromptCacheAudit(prices), Decimal(0)
    watched = Watched(audit._replay)
    audit._replay = watched  # type: ignore[assignment]  # to see each decision; it changes none
    calls, _ = read_all(LOG)
    bodies = [json.loads(line)["request"] for line in gzip.decompress(LOG.read_bytes()).splitlines()]
    sim = Simulator(seed=1, latency_scale=0)
    started, transport = time.time(), httpx.ASGITransport(create_app(sim))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        for call, body in zip(calls, bodies, strict=True):
            audit.see(call, call.alias)
            sim.clock.advance(max(started + call.at - calls[0].at - sim.clock.now(), 0))
            paid_again += await billed(client, call, with_marks({**body, "stream": False}, watched), prices)
    lines = audit.lines()
    paid, projected = (sum(getattr(line.projected, name) for line in lines) for name in ("paid", "marked"))
    assert projected < paid * Decimal("0.7")
    assert paid_again == pytest.approx(projected, rel=Decimal("0.02"))


def with_marks(body: dict[str, Any], watched: Watched) -> dict[str, Any]:
    assert watched.last is not None
    positions, decision = watched.last
    found = places(Api.MESSAGES, body, Dialect.ANTHROPIC)
    chosen = {found[positions[mark.at].segment]: mark.ttl_s for mark in decision.marks}
    return {**body, **marked(Api.MESSAGES, body, {p: ttl_s for p, ttl_s in chosen.items() if p}, Dialect.ANTHROPIC)}


async def billed(client: httpx.AsyncClient, call: LoggedCall, body: dict[str, Any], prices: PriceBook) -> Decimal:
    """USD of the input of one call."""
    answer = await client.post("/v1/messages", json=body, headers={"x-api-key": "k", "anthropic-version": "2023-06-01"})
    assert answer.status_code == 200, answer.text
    usage = fields.usage(answer.json()["usage"])
    assert usage is not None
    usd = cost(replace(usage, output=0), prices.price(call.model))
    assert not isinstance(usd, Unknown)
    return usd
