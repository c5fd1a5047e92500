"""The levers on known traffic at a simulated provider, and its bill: what an audit's projections are held against.

Lever 1 is the proxy's own decision with a memory in the process (fivelevers.prefix_caching); lever 2 sends nothing that
the traffic knows to be the same; lever 3 sends in batches what nobody waits for, rescues at the deadline included;
lever 4 sends the dear model's calls of a route to the cheap one. Each call of a route is billed by the simulator, which
has its own tokenizer, its own cache and its own times of batches.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx

from benchmarks.rig.audit_traffic import CHEAP, DEAR, Sent
from examples.provider_simulator.answer import Answer
from examples.provider_simulator.app import create_app
from examples.provider_simulator.conversation import Conversation
from examples.provider_simulator.mind import Mind
from examples.provider_simulator.prices import Model
from examples.provider_simulator.simulator import Simulator
from fivelevers.audit import fields
from fivelevers.levers.prompt_cache.marks import Dialect, marked, places
from fivelevers.levers.prompt_cache.node import Node
from fivelevers.levers.prompt_cache.reuse import Hazards
from fivelevers.policy import BatchSwitch
from fivelevers.prefix_caching import Tokenizers, consider, learn
from fivelevers.prices import PriceBook
from fivelevers.providers.cache_rules import TermBook
from fivelevers.request import Api, parse

_HEADERS = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
_BATCH_S = 30.0  # how long the lane gathers rows
_FOREVER_S = 20 * 86_400.0


class Memory:
    """What is known of prefixes, as the store keeps it."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[bytes, bytes], Node] = {}
        self._hazards: dict[str, Hazards] = {}

    async def look(self, scope: bytes, nodes: Sequence[bytes]) -> Mapping[bytes, Node]:
        return {name: found for name in nodes if (found := self._nodes.get((scope, name))) is not None}

    def note(self, scope: bytes, nodes: Mapping[bytes, Node], route: str, counts: Mapping[str, float]) -> None:
        self._nodes.update({(scope, name): node for name, node in nodes.items()})
        self.hazards(route).add(counts)

    def hazards(self, route: str) -> Hazards:
        return self._hazards.setdefault(route, Hazards())


class SameWords(Mind):
    """Answers a prompt in the same words each time, so that bills differ by what the levers do alone."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random()
        super().__init__(seed, self._source)

    def answer(self, conversation: Conversation, model: Model) -> Answer:
        self._source.seed(conversation.turns[-1].text())
        return super().answer(conversation, model)


class Provider:
    """A simulator that is sent calls at times of its own clock."""

    def __init__(self, seed: int) -> None:
        self._sim, self._began = Simulator(seed=seed, latency_scale=0), time.time()
        self._sim.mind = SameWords(seed)
        transport = httpx.ASGITransport(create_app(self._sim))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://simulator", headers=_HEADERS, timeout=60)

    def at(self, seconds: float) -> None:
        """``seconds`` after the first call; time never goes back."""
        self._sim.clock.advance(max(self._began + seconds - self._sim.clock.now(), 0))

    async def ask(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Whole, as a gateway logs what was streamed."""
        answer = await self.client.post("/v1/messages", json={**body, "stream": False})
        answer.raise_for_status()
        return dict(answer.json())

    @property
    def billed(self) -> Decimal:
        return sum((entry.usd for entry in self._sim.bill.entries), Decimal(0))


class Marking:
    """Lever 1 as the proxy runs it: decide, mark, learn from the usage."""

    def __init__(self, prices: PriceBook) -> None:
        self._terms, self._memory, self._tokenizers = TermBook(prices), Memory(), Tokenizers()

    async def ask(self, provider: Provider, sent: Sent, body: Mapping[str, Any]) -> None:
        terms, model = self._terms.of("anthropic", body["model"], None), body["model"]
        request = parse(Api.MESSAGES, body)
        if terms.prices is None:
            await provider.ask(body)
            return
        found = places(Api.MESSAGES, body, Dialect.ANTHROPIC)
        considered = await consider(
            request,
            [place is not None for place in found],
            terms.rules,
            terms.prices,
            self._memory,
            scope=model.encode(),
            route=sent.route,
            provider="anthropic",
            model=model,
            tokens_per_char=self._tokenizers.of(model),
            shadow=False,
            now=sent.at,
        )
        chosen = {place: mark.ttl_s for mark in considered.marks if (place := found[considered.segment(mark)])}
        answer = await provider.ask({**body, **marked(Api.MESSAGES, body, chosen, Dialect.ANTHROPIC)})
        usage = fields.usage(answer["usage"])
        assert usage is not None
        self._tokenizers.learn(model, request.chars, usage.prompt)
        learn(considered, usage, self._memory, now=sent.at)


async def bill(traffic: Sequence[Sent], levers: int, prices: PriceBook, seed: int) -> Decimal:
    """USD of all calls of a route with the first so many levers on."""
    live, marking, lane = Provider(seed), Marking(prices), list[Sent]()
    for sent in traffic:
        if levers >= 2 and sent.same:
            continue
        if levers >= 3 and sent.batchable:
            lane.append(sent)
            continue
        body = {**sent.body, "model": CHEAP} if levers >= 4 and sent.body["model"] == DEAR else sent.body
        live.at(sent.at - traffic[0].at)
        await (marking.ask(live, sent, body) if levers >= 1 else live.ask(body))
    return live.billed + (await _batched(lane, seed) if lane else Decimal(0))


async def _batched(rows: Sequence[Sent], seed: int) -> Decimal:
    """What is not done by the deadline is asked again live, and billed twice where the batch finishes after all."""
    provider, open_ = Provider(seed), list(rows)
    while open_:
        until = open_[0].at + _BATCH_S
        batch = [sent for sent in open_ if sent.at < until]
        open_ = open_[len(batch) :]
        requests = [{"custom_id": f"row-{n}", "params": dict(sent.body)} for n, sent in enumerate(batch)]
        made = await provider.client.post("/v1/messages/batches", json={"requests": requests})
        made.raise_for_status()
        await _deadline(provider, batch, made.json()["id"])
    return provider.billed


async def _deadline(provider: Provider, batch: Sequence[Sent], name: str) -> None:
    await provider.client.post("/sim/clock", json={"advance_s": BatchSwitch().deadline_s})
    found = (await provider.client.get(f"/v1/messages/batches/{name}")).json()
    if found["processing_status"] != "ended":
        for sent in batch:
            await provider.ask(sent.body)
        await provider.client.post("/sim/clock", json={"advance_s": _FOREVER_S})
        await provider.client.get(f"/v1/messages/batches/{name}")
