"""Whether a certificate of lever 4's holds on live traffic: who watches a router or a cascade tells it of each request.

What is certified is a loss for each request of the route, by whomever it was answered. So the requests that are looked
at are drawn from all that the artifact decided about: where the strong model answered, nothing is lost and nobody is
asked; elsewhere both answers are compared, by the route's validators, or without those by a judge, to whom another
answer than the strong model's is a loss. What can not be compared, or not be paid for today, does not count. Once the
evidence is there (levers/routing/watch.py) the route goes back to shadow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fivelevers import metrics
from fivelevers.answer_judging import Judges
from fivelevers.engine import Answer, Plan
from fivelevers.errors import StoreError
from fivelevers.levers.routing.prompt import goes_on, prompt_of
from fivelevers.metering.arms import unit_interval
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.validators import judge
from fivelevers.order import Mode
from fivelevers.output import Output
from fivelevers.proxies.litellm import flight, own_calls
from fivelevers.proxies.litellm.routing import LEVER, Routing
from fivelevers.proxies.litellm.state import State
from fivelevers.stores.watched import LOST, TESTED, WON, Seen
from fivelevers.tools import tools_of

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact

ACTOR: Final = "watch"
_PURPOSE: Final = b"fivelevers watch"
_LIMIT_S: Final = 120.0  # of an answer that nobody waits for
_TOLD_S: Final = 10.0  # after it: LiteLLM tells of its end a moment later
_MIX_FROM: Final = 200  # conversations; those of one moment are more alike than the test of a mix assumes

Pair = Callable[[], Awaitable[tuple[Output, Output] | None]]
"""Asks who was not asked yet: the cheaper model's answer and the strong one's, None where one of them is missing."""
Compared = tuple[int, int]
"""Lost and won: the cheaper model's answer was no good and the strong one's was, and the other way round."""


@dataclass(frozen=True, slots=True)
class CertificateWatch:
    """Of one request, which ``artifact`` decided about. ``body`` as the client sent it."""

    plan: Plan
    state: State
    artifact: Artifact
    body: Mapping[str, Any]

    def see(self, point: float | None, pair: Pair | None) -> None:
        """The caller has its answer. ``point``: the decision's, None where there was none. ``pair`` None: it is the
        strong model's."""
        counts: dict[str, int] = {}
        if point is not None and not goes_on(self.plan.request.api, self.body):
            counts[str(self.artifact.mix.class_of(point))] = 1
        self.state.hold(asyncio.get_running_loop().create_task(self._watch(counts, pair)))

    async def _watch(self, counts: dict[str, int], pair: Pair | None) -> None:
        try:
            if self._drawn() and await self._affordable():
                compared = (0, 0) if pair is None else await self._compared(await pair())
                if pair is not None:
                    _count(compared)
                if compared is not None:
                    counts |= {TESTED: 1, LOST: compared[0], WON: compared[1]}
            if counts:
                await self._judge(await self.state.watched.add(self._name(), counts))
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)
        except Exception as error:
            metrics.count_bypass(LEVER, "watch", error)

    def _drawn(self) -> bool:
        switch = self.plan.route.levers.routing
        share = switch.watch_share if self._acts else switch.pair_share
        return unit_interval(self.plan.route.name, self.plan.request_id, _PURPOSE) < share

    async def _affordable(self) -> bool:
        """Asked of every request that is drawn, or those that cost nothing would be the ones that count."""
        route = self.plan.route
        return await self.state.watch_spend.spent_usd(route.name) < route.levers.routing.watch_usd_per_day

    @property
    def _acts(self) -> bool:
        return self.plan.mode(LEVER) is Mode.ON

    def _name(self) -> str:
        """Evidence speaks of one certificate, since the lever was last switched on this route."""
        route, board = self.plan.route.name, self.state.switches.current()
        places = [(route, LEVER), (route, "*"), ("*", LEVER), ("*", "*")]
        stamps = [board.latest[place].stamp for place in places if place in board.latest]
        since = max(stamps)[1][:12] if stamps else "-"
        kind, shadow = ":cascade" if self.artifact.cascade else "", "" if self._acts else ":shadow"
        return f"{route}:{self.artifact.made_at:.0f}:{since}{kind}{shadow}"

    async def second(self, call: Awaitable[Any], routing: Routing | None = None) -> tuple[Answer, Any] | None:
        """The answer to a call of the lever's own, charged to it and to no key; None where there is none."""
        own = self._own()
        own.routing = routing
        try:
            async with asyncio.timeout(_LIMIT_S):
                await _as(own, call)
            async with asyncio.timeout(_TOLD_S):
                return None if own.heard is None else await own.heard
        except Exception:  # whatever becomes of it, its caller has an answer
            return None

    def _own(self) -> flight.Flight:
        own = flight.Flight(self.plan, self.state, charged_to=LEVER)
        own.heard = asyncio.get_running_loop().create_future()
        return own

    async def _compared(self, answers: tuple[Output, Output] | None) -> Compared | None:
        if answers is None:
            return None
        return await (self._by_validators if self.plan.route.validators else self._by_judge)(*answers)

    async def _by_validators(self, weak: Output, strong: Output) -> Compared | None:
        tools, checks = tools_of(self.body), self.state.checks.of(self.plan.policy, self.plan.route)
        said = [(await asyncio.to_thread(judge, checks, one, tools)).outcome for one in (weak, strong)]
        if Outcome.UNKNOWN in said:
            return None
        good = [one is Outcome.SUCCESS for one in said]
        return int(good[1] and not good[0]), int(good[0] and not good[1])

    async def _by_judge(self, weak: Output, strong: Output) -> Compared | None:
        levers = self.plan.route.levers
        settings = levers.semantic_cache.judge.model_copy(update={"usd_per_day": levers.routing.watch_usd_per_day})
        judges = Judges(self.plan.route.name, settings, None, self.state.watch_spend, self._ask_judge)
        question = prompt_of(self.plan.request.api, self.body) or ""
        verdict = await judges.compare(question, strong.text, [weak.text])
        return None if verdict.said is None else (int(verdict.same is None), 0)

    async def _ask_judge(self, model: str, messages: Sequence[dict[str, str]]) -> str | None:
        reply: str | None = await _as(self._own(), own_calls.ask(model, messages))
        return reply

    async def _judge(self, seen: Seen) -> None:
        """Back to shadow where the evidence is there."""
        from fivelevers.levers.routing.bound import Pairs
        from fivelevers.levers.routing.watch import ALPHA, loses

        if not self._acts or LEVER in self.state.switches.current().retreated(self.plan.route.name):
            return
        epsilon = self.artifact.certificate.promise.epsilon
        pairs, mix = Pairs(seen.tested, seen.lost, seen.won), self.artifact.mix
        if pairs.tested and loses(pairs, epsilon, ALPHA / 2):
            await self._retreat(
                f"of {pairs.tested} requests that were looked at {pairs.lost} got a worse answer than the strong "
                f"model's and {pairs.won} a better one; {epsilon:g} of loss is promised"
            )
            return
        counts = [seen.classes.get(at, 0) for at in range(len(mix.most))]
        grown = mix.shifted(counts) if sum(counts) >= _MIX_FROM else None
        if grown is not None:
            await self._retreat(
                f"the route is asked otherwise than when it was certified: {counts[grown]} of {sum(counts)} requests "
                f"are of a kind that {mix.most[grown]:.0%} were at most"
            )

    async def _retreat(self, reason: str) -> None:
        route, switches = self.plan.route.name, self.state.switches
        await asyncio.to_thread(switches.retreat, route, LEVER, actor=ACTOR, reason=reason)


async def _as(own: flight.Flight, call: Awaitable[Any]) -> Any:
    """A task of its own, whose hooks see ``own``."""

    async def run() -> Any:
        flight.current.set(own)
        return await call

    return await asyncio.get_running_loop().create_task(run())


def _count(compared: Compared | None) -> None:
    told = "unknown" if compared is None else {(1, 0): "lost", (0, 1): "won"}.get(compared, "same")
    metrics.requests.labels(LEVER, f"watch-{told}").inc()
