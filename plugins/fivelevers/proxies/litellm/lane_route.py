"""The lane's paths in the proxy's app: before LiteLLM's own, some of which would take our ids for a provider's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.routing import BaseRoute, Match

from fivelevers.lane.app import PREFIX
from fivelevers.lane.asgi import App, Receive, Scope, Send


class LaneRoute(BaseRoute):
    """``handles``: whether a path is this application's."""

    def __init__(self, app: App, handles: Callable[[str], bool]) -> None:
        self._app, self._handles = app, handles

    def matches(self, scope: Scope) -> tuple[Match, dict[str, Any]]:
        mine = scope["type"] == "http" and self._handles(scope["path"])
        return (Match.FULL, {}) if mine else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def mount(proxy_app: Any, app: App, handles: Callable[[str], bool]) -> None:
    proxy_app.router.routes.insert(0, LaneRoute(app, handles))


def mount_through(proxy_app: Any) -> None:
    """Where no lane is: what Envoy sends there is answered live, as if it had not."""

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(PREFIX)
        await proxy_app({**scope, "path": path, "raw_path": path.encode(), "state": {}}, receive, send)

    mount(proxy_app, through, lambda path: path.startswith(f"{PREFIX}/"))
