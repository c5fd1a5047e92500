"""Whether a key that the lane accepted a request of is still good when that is about to be sent.

The rule: what a revoked key has queued is not sent and ends with 401. What a key over its budget has queued waits, and
ends with the budget's error when its deadline comes first; it is never asked live. What the provider has already is
answered, billed and kept for the tenant.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import litellm
import orjson
from litellm.proxy._types import ProxyException
from litellm.proxy.auth import auth_checks

from fivelevers import metrics
from fivelevers.levers.batch.work import Result, Work
from fivelevers.proxies.litellm import key_file

Standing = Literal["good", "wait", "revoked"]
BELIEVED_S: Final = 30.0
_KEYS_AT_MOST: Final = 10_000
_GONE: Final = frozenset({"401", "403", "404"})


class Keys:
    """LiteLLM's verdicts on keys, by their hashes, for a moment; bounded."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[float, Standing]] = OrderedDict()

    async def standing(self, work: Work) -> Standing:
        caller = work.about.get("caller", {})
        key, team = str(caller.get("key", "")), caller.get("team")
        at, known = self._known.get(key, (0.0, "good"))
        if time.monotonic() - at < BELIEVED_S and at:
            return known
        try:
            found = await _asked(key, team)
        except Exception as error:  # nobody is refused because LiteLLM could not be asked
            metrics.count_bypass("batch", "keys", error)
            return known
        self._known[key] = (time.monotonic(), found)
        self._known.move_to_end(key)
        while len(self._known) > _KEYS_AT_MOST:
            self._known.popitem(last=False)
        return found


async def _asked(key: str, team: str | None) -> Standing:
    proxy: Any = sys.modules["litellm.proxy.proxy_server"]
    if getattr(proxy, "user_custom_auth", None) is key_file.user_api_key_auth:
        return "good" if key_file.holds(key) else "revoked"
    if proxy.prisma_client is None:
        return "good"  # the master key, or an authentication of the host's own, which knows no hashes
    try:
        token = await auth_checks.get_key_object(key, proxy.prisma_client, proxy.user_api_key_cache)
    except ProxyException as error:
        if str(error.code) in _GONE:
            return "revoked"
        raise
    if token.blocked or _expired(token.expires):
        return "revoked"
    try:
        await auth_checks.virtual_key_max_budget_check(token, proxy.proxy_logging_obj)
    except litellm.BudgetExceededError:
        return "wait"
    return "wait" if team is not None and await _team_overspent(proxy, team) else "good"


async def _team_overspent(proxy: Any, team: str) -> bool:
    found = await auth_checks.get_team_object(team, proxy.prisma_client, proxy.user_api_key_cache)
    return found.max_budget is not None and (found.spend or 0.0) > found.max_budget


def _expired(expires: object) -> bool:
    if isinstance(expires, str):
        expires = datetime.fromisoformat(expires)
    if not isinstance(expires, datetime):
        return False
    return (expires if expires.tzinfo else expires.replace(tzinfo=UTC)) <= datetime.now(UTC)


_REFUSALS: Final[Mapping[Standing, tuple[int, str, str]]] = {
    "revoked": (401, "invalid_api_key", "the key of this request was revoked before it was sent"),
    "wait": (400, "budget_exceeded", "the key of this request was over its budget until its deadline"),
}


def refusal(work: Work, standing: Standing) -> Result:
    """How a request ends that is not sent."""
    status, code, message = _REFUSALS[standing]
    error = {"message": f"request {work.id}: {message}", "type": "invalid_request_error", "param": None, "code": code}
    return Result(work.id, status, orjson.dumps({"error": error}), time.time(), live=True)
