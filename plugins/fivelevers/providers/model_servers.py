"""A model's own server, by OpenAI's API and, where it is vLLM, by what vLLM has beside that."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from fivelevers.errors import ServerError
from fivelevers.levers.quantization.gated import Served
from fivelevers.levers.quantization.servers import CONVERSATION, PROBES, Identity
from fivelevers.providers.server_url import server_url

CONNECT_LIMIT_S: Final = 10.0
_NONE: Final = "none"
_STARTED: Final = re.compile(r"^process_start_time_seconds(?:\{[^}]*\})? (\S+)$", re.M)
_PREFIXES: Final = re.compile(r'^vllm:cache_config_info\{[^}]*enable_prefix_caching="(True|False)"', re.M)


class ModelServer:
    """``url``: with or without `/v1`. ``limit_s``: for an answer. Every method raises ServerError."""

    def __init__(self, url: str, key: str = "", *, limit_s: float = 600.0) -> None:
        self.url = server_url(url)
        headers = {"authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Timeout(limit_s, connect=CONNECT_LIMIT_S)
        self._client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=limits, trust_env=False)

    async def identity(self, model: str) -> Identity:
        """``model``: as it is asked for; empty: the only one that it has."""
        row = await self._model(model)
        name, metrics, info = str(row["id"]), await self._text("/metrics"), await self._info()
        started, prefixes = _STARTED.search(metrics), _PREFIXES.search(metrics)
        version = (await self._object("/version")).get("version")
        root, context = row.get("root"), row.get("max_model_len")
        return Identity(
            url=self.url,
            model=name,
            addresses=await self._addresses(),
            root=root if isinstance(root, str) else None,
            version=version if isinstance(version, str) else None,
            context=context if isinstance(context, int) else None,
            process=started[1] if started else None,
            tells=info is not None,
            quantization=None if info == _NONE else info,
            prefix_cache=prefixes[1] == "True" if prefixes else None,
            tokens=await self._probed(name),
        )

    async def served(self, model: str) -> Served:
        """The part of its identity that says whether another checkpoint or version has taken its place."""
        row = await self._model(model)
        root, version = row.get("root"), (await self._object("/version")).get("version")
        return Served(
            self.url,
            str(row["id"]),
            root if isinstance(root, str) else None,
            version if isinstance(version, str) else None,
        )

    async def answer(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request. ServerError has the server's own words where it refuses."""
        response = await self._asked("POST", path, body)
        if response.status_code >= 400:
            said = f"{self.url}{path}: {response.status_code}: {response.text[:300]}"
            raise ServerError(said, status=response.status_code)
        return _object(response, f"{self.url}{path}")

    async def tokens(self, body: Mapping[str, Any]) -> tuple[int, ...] | None:
        """What vLLM makes of a prompt or messages; None where the server does not say."""
        response = await self._asked("POST", "/tokenize", body)
        found = _object(response, self.url).get("tokens") if response.status_code == 200 else None
        return tuple(found) if isinstance(found, list) and all(isinstance(one, int) for one in found) else None

    async def close(self) -> None:
        await self._client.aclose()

    async def _model(self, name: str) -> Mapping[str, Any]:
        response = await self._asked("GET", "/v1/models")
        if response.status_code >= 400:
            raise ServerError(f"{self.url}/v1/models: {response.status_code}; is it a server with OpenAI's API?")
        rows = [row for row in _object(response, self.url).get("data") or () if isinstance(row, dict)]
        mine = [row for row in rows if row.get("id") == name] if name else rows
        if len(mine) != 1:
            known = ", ".join(str(row.get("id")) for row in rows) or "none"
            raise ServerError(f"{self.url}: {name or 'which model'!r} is not clear; it has {known}")
        return mine[0]

    async def _info(self) -> str | None:
        """`vllm_config.model_config.quantization` in development mode; "none" where there it is null."""
        found = await self._object("/server_info?config_format=json")
        config = found.get("vllm_config")
        model = config.get("model_config") if isinstance(config, dict) else None
        if not isinstance(model, dict) or "quantization" not in model:
            return None
        return str(model["quantization"] or _NONE)

    async def _probed(self, model: str) -> dict[str, tuple[int, ...]]:
        asked: dict[str, Mapping[str, Any]] = {probe: {"model": model, "prompt": probe} for probe in PROBES}
        asked[""] = {"model": model, "messages": list(CONVERSATION)}
        found = {}
        for probe, body in asked.items():
            tokens = await self.tokens(body)
            if tokens is not None:
                found[probe] = tokens
        return found

    async def _addresses(self) -> frozenset[str]:
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ServerError(f"{self.url}: {error}") from error
        return frozenset(":".join(map(str, address[4][:2])) for address in found)

    async def _object(self, path: str) -> Mapping[str, Any]:
        try:
            found = json.loads(await self._text(path))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    async def _text(self, path: str) -> str:
        """Empty where the server has no such page."""
        response = await self._asked("GET", path)
        return response.text if response.status_code == 200 else ""

    async def _asked(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        try:
            return await self._client.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServerError(f"{self.url}{path}: {type(error).__name__}: {error}") from error


def _object(response: httpx.Response, place: str) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError as error:
        raise ServerError(f"{place}: answers no JSON: {response.text[:100]!r}") from error
    if not isinstance(found, dict):
        raise ServerError(f"{place}: answers no JSON object: {response.text[:100]!r}")
    return found
