"""A call on files or batches: when its change is made, and what of the answer arrives."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from examples.provider_simulator.delivery import disconnected
from examples.provider_simulator.errors import ApiError, server_error
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.faults import Rule, Target, raise_error


def act(
    exchange: Exchange, api: str, call: str, work: Callable[[], Response], *, model: str = "", changes: bool = False
) -> ASGIApp:
    """The answer of `work`, or what a rule of `/sim/faults` makes of it. `changes`: it is no mere look-up."""
    rule = exchange.sim.faults.draw(target(exchange, api, call, model, changes=changes))
    if rule:
        raise_error(rule, exchange.provider)
    return _Act(exchange, work, rule) if rule else work()


def target(exchange: Exchange, api: str, call: str, model: str, *, changes: bool = False) -> Target:
    text = exchange.raw.decode("utf-8", "replace") if exchange.sim.faults.rules else ""
    return Target(model, api, exchange.workspace, stream=False, text=text, call=call, changes=changes)


class _Act:
    """An ASGI response whose work is done early, in the middle of a pause, or before an answer that never arrives."""

    def __init__(self, exchange: Exchange, work: Callable[[], Response], rule: Rule) -> None:
        self._exchange = exchange
        self._work = work
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault, pause_s = self._rule.fault, self._rule.hang_s
        before_s, after_s = {"slow_commit": (pause_s / 2, pause_s / 2), "timeout": (0.0, pause_s)}.get(
            fault, (0.0, 0.0)
        )
        await asyncio.sleep(before_s)
        answer = self._answer()
        with suppress(TimeoutError):
            await asyncio.wait_for(disconnected(receive), after_s)
        if fault == "commit_then_drop":
            # A body that never comes: the server closes the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            return
        await answer(scope, receive, send)

    def _answer(self) -> Response:
        """What the caller is told; the change is made all the same."""
        try:
            answer = self._work()
        except ApiError as error:
            return self._error(error)
        return self._error(server_error()) if self._rule.fault == "commit_then_500" else answer

    def _error(self, error: ApiError) -> Response:
        exchange = self._exchange
        return exchange.json(error.body(exchange.provider, exchange.request_id), error.status)
