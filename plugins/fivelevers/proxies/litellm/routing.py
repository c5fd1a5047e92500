"""Lever 4 in LiteLLM: of a group that holds several models, the deployments of the one that shall answer.

LiteLLM asks before it chooses, so that keys, budgets, cool-downs and the choice among equals stay its own. Whatever the
lever does nothing for goes to the strong model, never to any of the group. A cheaper model that failed is not asked
again for the same request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from litellm.responses.utils import ResponsesAPIRequestUtils

from fivelevers import metrics
from fivelevers.engine import Answer, Payee, Plan, WithoutUs, without_routing
from fivelevers.errors import StoreError
from fivelevers.levers.routing.needs import Needs, needs_of
from fivelevers.levers.routing.prompt import Tie, goes_on, prompt_of, tie_of
from fivelevers.metering.event import Routed
from fivelevers.order import Mode
from fivelevers.proxies.litellm.decision import decision as decision_of
from fivelevers.proxies.litellm.moving import moving_usd
from fivelevers.proxies.litellm.pinning import left
from fivelevers.proxies.litellm.state import State
from fivelevers.proxies.litellm.tiers import Tier, id_of, tiers_of
from fivelevers.request import Api
from fivelevers.stores.route_artifacts import Loaded

if TYPE_CHECKING:
    from fivelevers.levers.routing.artifact import Artifact, Decision
    from fivelevers.levers.routing.features import Features

LEVER: Final = "routing"
HEADER: Final = "x-fivelevers-routing"
MODEL_HEADER: Final = "x-fivelevers-model"
TASK_HEADER: Final = "x-fivelevers-task"
_APIS: Final = frozenset({Api.CHAT, Api.MESSAGES, Api.RESPONSES})


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request decides. ``features`` None: nothing is decided, or there is no text to decide on.

    ``task``: the cell of the artifact; the request names it by a header, or it is the route's name.
    """

    task: str
    features: Features | None
    chars: int
    needs: Needs
    tie: Tie | None
    goes_on: bool
    previous_id: str | None
    wished: str | None


