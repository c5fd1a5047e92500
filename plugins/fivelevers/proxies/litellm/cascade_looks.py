"""How a cascade looks at the weak model's answer. Whatever can not be looked at is not trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fivelevers import metrics
from fivelevers.engine import Plan
from fivelevers.levers.routing.agreement import agree
from fivelevers.levers.routing.chances import chances_in
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.validators import Finding, Tools, answers_schema, judge, tool_arguments
from fivelevers.output import Output
from fivelevers.proxies.litellm import reading
from fivelevers.proxies.litellm.reading import mapping
from fivelevers.proxies.litellm.state import State
from fivelevers.tools import tools_of

if TYPE_CHECKING:
    from fivelevers.levers.routing.scorer import Scorer

LEVER: Final = "routing"
_WHOLE: Final = frozenset({"stop", "tool_calls", "function_call"})


@dataclass(frozen=True, slots=True)
class Looks:
    """What can be looked at in the answers to one request. ``schema``: that of its response format, None without one.

    ``tools``: the parameter schemas of its tools, by name.
    """

    plan: Plan
    state: State
    schema: Any
    tools: Tools
    validators: bool
    agreement: bool
    scorer: Scorer | None = None

    @property
    def any(self) -> bool:
        asked = (self.schema is not None, self.tools, self.validators, self.agreement, self.scorer)
        return any(asked)

    async def distrust(self, response: Any, second: Any) -> str | None:
        """Why an answer is not to be taken, in a word; None where all that could be looked at is good.

        ``second``: what the other weak model answered, None where it was not asked or did not.
        """
        output = reading.output_of(response)
        if reading.finish_reason(response) not in _WHOLE or not (output.text.strip() or output.tool_calls):
            return "incomplete"
        if self.agreement and (second is None or not agree(output, reading.output_of(second))):
            return "agreement"
        looked = (self._fits(output), self._scored(output, response), await self._validated(output))
        found = [said for said in looked if said is not None]
        bad = next((name for name, good in found if not good), None)
        return bad or (None if found or self.agreement else "unverified")

    def _fits(self, output: Output) -> tuple[str, bool] | None:
        """By the request's own schemas; None where they say nothing about it."""
        if output.tool_calls:
            found = tool_arguments(output, self.tools) if self.tools else None
        else:
            found = answers_schema(self.schema, output) if self.schema is not None else None
        return None if found is None else ("schema", _good(found))

    @property
    def by_chances(self) -> bool:
        """Whether the weak answer has to tell how sure its model was of its tokens."""
        return self.scorer is not None and self.scorer.by_chances

    def _scored(self, output: Output, response: Any) -> tuple[str, bool] | None:
        """By what was learned of such answers: of texts alone."""
        if self.scorer is None or output.tool_calls:
            return None
        return "scorer", self.scorer.takes(output.text, chances_in(response.choices[0]) if self.by_chances else None)

    async def _validated(self, output: Output) -> tuple[str, bool] | None:
        """By the route's validators, in a thread: they may be anybody's code."""
        if not self.validators:
            return None
        checks = self.state.looks.of(self.plan.policy, self.plan.route)
        told = await asyncio.to_thread(judge, checks, output, self.tools)
        if told.problem is not None:
            metrics.count_bypass(LEVER, "validators", told.problem)
            return "validators", False
        return None if told.outcome is Outcome.UNKNOWN else ("validators", told.outcome is Outcome.SUCCESS)


def looks(plan: Plan, params: Mapping[str, Any], state: State, scorer: Scorer | None) -> Looks:
    """Those that the policy asks for and that this request allows. ``params``: of a chat completion."""
    settings = plan.route.levers.routing.cascade
    asked = settings.verify if settings is not None else ()
    by_schema = "schema" in asked
    return Looks(
        plan,
        state,
        schema=_schema(params.get("response_format")) if by_schema else None,
        tools=tools_of(params) if by_schema or plan.route.validators else {},
        validators="validators" in asked and bool(plan.route.validators),
        agreement="agreement" in asked,
        scorer=scorer,
    )


def _schema(response_format: object) -> Any:
    """A JSON schema; None where the answer may be any text."""
    kind = mapping(response_format).get("type")
    if kind == "json_object":
        return {"type": "object"}
    return mapping(mapping(response_format).get("json_schema")).get("schema") if kind == "json_schema" else None


def _good(found: Finding) -> bool:
    return found.outcome is Outcome.SUCCESS
