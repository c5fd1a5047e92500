"""What a route's calibration leaves behind: the model that decides, what was proven of it, and for what that holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fivelevers.levers.routing.certify import Certificate, Point, Verdict
from fivelevers.levers.routing.choose import choose, turning_points
from fivelevers.levers.routing.features import Features
from fivelevers.levers.routing.model import Model
from fivelevers.levers.routing.overview import Overview
from fivelevers.levers.routing.watch import Mix
from fivelevers.prices import Kind, PriceBook


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """USD per token."""

    input_usd: Decimal
    output_usd: Decimal


class Reason(StrEnum):
    """Why a request goes where it goes."""

    ROUTED = "routed"  # to a cheaper model
    WORTH_IT = "worth-it"  # the strong model, by what is expected of it
    UNKNOWN_ROUTE = "unknown-route"  # nothing of this route was labelled: the strong model
    NOT_CERTIFIED = "not-certified"  # the verdict is not to route: the strong model


@dataclass(frozen=True, slots=True)
class Decision:
    """``gain``: the chance of the strong model to be right, less that of the chosen one. ``saved_usd`` is expected.

    ``point``: the threshold from which on the prompt leaves the strong model, by which the route's mix is watched.
    """

    model: str
    reason: Reason
    gain: float = 0.0
    saved_usd: float = 0.0
    point: float | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """``made_at`` in seconds since the epoch; ``fitted_on`` prompts; ``prices`` of each model, None where only costs
    were known. ``report``: the chosen policy on prompts that nothing was decided by. ``seen``: marks of the prompts it
    was fitted to, which can never certify it. ``overview``: for people. ``cascade``: it decides by the weak model's
    answer, not before it is asked.
    """

    made_at: float
    fitted_on: int
    certificate: Certificate
    model: Model
    mix: Mix
    prices: Mapping[str, TokenPrice | None]
    seen: NDArray[np.uint32]
    report: Point | None = None
    overview: Overview | None = None
    cascade: bool = False

    def decide(
        self,
        features: Features,
        route: str,
        chars: int,
        *,
        able: Collection[str] | None = None,
        moving_usd: Mapping[str, float] | None = None,
    ) -> Decision:
        """Which model answers a prompt of a route. Takes a tenth of a millisecond, and never raises.

        ``able``: the models that can answer it beside the strong one, None for all. ``moving_usd``: what each costs on
        top where the conversation leaves a warm prefix for it.
        """
        certificate = self.certificate
        success, cost = self.model.success(features, route), self.model.cost_usd(route, chars)
        if success is None or cost is None:
            return Decision(certificate.strong, Reason.UNKNOWN_ROUTE)
        strong = self.model.models.index(certificate.strong)
        point = float(turning_points(success[None], cost[None], strong).min())
        if certificate.chosen is None or certificate.verdict is not Verdict.ROUTE:
            return Decision(certificate.strong, Reason.NOT_CERTIFIED, point=point)
        cost = cost + [(moving_usd or {}).get(model, 0.0) for model in self.model.models]
        may = [able is None or at == strong or model in able for at, model in enumerate(self.model.models)]
        tried = np.where(may, success, -np.inf)
        at = int(choose(tried[None], cost[None], strong, certificate.chosen.threshold)[0])
        reason = Reason.WORTH_IT if at == strong else Reason.ROUTED
        gain, saved = float(success[strong] - success[at]), float(cost[strong] - cost[at])
        return Decision(self.model.models[at], reason, gain, saved, point)

    def holds_for(self, prices: Mapping[str, TokenPrice | None]) -> str | None:
        """None where it holds; else what has changed since: models that are gone, or a price.

        ``prices``: of the models that the route has now. One that has come since does not matter: nothing goes there.
        """
        for model in self.certificate.models:
            if model not in prices:
                return f"{model} is no model of the route any more"
            then, now = self.prices.get(model), prices[model]
            if then is not None and now is not None and then != now:
                return f"{model} cost {_told(then)} when this was calibrated, and costs {_told(now)} now"
        return None


def prices_of(models: Sequence[str], book: PriceBook) -> Mapping[str, TokenPrice]:
    """What a token of each model costs now, of those whose price is known."""
    found: dict[str, TokenPrice] = {}
    for model in models:
        price = book.price(model)
        rates = [price.rate(kind, prompt_tokens=0) for kind in (Kind.INPUT, Kind.OUTPUT)]
        if rates[0] is not None and rates[1] is not None:
            found[model] = TokenPrice(rates[0], rates[1])
    return found


def _told(price: TokenPrice) -> str:
    per_million = (f"{1_000_000 * usd:f}".rstrip("0").rstrip(".") for usd in (price.input_usd, price.output_usd))
    return "/".join(f"${usd}" for usd in per_million) + " per million tokens"
