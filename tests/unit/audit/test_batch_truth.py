"""Lever 3's projection against what comes true: the same calls in one batch, at a provider that bills it."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from examples.provider_simulator.app import create_app
from examples.provider_simulator.simulator import Simulator
from fivelevers.audit.batch import BatchAudit
from fivelevers.audit.batch_lines import RESCUED
from fivelevers.audit.prompt_cache import PromptCacheAudit
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.prices import PriceBook, find_litellm_map
from tests.unit.audit.logged import read_all
from tests.unit.audit.test_truth import LOG

PIPELINE = "ticket-pipeline"
HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}


async def test_the_bill_of_a_batch_is_what_was_projected() -> None:
    prices = PriceBook.from_litellm_map(find_litellm_map())
    marks, answers, batch = PromptCacheAudit(prices), SemanticCacheAudit(similar=False), BatchAudit(prices)
    paid = Decimal(0)
    for call in read_all(LOG)[0]:
        charge = marks.see(call, call.alias)
        batch.see(call, call.alias, charge, answers.see(call, call.alias, charge))
        paid += charge.paid if charge and call.alias == PIPELINE else 0
    (line,) = (line for (route, _), line in batch.lines().items() if route == PIPELINE)
    low, high = line.saving(after_lever_1=False) or (Decimal(0), Decimal(0))
    saved = paid - await billed(bodies())
    assert saved == pytest.approx(high, rel=Decimal("0.03"))  # no batch is late here; answers are drawn anew
    assert low == high - paid * RESCUED


def bodies() -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in gzip.decompress(LOG.read_bytes()).splitlines()]
    return [row["request"] for row in rows if row["model_group"] == PIPELINE]


async def billed(bodies: list[dict[str, Any]]) -> Decimal:
    """USD on the simulator's own bill, of one batch."""
    sim = Simulator(seed=1, latency_scale=0)
    requests = [{"custom_id": f"row-{n}", "params": body} for n, body in enumerate(bodies)]
    transport = httpx.ASGITransport(create_app(sim))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator", timeout=60) as client:
        made = await client.post("/v1/messages/batches", json={"requests": requests}, headers=HEADERS)
        assert made.status_code == 200, made.text
        await client.post("/sim/clock", json={"advance_s": 86_000})
        ended = await client.get(f"/v1/messages/batches/{made.json()['id']}", headers=HEADERS)
        assert ended.json()["request_counts"]["succeeded"] == len(bodies), ended.text
        lines = (await client.get("/sim/bill")).json()["lines"]
    assert all(line["batch"] for line in lines)
    return sum((Decimal(line["usd"]) for line in lines), Decimal(0))