class Routing:
    """Lever 4 on one request: its attempts come one after the other. ``said`` goes into its header.

    ``strong`` answers whatever is not routed. ``previous``: the model that answered the conversation last.
    """

    def __init__(self, plan: Plan, asked: Asked, loaded: Loaded, strong: str, state: State) -> None:
        self.said = ""
        self.plan, self.asked, self.loaded, self.strong, self.state = plan, asked, loaded, strong, state
        self.decision: Decision | None = None
        self.reason = ""
        self.group = ""
        self.tiers: dict[str, Tier] = {}
        self.previous: str | None = None
        self._failed = False
        self._region: Any = None

    async def among(
        self, group: str, deployments: list[Any], kwargs: Mapping[str, Any], *, answered: bool
    ) -> list[Any] | None:
        """Those that may have it; None where the group holds none of the artifact's models.

        ``answered``: nobody will be asked, since there is an answer already, or the request waits for a batch.
        """
        usable = await left(group, deployments, kwargs) or deployments
        artifact = self.loaded.artifact
        models = (self.strong,) if artifact is None else artifact.model.models
        self.group, self.tiers = group, tiers_of(usable, models, self.state.prices)
        if not self.tiers:
            return None
        self._region = kwargs.get("allowed_model_region")
        model = self.strong if answered else await self._model()
        return self._of(model, usable) or self._of(self.strong, usable) or None

    def _of(self, model: str, deployments: Sequence[Any]) -> list[Any]:
        mine = {name for name, tier in self.tiers.items() if tier.model == model}
        return [deployment for deployment in deployments if id_of(deployment) in mine]

    async def _model(self) -> str:
        """Whatever fails here, the strong model answers."""
        try:
            model, reason = await self._decided()
        except Exception as error:
            metrics.count_bypass(LEVER, "decide", error)
            model, reason = self.strong, "error"
        self._say(model, reason)
        return model

    async def _decided(self) -> tuple[str, str]:
        asked = self.asked
        if asked.goes_on and self.previous is None:
            self.previous = await self._before()
        if asked.tie is not None:  # whatever the lever may do: no other model can go on
            return self.previous or self.strong, asked.tie.value
        if self._failed:
            return self.strong, "failed"
        artifact, features, why = self.loaded.artifact, asked.features, self._idle()
        if why is not None or artifact is None or features is None:
            return self.strong, why or "no-prompt"
        if asked.wished is not None and asked.wished in self._able():
            return asked.wished, "caller"
        return await self._by_artifact(artifact, features)

    def _idle(self) -> str | None:
        """Why nothing is decided for this request; None where it is."""
        plan = self.plan
        if plan.mode(LEVER) is Mode.OFF:
            if plan.arm.holdout:
                return "holdout"
            if LEVER in plan.skipped:
                return "skipped"
            return "untreated" if plan.route.levers.routing.mode is Mode.ON else "off"
        if self.loaded.artifact is None:
            return "no-artifact"
        return None if self.loaded.holds else "stale"

    async def _by_artifact(self, artifact: Artifact, features: Features) -> tuple[str, str]:
        asked, able = self.asked, self._able()
        free = artifact.decide(features, asked.task, asked.chars, able=able)
        decision, reason = free, free.reason.value
        if asked.goes_on and free.model != (self.previous or self.strong):
            decision = await self._moved(artifact, features, free)
            reason = reason if decision.model == free.model else "kept"
        elif free.model == self.strong and len(able) < len(artifact.model.models):
            wider = artifact.decide(features, asked.task, asked.chars)
            reason = reason if wider.model == self.strong else "unable"
        self.decision = decision
        if self.plan.mode(LEVER) is Mode.ON:
            return decision.model, reason
        return self.strong, f"shadow {reason}"

    async def _moved(self, artifact: Artifact, features: Features, free: Decision) -> Decision:
        """The same, with what it costs to leave the prefix that the conversation is warm at."""
        asked, previous = self.asked, self.previous or self.strong
        moving = await moving_usd(self.plan, self.state, self.tiers.values(), previous)
        decision = artifact.decide(features, asked.task, asked.chars, able=self._able(), moving_usd=moving)
        if previous == self.strong and decision.saved_usd <= 0:
            return replace(free, model=previous, gain=0.0, saved_usd=0.0)
        return decision

    def _able(self) -> frozenset[str]:
        """The models that can answer this request and may be asked now; of the strong one that is taken for granted."""
        needs, ratio, region = self.asked.needs, self.state.tokenizers.of, self._region
        there = [tier for tier in self.tiers.values() if region in (None, tier.region)]
        can = {tier.model for tier in there if not needs.unmet(tier.about, ratio(tier.payee.model))}
        return frozenset(can | {self.strong})

    async def _before(self) -> str | None:
        """The model that answered the conversation last; None where that was the strong one, or nobody knows."""
        if self.asked.previous_id is not None:
            name = ResponsesAPIRequestUtils.get_model_id_from_response_id(self.asked.previous_id)
            tier = self.tiers.get(name or "")
            if tier is not None:
                return tier.model
        try:
            found = await self.state.routed.last(self.group, self.plan.session)
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)
            return None
        return found if any(tier.model == found for tier in self.tiers.values()) else None

    def _say(self, model: str, reason: str) -> None:
        if not self.reason:
            metrics.requests.labels(LEVER, reason.replace(" ", "-")).inc()
        if reason not in (self.reason, "off"):  # an attempt that changes nothing is no news
            self.state.meter.record(self._told(model, reason))
        self.reason = reason
        told = [reason]
        if self.decision is not None:
            if self.decision.model != model:
                told.append(f"model={self.decision.model}")
            told += [f"gain={self.decision.gain:.3f}", f"saved_usd={self.decision.saved_usd:.6f}"]
        self.said = "; ".join(told)

    def _told(self, model: str, reason: str) -> Routed:
        plan, decision, artifact = self.plan, self.decision, self.loaded.artifact
        point = None if decision is None else decision.point
        known = artifact is not None and self.asked.task in artifact.model.routes
        chosen = None if artifact is None else artifact.certificate.chosen
        task = self.asked.task if known else ""  # else it is whatever a client wrote
        return replace(
            decision_of(plan, reason.removeprefix("shadow "), model, self.strong, task),
            chosen=None if decision is None else decision.model,
            gain=None if decision is None else decision.gain,
            saved_usd=None if decision is None else decision.saved_usd,
            point=point if point is not None and isfinite(point) else None,
            threshold=None if chosen is None else chosen.threshold,
            artifact=None if artifact is None else artifact.made_at,
        )

    def failed(self, deployment: str | None) -> None:
        """An attempt there gave no answer: the next one is the strong model's."""
        tier = self.tiers.get(deployment or "")
        self._failed = self._failed or (tier is not None and tier.model != self.strong)

    async def answered(self, answer: Answer) -> None:
        """An attempt ended well: the conversation is at its model now."""
        tier = self.tiers.get(answer.deployment or "")
        if tier is None or (answer.usage is None and answer.reported):  # a cached answer: nobody was asked
            return
        weak = tier.model if tier.model != self.strong else None
        if weak is None and self.previous in (None, self.strong):
            return
        try:
            await self.state.routed.note(self.group, self.plan.session, weak)
        except StoreError as error:
            metrics.count_bypass(LEVER, "redis", error)

    def without_us(self, answer: Answer, before: Sequence[WithoutUs]) -> tuple[WithoutUs, ...]:
        """What the strong model had cost, where a cheaper one answered. ``before``: what earlier levers changed."""
        tier = self.tiers.get(answer.deployment or "")
        if tier is None or tier.model == self.strong or answer.usage is None:
            return tuple(before)
        strong = next((tier.payee for tier in self.tiers.values() if tier.model == self.strong), None)
        return without_routing(before, answer.usage, strong or Payee(self.strong, None, None), answer.usage.output)


