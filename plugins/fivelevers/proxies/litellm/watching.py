"""Whether lever 4's certificate holds on live traffic: some requests are answered by the other model too, and compared.

Where a cheaper model answered, the strong one is asked behind the request; in shadow, the cheaper one. Both outcomes
come from the route's validators; without those a judge says whether the two say the same, and another answer than the
strong model's counts as a loss. Once the evidence is there (levers/routing/watch.py) the route goes back to shadow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fivelevers import metrics
from fivelevers.answer_judging import Judges
from fivelevers.engine import Answer
from fivelevers.errors import StoreError
from fivelevers.levers.routing.prompt import prompt_of
from fivelevers.metering.arms import unit_interval
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.validators import judge
from fivelevers.order import Mode
from fivelevers.output import Output
from fivelevers.proxies.litellm import flight, own_calls, reading
from fivelevers.proxies.litellm.reading import mapping
from fivelevers.proxies.litellm.routing import LEVER, Routing
from fivelevers.request import Api
from fivelevers.stores.watched import LOST, TESTED, WON, Seen
from fivelevers.tools import tools_of

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact

ACTOR: Final = "watch"
_PURPOSE: Final = b"fivelevers watch"
_LIMIT_S: Final = 120.0  # of an answer that nobody waits for
_TOLD_S: Final = 10.0  # after it: LiteLLM tells of its end a moment later
_MIX_FROM: Final = 200  # conversations; those of one moment are more alike than the test of a mix assumes
_NOT_SENT: Final = frozenset({"model", "stream", "stream_options", "background", "metadata"})
_CALLS: Final = {Api.CHAT: "acompletion", Api.RESPONSES: "aresponses", Api.MESSAGES: "aanthropic_messages"}

Compared = tuple[int, int]
"""Lost and won: the cheaper model's answer was no good and the strong one's was, and the other way round."""


class Forced(Routing):
    """The same request at a given model."""

    def __init__(self, of: Routing, model: str) -> None:
        super().__init__(of.plan, of.asked, of.loaded, of.strong, of.state)
        self._forced = model

    async def _model(self) -> str:
        return self._forced

    async def answered(self, answer: Answer) -> None:
        """The conversation is where its caller's answer came from."""


