"""What the plugin holds for as long as its process lives: policy, prices, meter, switches."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Protocol, Self

from fivelevers import metrics
from fivelevers.answer_guard import AnswerGuard
from fivelevers.errors import PriceError
from fivelevers.lane.watch import LaneWatch
from fivelevers.lever_guard import LeverGuard
from fivelevers.levers.semantic_cache.calibration import Calibration
from fivelevers.levers.semantic_cache.verify import Spent
from fivelevers.meter import Meter
from fivelevers.metering.validators import CheckBook
from fivelevers.policy import EMPTY, Policy
from fivelevers.prefix_caching import Tokenizers
from fivelevers.price_overrides import load_overrides
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.providers.cache_rules import TermBook
from fivelevers.proxies.litellm.embedders import Embedders
from fivelevers.proxies.litellm.outputs import Outputs
from fivelevers.proxies.litellm.own_calls import router
from fivelevers.proxies.litellm.prefix_watch import PrefixWatch
from fivelevers.proxies.litellm.quarantine import Quarantine
from fivelevers.proxies.litellm.served import ServedLooks
from fivelevers.proxies.litellm.stated_prices import stated
from fivelevers.stores.affinity import Affinity, RedisAffinity
from fivelevers.stores.affinity_memory import MemoryAffinity
from fivelevers.stores.answers import Answers
from fivelevers.stores.calibrations import Audits, Calibrated, Calibrations
from fivelevers.stores.content_key import Sealer
from fivelevers.stores.daily_spend import DailySpend
from fivelevers.stores.policy_file import PolicyFile
from fivelevers.stores.prefixes import Prefixes
from fivelevers.stores.redis_async import answers_url
from fivelevers.stores.registrations import Registrations
from fivelevers.stores.route_artifacts import RouteArtifacts
from fivelevers.stores.routed import Routed
from fivelevers.stores.switches import Switches, off_at_start
from fivelevers.stores.watched import Watched
from fivelevers.switch import EVERY_LEVER
from fivelevers.unread import Writes

_log = logging.getLogger("fivelevers")


class Unsettled(Protocol):
    """A served request with attempts whose end is not told yet."""

    def give_up(self) -> None: ...


@dataclass(frozen=True, slots=True)
class State:
    policy: PolicyFile
    prices: PriceBook
    meter: Meter
    watch: PrefixWatch
    switches: Switches = field(default_factory=lambda: Switches("", ""))
    off: bool = False  # FIVELEVERS_OFF: whatever policy and switches say, no lever acts in this process
    sealer: Sealer = field(default_factory=Sealer)
    terms: TermBook = field(default_factory=lambda: TermBook(PriceBook({})))
    prefixes: Prefixes = field(default_factory=lambda: Prefixes(""))
    tokenizers: Tokenizers = field(default_factory=Tokenizers)
    quarantine: Quarantine = field(default_factory=Quarantine)
    affinity: Affinity = field(default_factory=MemoryAffinity)
    tells_cached: set[str] = field(default_factory=set)  # replicas that report cached tokens
    writes: Writes = field(default_factory=Writes)
    answers: Answers = field(default_factory=lambda: Answers(""))
    calibrations: Calibrations = field(default_factory=lambda: Calibrations("", "semantic_cache", _nothing))
    guard: AnswerGuard = field(default_factory=lambda: AnswerGuard(lambda: EMPTY, Switches("", "")))
    lever_guard: LeverGuard = field(default_factory=lambda: LeverGuard(lambda: EMPTY, Switches("", ""), "", ""))
    embedders: Embedders = field(default_factory=Embedders)
    lane: LaneWatch = field(default_factory=LaneWatch)
    judge_spend: DailySpend = field(default_factory=lambda: DailySpend("", "semantic_cache"))
    watch_spend: DailySpend = field(default_factory=lambda: DailySpend("", "routing"))
    judged: dict[str, Spent] = field(default_factory=dict)  # by route of the policy
    artifacts: RouteArtifacts = field(default_factory=lambda: RouteArtifacts(None, PriceBook({})))
    routed: Routed = field(default_factory=lambda: Routed(""))
    watched: Watched = field(default_factory=lambda: Watched(""))
    registrations: Registrations = field(default_factory=lambda: Registrations(None))
    served: ServedLooks = field(default_factory=lambda: ServedLooks(_deployments))
    outputs: Outputs = field(default_factory=Outputs)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    checks: CheckBook = field(default_factory=lambda: CheckBook(resolve_name))
    looks: CheckBook = field(default_factory=lambda: CheckBook(resolve_name))  # of cascades, in their thread
    unsettled: set[Unsettled] = field(default_factory=set)  # bounded by the requests of a few seconds

    @classmethod
    def from_environment(cls) -> Self:
        """FIVELEVERS_POLICY, _PRICES, _STATE_DIR, _LEDGER_URL, _REDIS_URL and _OFF; never raises."""
        policy = os.environ.get("FIVELEVERS_POLICY")
        if not policy:
            _log.warning("FIVELEVERS_POLICY is not set: every request is on the default route, with every lever off")
        path, prices = Path(policy) if policy else None, _prices()
        folder = path.parent if path else None
        artifacts, registrations = RouteArtifacts(folder, prices), Registrations(folder)
        served = ServedLooks(_deployments)

        def look(named: Policy) -> None:
            artifacts.look(named)
            registrations.look(named)
            served.look(named)

        file = PolicyFile(path, lambda _: metrics.bypass.labels("all", "policy").inc(), look)
        meter = Meter.from_environment()
        redis_url = os.environ.get("FIVELEVERS_REDIS_URL", "")
        switches = Switches(redis_url, meter.ledger_url, file.current)
        terms, tokenizers = TermBook(prices), Tokenizers()
        guard = AnswerGuard(file.current, switches)
        return cls(
            file,
            prices,
            meter,
            PrefixWatch(redis_url, meter, prices, terms, tokenizers),
            switches,
            off=off_at_start(),
            terms=terms,
            prefixes=Prefixes(redis_url),
            tokenizers=tokenizers,
            affinity=RedisAffinity(redis_url) if redis_url else MemoryAffinity(),
            answers=Answers(answers_url(os.environ)),
            calibrations=Calibrations(meter.ledger_url, "semantic_cache", guard.audited),
            guard=guard,
            lever_guard=LeverGuard(file.current, switches, redis_url, meter.ledger_url),
            judge_spend=DailySpend(answers_url(os.environ), "semantic_cache"),
            watch_spend=DailySpend(redis_url, "routing"),
            artifacts=artifacts,
            registrations=registrations,
            served=served,
            routed=Routed(redis_url),
            watched=Watched(redis_url),
        )

    def calibration(self, route: str, embedder: str, prompt: str) -> Calibration | None:
        """What may be served on a route by now: its calibration, while that holds for what is asked."""
        found = self.calibrations.current(route)
        return None if found is None else self.guard.serving(found, embedder, prompt)

    def hold(self, task: asyncio.Task[None]) -> None:
        """Keep a task that nobody waits for until it is done: the event loop does not."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def levers_off(self, route: str) -> frozenset[str]:
        """The levers that are out of force on a route, whoever asks."""
        return EVERY_LEVER if self.off else self.switches.current().off(route)


def _deployments() -> Any:
    """LiteLLM's `model_list` as it is now; None while the proxy starts."""
    return getattr(router(), "model_list", None)


def _nothing(made: Calibrated, counted: Audits) -> None: ...


def _prices() -> PriceBook:
    overrides = os.environ.get("FIVELEVERS_PRICES")
    try:
        book = replace(PriceBook.from_litellm_map(find_litellm_map()), stated=stated)
    except PriceError as error:
        _log.error("no price is known, tokens are metered all the same: %s", error)
        return PriceBook({}, stated=stated)
    if not overrides:
        return book
    try:
        return replace(book, overrides=load_overrides(Path(overrides)))
    except PriceError as error:
        _log.error("price overrides refused, list prices are used:\n%s", error)
        return book