def routing(plan: Plan, body: Mapping[str, Any], state: State) -> Routing | None:
    """None on most requests: their route names no artifact and no strong model, or theirs is an API without prompts."""
    switch, api = plan.route.levers.routing, plan.request.api
    if api not in _APIS or (switch.artifact is None and switch.strong is None):
        return None
    loaded = Loaded(None) if switch.artifact is None else state.artifacts.of(switch.artifact)
    strong = switch.strong if loaded.artifact is None else loaded.artifact.certificate.strong
    if strong is None:
        metrics.count_bypass(LEVER, "artifact")
        return None
    asked = _asked(plan, body, decides=loaded.holds and plan.mode(LEVER) is not Mode.OFF)
    return Routing(plan, asked, loaded, strong, state)


def _asked(plan: Plan, body: Mapping[str, Any], *, decides: bool) -> Asked:
    api, headers, switch = plan.request.api, plan.caller.headers, plan.route.levers.routing
    tie = tie_of(api, body)
    text = prompt_of(api, body) if decides and tie is None else None
    previous = body.get("previous_response_id")
    return Asked(
        task=headers.get(TASK_HEADER) or plan.route.name,
        features=None if text is None else _features(text),
        chars=len(text or ""),
        needs=needs_of(api, body, plan.request.chars),
        tie=tie,
        goes_on=tie is not None or goes_on(api, body),
        previous_id=previous if isinstance(previous, str) else None,
        wished=headers.get(MODEL_HEADER) if switch.callers_may_choose else None,
    )


def _features(text: str) -> Features | None:
    """None, counted, where the text can not be read: the strong model answers."""
    from fivelevers.levers.routing.features import features_of  # needs numpy, which is there where an artifact is read

    try:
        return features_of(text)
    except Exception as error:
        metrics.count_bypass(LEVER, "features", error)
        return None
