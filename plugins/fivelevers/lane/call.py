"""A request that came to the lane, and what its host makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from fivelevers.lane.asgi import Receive, Scope, Send
from fivelevers.lane.contract import Wish
from fivelevers.levers.batch.work import Work


@dataclass(frozen=True, slots=True)
class Call:
    """``path``: of the live call, without the lane's own prefix; ``body``: as it came, ``fields`` the same parsed."""

    scope: Scope
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fields: Mapping[str, Any]
    wish: Wish

    @property
    def background(self) -> bool:
        """The caller polls a Responses object of its own."""
        return self.path == "/v1/responses" and self.fields.get("background") is True


@dataclass(frozen=True, slots=True)
class Parked:
    """A call that may wait. ``patience_s``: for how long its caller can; ``fingerprint``: what it asks, and who.

    ``headers`` go on its answer.
    """

    work: Work
    patience_s: float
    fingerprint: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who asks about requests: the tenants whose requests it may see."""

    tenants: frozenset[str]


class Refused(Exception):  # noqa: N818  an answer, not a fault
    """The host does not let this caller in."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Live(Protocol):
    async def live(self, call: Call, why: str, receive: Receive, send: Send, *, work_id: str | None = None) -> None:
        """Have the proxy answer it at once. ``work_id``: the request that this answers."""


class Host(Live, Protocol):
    """The proxy that the lane belongs to, in the same process."""

    async def offer(self, call: Call, receive: Receive, send: Send) -> Parked | None:
        """Have the proxy look at it. None: it was not to wait, and the proxy has answered by ``send``."""

    async def owner(self, scope: Scope) -> Owner:
        """Raises Refused."""
