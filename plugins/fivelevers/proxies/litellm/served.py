"""What the servers of quantised deployments say of themselves: asked behind the traffic, never by a request."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from fivelevers.levers.quantization.deployments import registration_of, server_of
from fivelevers.levers.quantization.gated import Served
from fivelevers.policy import Policy
from fivelevers.providers.model_servers import ModelServer

LOOK_EVERY_S: Final = 60.0
AGAIN_S: Final = 10.0  # where one was not heard
TRUSTED_S: Final = 300.0  # a word that is older counts no more
_LIMIT_S: Final = 10.0

_log = logging.getLogger("fivelevers.quantization")

Place = tuple[str, str]


class ServedLooks:
    """``deployments``: those of the proxy now; None while it starts."""

    def __init__(self, deployments: Callable[[], Iterable[Mapping[str, Any]] | None]) -> None:
        self._deployments = deployments
        self._heard: dict[Place, tuple[float, Served]] = {}
        self._silent: frozenset[Place] = frozenset()
        self._due_at = 0.0
        self._thread: threading.Thread | None = None

    def of(self, one: Mapping[str, Any]) -> Served | None:
        """By the server of a deployment. None where it was not heard lately."""
        at, served = self._heard.get(server_of(one), (0.0, None))
        return served if time.monotonic() - at < TRUSTED_S else None

    def look(self, policy: Policy) -> None:
        """Begin a look, in a thread of its own, where one is due and a route of the policy names a registration."""
        named = any(route.levers.quantization.registration for route in policy.routes)
        busy = self._thread is not None and self._thread.is_alive()
        if not named or busy or time.monotonic() < self._due_at:
            return
        found = self._deployments()
        if found is None:
            return
        places = {server_of(one): _key(one) for one in found if registration_of(one) is not None}
        self._due_at = time.monotonic() + LOOK_EVERY_S
        self._thread = threading.Thread(target=self._ask, args=(places,), name="fivelevers-served", daemon=True)
        self._thread.start()

    def _ask(self, places: Mapping[Place, str]) -> None:
        heard = {place: self._heard[place] for place in places if place in self._heard}
        silent = set[Place]()
        for place, said in asyncio.run(_all(places)).items():
            if isinstance(said, BaseException):
                self._due_at = time.monotonic() + AGAIN_S
                silent.add(place)
                if place not in self._silent:
                    _log.warning("quantization: a server was not heard: %s", said)
            else:
                if place not in heard or heard[place][1] != said:
                    _log.info("quantization: %s serves %s, version %s", said.url, said.root, said.version)
                heard[place] = time.monotonic(), said
        self._heard, self._silent = heard, frozenset(silent)


async def _all(places: Mapping[Place, str]) -> dict[Place, Served | BaseException]:
    said = await asyncio.gather(*(_served(*place, key) for place, key in places.items()), return_exceptions=True)
    return dict(zip(places, said, strict=True))


async def _served(url: str, model: str, key: str) -> Served:
    server = ModelServer(url, key, limit_s=_LIMIT_S)
    try:
        return await server.served(model)
    finally:
        await server.close()


def _key(one: Mapping[str, Any]) -> str:
    params = one.get("litellm_params")
    return str(params.get("api_key") or "") if isinstance(params, Mapping) else ""
