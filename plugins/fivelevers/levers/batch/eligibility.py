"""Which requests may wait for a batch. Asked twice: by Envoy's filter with what it sees, by the lane with everything.

What is not known where it is asked is None. It never speaks for the lane: no request waits on a guess, and where the
filter can not tell, the lane does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from fivelevers.levers.batch.work import Endpoint
from fivelevers.order import Mode
from fivelevers.policy import BatchSwitch

MIN_WAIT_S: Final = 3600.0
"""What a batch needs: OpenRouter reports of 230,000 batches that half were done in 7 minutes and 90 % in an hour."""
MAX_WAIT_S: Final = 86_400.0
"""A batch that took a day has expired at the provider."""
HELD_S: Final = 600.0
"""How long the SDKs of OpenAI and Anthropic wait for an answer unless they are told otherwise."""

Lane = Literal["batch", "live"]


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a request is expected to cost, in USD, in a batch and live; None: no source states a price.

    ``live_usd`` believes in the provider's cache as lever 1 does.
    """

    batch_usd: float | None
    live_usd: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as it is known; None: not here.

    ``path`` is the live call's, without its query. ``respond_async``: `Prefer: respond-async` (RFC 7240). ``wait_s``:
    for how long the caller holds its connection, as `Prefer: wait` or its SDK says. ``deadline_s``: by when it wants
    its answer, if it said so. ``stream``, ``background`` and ``service_tier`` are the body's. ``region``: the
    deployment's, "" where it states none. ``u``: the session's place in [0, 1) on its route. ``skipped``: a way out
    took the lever from this request.
    """

    path: str
    respond_async: bool = False
    wait_s: float | None = None
    deadline_s: float | None = None
    stream: bool | None = None
    background: bool | None = None
    service_tier: str | None = None
    region: str | None = None
    predicted: Predicted | None = None
    u: float | None = None
    skipped: bool = False

    @property
    def asynchronous(self) -> bool:
        """The caller comes back for its answer, instead of holding its connection."""
        return self.respond_async or self.background is True

    @property
    def opts_in(self) -> bool:
        return self.asynchronous or self.deadline_s is not None or self.service_tier == "batch"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a request goes. ``why``: `eligible`, or what speaks for live; `shadow` where the mode alone does."""

    lane: Lane
    why: str


def decide(ask: Asked, switch: BatchSwitch) -> Verdict:
    """The first rule that speaks for live decides; where none does, the request may wait."""
    for why, speaks in _RULES:
        if speaks(ask, switch):
            return Verdict("live", why)
    return Verdict("batch", "eligible")


def due_s(ask: Asked, switch: BatchSwitch) -> float:
    """Seconds from its acceptance until a request must be answered: the caller's deadline, else the route's."""
    return min(switch.deadline_s if ask.deadline_s is None else ask.deadline_s, MAX_WAIT_S)


def patience_s(ask: Asked, switch: BatchSwitch) -> float:
    """Seconds for which the caller can wait: until the deadline, or for as long as it holds its connection."""
    deadline_s = due_s(ask, switch)
    if ask.asynchronous:
        return deadline_s
    return min(HELD_S if ask.wait_s is None else ask.wait_s, deadline_s)


def _unpriced(ask: Asked, _: BatchSwitch) -> bool:
    return ask.predicted is not None and None in (ask.predicted.batch_usd, ask.predicted.live_usd)


def _dearer(ask: Asked, _: BatchSwitch) -> bool:
    """A batch takes half off a plain token; a cached one costs a tenth live."""
    if ask.predicted is None or ask.predicted.batch_usd is None or ask.predicted.live_usd is None:
        return False
    return ask.predicted.batch_usd >= ask.predicted.live_usd


def _elsewhere(ask: Asked, switch: BatchSwitch) -> bool:
    return ask.region is not None and bool(switch.regions) and ask.region not in switch.regions


def _untreated(ask: Asked, switch: BatchSwitch) -> bool:
    share = switch.percent / 100
    return share == 0 or (ask.u is not None and ask.u >= share)


_Rule = Callable[[Asked, BatchSwitch], bool]
_OTHER_TIERS = ("priority", "flex")  # of OpenAI: faster at a higher price, slower at that of a batch
_ENDPOINTS = frozenset(endpoint.value for endpoint in Endpoint)
_RULES: Final[tuple[tuple[str, _Rule], ...]] = (
    ("off", lambda ask, switch: switch.mode not in (Mode.ON, Mode.SHADOW)),
    ("skipped", lambda ask, switch: ask.skipped),
    ("endpoint", lambda ask, switch: ask.path not in _ENDPOINTS),
    ("not-asked", lambda ask, switch: switch.opt_in == "caller" and not ask.opts_in),
    ("stream", lambda ask, switch: ask.stream is True),
    ("service-tier", lambda ask, switch: ask.service_tier in _OTHER_TIERS),
    ("deadline-too-short", lambda ask, switch: due_s(ask, switch) < MIN_WAIT_S),
    ("caller-waits", lambda ask, switch: patience_s(ask, switch) < MIN_WAIT_S),
    ("provider-storage", lambda ask, switch: switch.no_provider_storage),
    ("region", _elsewhere),
    ("no-batch-price", _unpriced),
    ("warm-prefix-cheaper", _dearer),
    ("percent", _untreated),
    ("shadow", lambda ask, switch: switch.mode is Mode.SHADOW),
)
REASONS: Final = ("eligible", *(why for why, _ in _RULES))
"""Every word that a verdict may give."""
