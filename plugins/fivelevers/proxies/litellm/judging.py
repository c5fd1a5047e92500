"""Answers that a route's validators judge: in the meter's thread, once the client has them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fivelevers import metrics
from fivelevers.engine import Answer, Plan
from fivelevers.metering.event import OutcomeSeen
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.metering.validators import Tools, judge
from fivelevers.output import Output
from fivelevers.proxies.litellm import reading
from fivelevers.proxies.litellm.state import State
from fivelevers.request import Api
from fivelevers.tools import tools_of

_ANSWERING = frozenset({Api.CHAT, Api.MESSAGES, Api.RESPONSES})


@dataclass(frozen=True, slots=True)
class Judging:
    """A request whose answer is to be judged, and the tools that it offers where a validator asks for them."""

    plan: Plan
    tools: Tools
    state: State

    def answered(self, answer: Answer, response: Any) -> None:
        """Have a whole answer judged. One whose usage nobody reported may be a stream that the client left."""
        if answer.reported:
            output = reading.output_of(response)
            self.state.meter.later(lambda: self._judge(output, answer.at), "validators")

    def _judge(self, output: Output, at: float) -> None:
        told = judge(self.state.checks.of(self.plan.policy, self.plan.route), output, self.tools)
        if told.problem is not None:
            metrics.count_bypass("metering", "validators", told.problem)
        if told.outcome is not Outcome.UNKNOWN:
            request_id = self.plan.request_id
            seen = OutcomeSeen(uuid.uuid4().hex, request_id, at, told.outcome, Source.VALIDATOR, told.detail)
            self.state.meter.record(seen)


def judging(plan: Plan, body: Mapping[str, Any], state: State) -> Judging | None:
    """None on most requests: their route has no validators."""
    validators = plan.route.validators
    if not validators or plan.request.api not in _ANSWERING:
        return None
    wants_tools = any(validator.tool_arguments for validator in validators)
    return Judging(plan, tools_of(body) if wants_tools else {}, state)
