"""Lever 5 in LiteLLM: of a group that holds the original and its quantised model, the deployments of one of them.

Whatever the lever does nothing for, the original answers: what is held out, skipped, untreated or retreated, a call
that belongs to no request, a fault of ours, the attempt after a quantised one failed, and a registration that does not
hold any more. Where no original is left (all of them are cooling down), the traffic passes all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fivelevers import metrics
from fivelevers.engine import Answer, Payee, Plan, WithoutUs, without_quantization
from fivelevers.levers.quantization.deployments import registration_of
from fivelevers.levers.quantization.standing import unfit
from fivelevers.order import Mode
from fivelevers.policy.globs import compiled
from fivelevers.proxies.litellm.own_calls import router
from fivelevers.proxies.litellm.pinning import left
from fivelevers.proxies.litellm.state import State
from fivelevers.proxies.litellm.tiers import id_of, payee_of
from fivelevers.stores.registrations import Registered

LEVER: Final = "quantization"
HEADER: Final = "x-fivelevers-quantized"
_UNNAMED: Final = Registered(None, problem="the policy names no registration")


class Quantized:
    """Lever 5 on one request: its attempts come one after the other. ``said`` goes into its header: a word.

    ``own``: a lever's own call, which the original answers.
    """

    def __init__(self, plan: Plan, state: State, *, own: bool = False) -> None:
        self.said = ""
        self._plan, self._state, self._own = plan, state, own
        self._ids: frozenset[str] = frozenset()
        self._original: Payee | None = None
        self._failed = False

    async def among(
        self, group: str, deployments: list[Any], kwargs: Mapping[str, Any], *, answered: bool
    ) -> list[Any] | None:
        """Those that may have it; None where the group holds no quantised model, or nothing else.

        ``answered``: nobody will be asked, since there is an answer already, or the request waits for a batch.
        """
        if not any(map(registration_of, deployments)):
            return None
        usable = await left(group, deployments, kwargs) or deployments
        originals = originals_of(usable) or originals_of(deployments)
        quantised = [one for one in usable if registration_of(one) is not None]
        self._ids |= {id_of(one) for one in quantised}
        self._original = payee_of(originals[0]) if originals else self._original
        if answered:
            return originals or None
        chosen, word = self._decided(quantised)
        if not (chosen or originals):
            word = "original-unavailable"
        if not self.said:
            metrics.requests.labels(LEVER, word.replace(" ", "-")).inc()
        self.said = word
        return chosen or originals or None

    def _decided(self, quantised: Sequence[Any]) -> tuple[list[Any], str]:
        """Whatever fails here, the original answers."""
        try:
            idle = self._idle()
            if idle is not None:
                return [], idle
            fit = self._fit(quantised)
        except Exception as error:
            metrics.count_bypass(LEVER, "decide", error)
            return [], "error"
        if not fit:
            return [], "void"
        return (fit, "fp8") if self._plan.mode(LEVER) is Mode.ON else ([], "shadow fp8")

    def _idle(self) -> str | None:
        """Why the lever does nothing for this request; None where it may."""
        plan = self._plan
        if self._own:
            return "own-call"
        if plan.mode(LEVER) is Mode.OFF:
            if plan.arm.holdout:
                return "holdout"
            if LEVER in plan.skipped:
                return "skipped"
            return "untreated" if plan.route.levers.quantization.mode is Mode.ON else "off"
        return "failed" if self._failed else None

    def _fit(self, quantised: Sequence[Any]) -> list[Any]:
        registered = registration(self._plan.route.levers.quantization.registration, self._state)
        return [one for one in quantised if problem(one, registered, self._state) is None]

    def failed(self, deployment: str | None) -> None:
        """An attempt there gave no answer: the next one is the original's."""
        self._failed = self._failed or deployment in self._ids

    def without_us(self, answer: Answer, before: Sequence[WithoutUs]) -> tuple[WithoutUs, ...]:
        """What the original had cost, where the quantised model answered. ``before``: what earlier levers changed."""
        if answer.deployment not in self._ids or answer.usage is None or self._original is None:
            return tuple(before)
        return without_quantization(before, answer.usage, self._original)


def originals_of(deployments: Sequence[Any]) -> list[Any]:
    return [one for one in deployments if registration_of(one) is None]


def registration(name: str | None, state: State) -> Registered:
    return _UNNAMED if name is None else state.registrations.of(name)


def problem(one: Mapping[str, Any], registered: Registered, state: State) -> str | None:
    """Why a quantised deployment may have no traffic; None where it may."""
    if registered.problem is not None or registered.found is None:
        return registered.problem or "its registration can not be read"
    return unfit(one, registered.found, registered.name, state.served.of(one))


def voids(state: State) -> dict[str, str]:
    """By route that names a registration: why no quantised deployment may have its traffic. Routes where one may are
    left out."""
    found: dict[str, str] = {}
    for route in state.policy.current().routes:
        switch = route.levers.quantization
        if switch.registration is None or switch.mode not in (Mode.ON, Mode.SHADOW):
            continue
        registered = registration(switch.registration, state)
        alias = None if route.match.model is None else compiled(route.match.model)
        whys = [
            problem(one, registered, state)
            for one in getattr(router(), "model_list", None) or ()
            if registration_of(one) is not None and (alias is None or alias.match(str(one.get("model_name"))))
        ]
        if None not in whys:
            found[route.name] = registered.problem or next(filter(None, whys), "no deployment is registered by it")
    return found
