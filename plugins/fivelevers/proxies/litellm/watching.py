"""A router that is watched: where a cheaper model answered, the strong one is asked behind the request; in shadow, the
cheaper one. What becomes of the two is certificate_watch.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fivelevers.engine import Answer
from fivelevers.order import Mode
from fivelevers.output import Output
from fivelevers.proxies.litellm import own_calls, reading
from fivelevers.proxies.litellm.certificate_watch import CertificateWatch
from fivelevers.proxies.litellm.reading import mapping
from fivelevers.proxies.litellm.routing import LEVER, Routing
from fivelevers.request import Api

_NOT_SENT: Final = frozenset({"model", "stream", "stream_options", "background", "metadata"})
_CALLS: Final = {Api.CHAT: "acompletion", Api.RESPONSES: "aresponses", Api.MESSAGES: "aanthropic_messages"}


class Forced(Routing):
    """The same request at a given model."""

    def __init__(self, of: Routing, model: str) -> None:
        super().__init__(of.plan, of.asked, of.loaded, of.strong, of.state)
        self._forced = model

    async def _model(self) -> str:
        return self._forced

    async def answered(self, answer: Answer) -> None:
        """The conversation is where its caller's answer came from."""


@dataclass(frozen=True, slots=True)
class Watching:
    """``body`` as the client sent it."""

    routing: Routing
    body: Mapping[str, Any]

    def answered(self, answer: Answer, response: Any) -> None:
        """The caller has its answer. Of a route that is unknown to the artifact nothing was certified."""
        routing = self.routing
        decision, artifact = routing.decision, routing.loaded.artifact
        tier = routing.tiers.get(answer.deployment or "")
        if decision is None or decision.point is None or artifact is None:
            return
        if tier is None or answer.usage is None or not answer.reported:
            return
        watch, mine = CertificateWatch(routing.plan, routing.state, artifact, self.body), reading.output_of(response)
        if routing.plan.mode(LEVER) is Mode.ON:
            pair = partial(self._with_strong, watch, mine) if tier.model != routing.strong else None
        else:
            pair = partial(self._with_weak, watch, decision.model, mine) if decision.model != routing.strong else None
        watch.see(decision.point, pair)

    async def _with_strong(self, watch: CertificateWatch, mine: Output) -> tuple[Output, Output] | None:
        theirs = await self._ask(watch, self.routing.strong)
        return None if theirs is None else (mine, theirs)

    async def _with_weak(self, watch: CertificateWatch, model: str, mine: Output) -> tuple[Output, Output] | None:
        theirs = await self._ask(watch, model)
        return None if theirs is None else (theirs, mine)

    async def _ask(self, watch: CertificateWatch, model: str) -> Output | None:
        """What ``model`` answers; None where it gave no answer."""
        call = getattr(own_calls.router(), _CALLS[self.routing.plan.request.api], None)
        if call is None:
            return None
        body = {name: value for name, value in self.body.items() if name not in _NOT_SENT}
        forced = Forced(self.routing, model)
        heard = await watch.second(call(model=self.routing.group, num_retries=0, **body), forced)
        tier = None if heard is None else forced.tiers.get(heard[0].deployment or "")
        return None if heard is None or tier is None or tier.model != model else reading.output_of(heard[1])


def watching(routing: Routing | None, data: Mapping[str, Any]) -> Watching | None:
    """None where nothing is decided, and on a request that can not be asked again."""
    sent = mapping(mapping(data.get("proxy_server_request")).get("body"))
    return None if routing is None or routing.asked.features is None or not sent else Watching(routing, dict(sent))