@dataclass(frozen=True, slots=True)
class Watching:
    """``body`` as the client sent it."""

    routing: Routing
    body: Mapping[str, Any]

    def answered(self, answer: Answer, response: Any) -> None:
        """The caller has its answer."""
        decision, artifact = self.routing.decision, self.routing.loaded.artifact
        tier = self.routing.tiers.get(answer.deployment or "")
        if decision is None or artifact is None or tier is None or answer.usage is None or not answer.reported:
            return
        counts: dict[str, int] = {}
        if decision.point is not None and not self.routing.asked.goes_on:
            counts[str(artifact.mix.class_of(decision.point))] = 1
        other = self._other(tier.model, decision.model)
        paired = other is not None and self._drawn()
        work = self._watch(artifact, counts, other if paired else None, reading.output_of(response))
        self.routing.state.hold(asyncio.get_running_loop().create_task(work))

    def _other(self, model: str, decided: str) -> str | None:
        """Who else is to answer; None where the cheaper and the strong one are the same."""
        strong = self.routing.strong
        if self.routing.plan.mode(LEVER) is Mode.ON:
            return strong if model != strong else None
        return decided if model == strong != decided else None

    def _drawn(self) -> bool:
        plan = self.routing.plan
        switch = plan.route.levers.routing
        share = switch.watch_share if plan.mode(LEVER) is Mode.ON else switch.pair_share
        return unit_interval(plan.route.name, plan.request_id, _PURPOSE) < share

    async def _watch(self, artifact: Artifact, counts: dict[str, int], other: str | None, mine: Output) -> None:
        try:
            if other is not None:
                compared = await self._paired(other, mine)
                _count(compared)
                if compared is not None:
                    counts |= {TESTED: 1, LOST: compared[0], WON: compared[1]}
            if counts:
                seen = await self.routing.state.watched.add(self._name(artifact), counts)
                await self._judge(artifact, seen)
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)
        except Exception as error:
            metrics.count_bypass(LEVER, "watch", error)

    def _name(self, artifact: Artifact) -> str:
        """Evidence speaks of one certificate, since the lever was last switched on this route."""
        route, board = self.routing.plan.route.name, self.routing.state.switches.current()
        places = [(route, LEVER), (route, "*"), ("*", LEVER), ("*", "*")]
        stamps = [board.latest[place].stamp for place in places if place in board.latest]
        since = max(stamps)[1][:12] if stamps else "-"
        shadow = "" if self.routing.plan.mode(LEVER) is Mode.ON else ":shadow"
        return f"{route}:{artifact.made_at:.0f}:{since}{shadow}"

    async def _paired(self, other: str, mine: Output) -> Compared | None:
        if not await self._affordable():
            return None
        theirs = await self._ask(other)
        if theirs is None:
            return None
        weak, strong = (mine, theirs) if other == self.routing.strong else (theirs, mine)
        return await self._compared(weak, strong)

    async def _affordable(self) -> bool:
        plan, state = self.routing.plan, self.routing.state
        return await state.watch_spend.spent_usd(plan.route.name) < plan.route.levers.routing.watch_usd_per_day

    async def _ask(self, model: str) -> Output | None:
        """Charged to the lever and to no key; None where it gave no answer."""
        router, api = own_calls.router(), self.routing.plan.request.api
        body = {name: value for name, value in self.body.items() if name not in _NOT_SENT}
        own = flight.Flight(self.routing.plan, self.routing.state, charged_to=LEVER)
        own.heard = heard = asyncio.get_running_loop().create_future()
        own.routing = Forced(self.routing, model)
        call = getattr(router, _CALLS[api], None)
        if call is None:
            return None
        try:
            async with asyncio.timeout(_LIMIT_S):
                await _as(own, call(model=self.routing.group, num_retries=0, **body))
            async with asyncio.timeout(_TOLD_S):
                answer, response = await heard
        except Exception:  # whatever becomes of it, its caller has an answer
            return None
        tier = own.routing.tiers.get(answer.deployment or "")
        return reading.output_of(response) if tier is not None and tier.model == model else None

    async def _compared(self, weak: Output, strong: Output) -> Compared | None:
        plan, state = self.routing.plan, self.routing.state
        if plan.route.validators:
            tools, checks = tools_of(self.body), state.checks.of(plan.policy, plan.route)
            said = [(await asyncio.to_thread(judge, checks, one, tools)).outcome for one in (weak, strong)]
            if Outcome.UNKNOWN in said:
                return None
            good = [one is Outcome.SUCCESS for one in said]
            return int(good[1] and not good[0]), int(good[0] and not good[1])
        settings = plan.route.levers.semantic_cache.judge.model_copy(
            update={"usd_per_day": plan.route.levers.routing.watch_usd_per_day}
        )
        judges = Judges(plan.route.name, settings, None, state.watch_spend, self._ask_judge)
        question = prompt_of(plan.request.api, self.body) or ""
        verdict = await judges.compare(question, strong.text, [weak.text])
        return None if verdict.said is None else (int(verdict.same is None), 0)

    async def _ask_judge(self, model: str, messages: Sequence[dict[str, str]]) -> str | None:
        own = flight.Flight(self.routing.plan, self.routing.state, charged_to=LEVER)
        reply: str | None = await _as(own, own_calls.ask(model, messages))
        return reply

    async def _judge(self, artifact: Artifact, seen: Seen) -> None:
        """Back to shadow where the evidence is there."""
        from fivelevers.levers.routing.bound import Pairs
        from fivelevers.levers.routing.watch import ALPHA, loses

        plan = self.routing.plan
        if plan.mode(LEVER) is not Mode.ON or LEVER in self.routing.state.switches.current().retreated(plan.route.name):
            return
        epsilon, pairs = artifact.certificate.promise.epsilon, Pairs(seen.tested, seen.lost, seen.won)
        if pairs.tested and loses(pairs, epsilon, ALPHA / 2):
            await self._retreat(
                f"of {pairs.tested} answers that were compared {pairs.lost} were worse than the strong model's and "
                f"{pairs.won} better; {epsilon:g} of loss is promised"
            )
            return
        counts = [seen.classes.get(at, 0) for at in range(len(artifact.mix.most))]
        grown = artifact.mix.shifted(counts) if sum(counts) >= _MIX_FROM else None
        if grown is not None:
            await self._retreat(
                f"the route is asked otherwise than when it was certified: {counts[grown]} of {sum(counts)} requests "
                f"are of a kind that {artifact.mix.most[grown]:.0%} were at most"
            )

    async def _retreat(self, reason: str) -> None:
        route, switches = self.routing.plan.route.name, self.routing.state.switches
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


def watching(routing: Routing | None, data: Mapping[str, Any]) -> Watching | None:
    """None where nothing is decided, and on a request that can not be asked again."""
    sent = mapping(mapping(data.get("proxy_server_request")).get("body"))
    return None if routing is None or routing.asked.features is None or not sent else Watching(routing, dict(sent))
