"""Affinity in LiteLLM: of the deployments that may have a request, the one that holds its prefix.

LiteLLM asks before it chooses, and goes on filtering afterwards; where a later filter drops the one deployment that is
left, the request fails. So those filters are looked at first, and where that is not possible nothing is pinned.

What an operator says in a deployment's `model_info`: `fivelevers_replica` (true: a model server of one's own; without
it, what LiteLLM calls `hosted_vllm` is one), `fivelevers_kv_tokens` and `fivelevers_prefill_tokens_per_s`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from litellm.router_strategy.tag_based_routing import get_deployments_for_tag
from litellm.utils import get_excluded_filtered_deployments, get_order_filtered_deployments

from fivelevers import metrics
from fivelevers.engine import CHARS_PER_TOKEN, Answer, Plan
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.affinity import (
    DEFAULT_KV_TOKENS,
    DEFAULT_PREFILL_TOKENS_PER_S,
    Ending,
    Path,
    Placement,
    Replica,
    deepest,
    path_of,
)
from fivelevers.levers.prompt_cache.prefix import prefix_of
from fivelevers.levers.prompt_cache.terms import CacheRules, Style
from fivelevers.order import Mode
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.reading import mapping
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api

LEVER: Final = "prompt_cache"
_APIS = frozenset({Api.CHAT, Api.MESSAGES, Api.RESPONSES})
_KEPT_ELSEWHERE = ("previous_response_id", "conversation", "prompt")  # the prompt is not in the request
_OWN_SERVERS = frozenset({"hosted_vllm", "vllm"})
_LIFE_S = 300  # where no rule says how long
_TOLD_AT_MOST = 10_000


class Pinning:
    """Affinity on one request: its attempts come one after the other. ``acts`` False: the request only tells where its
    prefix went, as those of the holdout do."""

    def __init__(self, plan: Plan, state: State, *, acts: bool) -> None:
        self.said = ""
        self._plan = plan
        self._state = state
        self._acts = acts
        self._group = ""
        self._replicas: dict[str, Replica | None] = {}
        self._failed: set[str] = set()
        self._placed: Placement | None = None
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        if self._path is None:
            positions = prefix_of(self._plan.request, b"affinity", 1 / CHARS_PER_TOKEN, system_first=False)
            self._path = path_of(positions)
        return self._path

    async def among(self, group: str, deployments: list[Any], kwargs: Mapping[str, Any]) -> list[Any] | None:
        """The one deployment that shall have it, as a list; None where LiteLLM's own strategy decides."""
        try:
            return await self._among(group, deployments, kwargs)
        except StoreError as error:
            metrics.count_bypass(LEVER, "affinity", error)
            return None

    async def _among(self, group: str, deployments: list[Any], kwargs: Mapping[str, Any]) -> list[Any] | None:
        self.said = ""
        self._group = group
        several = len(deployments) > 1 or _cooling_down(group)
        self._replicas = {_id(deployment): replica_of(deployment) for deployment in deployments} if several else {}
        if not self._acts or len(deployments) < 2:
            return None
        by_id = {_id(deployment): deployment for deployment in await left(group, deployments, kwargs)}
        fresh = sorted(name for name in by_id if name not in self._failed) or sorted(by_id)
        if len(by_id) < 2:
            return None
        chosen = await self._chosen(fresh)
        metrics.requests.labels(LEVER, "pinned" if chosen else "unpinned").inc()
        if chosen is None and len(fresh) == len(by_id):
            return None
        return [by_id[name] for name in ([chosen] if chosen else fresh)]

    async def _chosen(self, names: Sequence[str]) -> str | None:
        replicas = [replica for name in names if (replica := self._replicas[name]) is not None]
        if len(replicas) == len(names):
            self._placed = await self._state.affinity.place(self._group, replicas, self.path)
            self.said = f"held={self._placed.held} of={self.path.tokens}"
            return self._placed.replica.id
        live = await self._state.affinity.live(self._group, names, self.path)
        chosen = deepest(live, self.path)
        if chosen is not None:
            self.said = f"held={self.path.held(live[chosen])} of={self.path.tokens}"
        return chosen

    async def failed(self, deployment: str | None) -> None:
        """An attempt there gave no answer: the next one goes elsewhere."""
        if deployment:
            self._failed.add(deployment)
        placed, self._placed = self._placed, None
        if placed is not None:
            await self._noted(self._state.affinity.ended(placed, Ending(failed=True)))

    async def answered(self, answer: Answer, kwargs: Mapping[str, Any]) -> None:
        """An attempt ended well: its prefix is there now."""
        if answer.usage is None and answer.reported:  # it came from a cache of answers, and no deployment had it
            await self.failed(None)
            return
        placed, self._placed = self._placed, None
        name = answer.deployment or ""
        replica = self._replicas.get(name)
        if replica is not None:
            await self._noted(self._served(placed, replica, answer, kwargs))
        elif name in self._replicas and answer.usage is not None and answer.reported:
            rules = self._state.terms.of(answer.provider, answer.model, name).rules
            kept, ttl_s = lifetime(rules, answer.usage, self.path)
            if ttl_s:
                await self._noted(self._state.affinity.keep(self._group, name, kept, ttl_s))

    async def _served(
        self, placed: Placement | None, replica: Replica, answer: Answer, kwargs: Mapping[str, Any]
    ) -> None:
        if placed is None or placed.replica.id != replica.id:
            placed = await self._state.affinity.place(self._group, [replica], self.path)
        cached = self._cached(replica.id, answer.usage, kwargs)
        missing = cached is not None and answer.usage is not None and placed.missing(cached, answer.usage.prompt)
        began = kwargs.get("completion_start_time")  # of a plain answer, and where nobody saw it, the end
        first_at = began.timestamp() if isinstance(began, datetime) else answer.at
        ago_s = max(0.0, time.time() - first_at) if first_at < answer.at else None
        await self._state.affinity.ended(placed, Ending(first_token_ago_s=ago_s, missing=missing))

    def _cached(self, replica: str, usage: Usage | None, kwargs: Mapping[str, Any]) -> int | None:
        """Prompt tokens that the replica reported as cached; None where it does not report them.

        vLLM tells them with `--enable-prompt-tokens-details`, and then leaves the field out where there are none.
        """
        log = mapping(kwargs.get("standard_logging_object"))
        counted = mapping(mapping(log.get("metadata")).get("usage_object"))
        telling = self._state.tells_cached
        if counted.get("prompt_tokens_details") is not None and len(telling) < _TOLD_AT_MOST:
            telling.add(replica)
        return usage.cache_read if usage is not None and replica in telling else None

    async def _noted(self, note: Awaitable[None]) -> None:
        try:
            await note
        except StoreError as error:
            metrics.count_bypass(LEVER, "affinity", error)


