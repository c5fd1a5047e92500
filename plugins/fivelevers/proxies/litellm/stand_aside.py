"""What stands in the plugin's place on a LiteLLM that it was not tested on: it counts requests and touches none.

Nothing of LiteLLM is needed here: such a version may lack whatever the plugin imports.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from fivelevers import __version__, metrics

_log = logging.getLogger("fivelevers")

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:
    CustomLogger = object


class StandAside(CustomLogger):  # type: ignore[misc]  # LiteLLM is not followed by mypy (pyproject.toml)
    """Has the one hook that sees every request. Says once why it does nothing."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why
        _log.error("%s", why)
        self._serve()

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: Mapping[str, Any], call_type: str
    ) -> None:
        metrics.bypass.labels("all", "litellm_version").inc()

    def _serve(self) -> None:
        """Health and metrics in the proxy's app, so that who looks there learns why nothing happens."""
        proxy = sys.modules.get("litellm.proxy.proxy_server")
        app = getattr(proxy, "app", None)
        if app is not None:
            app.add_api_route("/fivelevers/v1/health", self._health, methods=["GET"])
            app.add_api_route("/fivelevers/v1/metrics", self._metrics, methods=["GET"])
            from fivelevers.proxies.litellm.lane_route import mount_through

            mount_through(app)

    async def _health(self) -> dict[str, str]:
        return {"version": __version__, "stands_aside": self.why}

    async def _metrics(self) -> Any:
        from fastapi import Response

        return Response(metrics.scrape(), media_type="text/plain; version=0.0.4; charset=utf-8")
