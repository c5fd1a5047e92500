"""Content that a route keeps: noted when a request comes, read from LiteLLM's shapes once it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litellm.litellm_core_utils.redact_messages import should_redact_message_logging

from fivelevers.content import keep
from fivelevers.engine import Plan
from fivelevers.metering.content import wanted
from fivelevers.proxies.litellm import reading
from fivelevers.proxies.litellm.reading import mapping
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api


@dataclass(frozen=True, slots=True)
class Noted:
    """LiteLLM's own ``data`` of a request whose content is kept: what later hooks mask in it is masked here too."""

    plan: Plan
    data: Mapping[str, Any]
    state: State

    def answered(self, kwargs: dict[str, Any], response: Any, at: float) -> None:
        """Keep it, unless the operator or the client told LiteLLM to log no messages. Works in the meter's thread."""
        if not should_redact_message_logging(kwargs):
            self.state.meter.later(lambda: self._keep(response, at), "content")

    def _keep(self, response: Any, at: float) -> None:
        answer = reading.output_of(response)
        keep(self.plan, _sent(self.data), answer, at=at, sealer=self.state.sealer, meter=self.state.meter)


def note(plan: Plan, data: Mapping[str, Any], state: State) -> Noted | None:
    """None on most requests: nothing of ours holds their text."""
    return Noted(plan, data, state) if wanted(plan.route, plan.session) and plan.request.api is not Api.OTHER else None


def _sent(data: Mapping[str, Any]) -> dict[str, Any]:
    """The client's fields, with the values that all hooks left."""
    sent = mapping(mapping(data.get("proxy_server_request")).get("body"))
    return {name: data.get(name, value) for name, value in sent.items()}