def pinning(plan: Plan, hints: Mapping[str, Any], state: State) -> Pinning | None:
    """None on most requests: affinity is off on their route, or their prompt is not to be seen."""
    if plan.route.levers.prompt_cache.affinity == "off" or plan.request.api not in _APIS or LEVER in plan.skipped:
        return None
    if any(hints.get(name) for name in _KEPT_ELSEWHERE):
        return None
    return Pinning(plan, state, acts=plan.mode(LEVER) is Mode.ON)


def _router() -> Any:
    return getattr(sys.modules.get("litellm.proxy.proxy_server"), "llm_router", None)


def _cooling_down(group: str) -> bool:
    """Whether a group whose list has one deployment at the most has more of them."""
    return len(getattr(_router(), "model_name_to_deployment_indices", {}).get(group, ())) > 1


async def left(group: str, deployments: list[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """What LiteLLM's later filters (Router.async_get_healthy_deployments) will leave; nothing where we can not say."""
    router = _router()
    if router is None or router.enable_pre_call_checks or "usage-based" in str(router.routing_strategy):
        return []  # a limit that only LiteLLM knows may be reached
    left = get_order_filtered_deployments(deployments, target_order=kwargs.get("_target_order"))
    left = get_excluded_filtered_deployments(left, excluded_deployment_ids=kwargs.get("_excluded_deployment_ids"))
    bucket = "litellm_metadata" if "litellm_metadata" in kwargs else "metadata"
    found: list[Any] = await get_deployments_for_tag(router, group, left, dict(kwargs), bucket)
    return found


def replica_of(deployment: Mapping[str, Any]) -> Replica | None:
    """A deployment that is a model server of one's own, as its `model_info` describes it; None for a provider's."""
    info, params = mapping(deployment.get("model_info")), mapping(deployment.get("litellm_params"))
    provider = params.get("custom_llm_provider") or str(params.get("model", "")).partition("/")[0]
    if not info.get("fivelevers_replica", provider in _OWN_SERVERS):
        return None
    kv_tokens = _positive(info.get("fivelevers_kv_tokens"), DEFAULT_KV_TOKENS)
    rate = _positive(info.get("fivelevers_prefill_tokens_per_s"), DEFAULT_PREFILL_TOKENS_PER_S)
    return Replica(_id(deployment), int(kv_tokens), float(rate))


def _positive(value: object, otherwise: float) -> float:
    return value if isinstance(value, int | float) and value > 0 else otherwise


def _id(deployment: Mapping[str, Any]) -> str:
    return str(mapping(deployment.get("model_info")).get("id") or "")


def lifetime(rules: CacheRules, usage: Usage, path: Path) -> tuple[Path, int]:
    """(what of the path a managed provider holds after an answer, for how many seconds); 0 s where it holds nothing.

    Both are as its usage has it: of a cached beginning the same share of our count. Providers that cache by themselves
    do not report what they write; it is the whole prompt.
    """
    cached = usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
    if not cached and (rules.style is not Style.AUTOMATIC or usage.prompt < rules.minimum_tokens):
        return path, 0
    ttls_s = rules.ttls_s or (_LIFE_S,)
    share = cached / usage.prompt if cached else 1.0
    reached, steps = 0, 0
    for step in path.steps:
        if reached + step.tokens / 2 > share * path.tokens:  # the nearest end: two counts never agree exactly
            break
        reached += step.tokens
        steps += 1
    return Path(path.steps[:steps], path.tokens), ttls_s[-1] if usage.cache_write_1h else ttls_s[0]
