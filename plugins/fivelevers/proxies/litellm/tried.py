"""The calls of a cascade: each is an attempt of the request that caused it, with marks and affinity of its own."""

from __future__ import annotations

from typing import Final

from fivelevers.engine import Answer, Payee, Plan, WithoutUs, without_routing
from fivelevers.metering.attribution import Basis
from fivelevers.metering.event import Attempt
from fivelevers.prices import Usage
from fivelevers.proxies.litellm.flight import Flight
from fivelevers.proxies.litellm.state import State

LEVER: Final = "routing"


class Tried(Flight):
    """The weak model's call. LiteLLM may tell of its end before anybody has looked at the answer, so that waits.

    ``strong``: who had been paid without us.
    """

    def __init__(self, plan: Plan, state: State, strong: Payee) -> None:
        super().__init__(plan, state)
        self._strong = strong
        self._taken: bool | None = None
        self._ended: list[Answer] = []

    def record(self, answer: Answer) -> Attempt | None:
        if self._taken is None:
            self._ended.append(answer)
            return None
        return super().record(answer)

    def settle(self, *, taken: bool) -> None:
        """Whether the answer goes to the caller. Once is enough."""
        if self._taken is None:
            self._taken = taken
            ended, self._ended = self._ended, []
            for answer in ended:
                self.record(answer)

    def _without_us(self, answer: Answer) -> tuple[WithoutUs, ...]:
        """What the strong model had cost; of an answer that nobody got, nothing: without us it had not been asked."""
        if not self._taken:
            return (WithoutUs(LEVER, Usage(), Basis.OBSERVED),)
        return super()._without_us(answer)

    def _unrouted(self, answer: Answer, before: tuple[WithoutUs, ...]) -> tuple[WithoutUs, ...]:
        if answer.usage is None:
            return before
        return without_routing(before, answer.usage, self._strong, answer.usage.output)
