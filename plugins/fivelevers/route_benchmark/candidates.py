"""The models behind the proxy's aliases: what prices and deployments call them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fivelevers.errors import CalibrationError, ProxyError
from fivelevers.levers.routing.deployments import NAME
from fivelevers.prices import PriceBook, Usage
from fivelevers.providers.proxy_calls import ProxyCalls
from fivelevers.route_benchmark.calls import object_of
from fivelevers.route_benchmark.cases import Candidate

_INFO = "/v1/model/info"


async def candidates_of(
    aliases: Sequence[str], proxy: ProxyCalls, key: str, book: PriceBook, *, timeout_s: float
) -> list[Candidate]:
    """One for each alias. ``NAME=ALIAS`` names the model itself. ``timeout_s``: for the proxy's list of models.

    Raises ProxyError, and CalibrationError where an alias has no model, or several, or a price is not known.
    """
    rows = [] if all("=" in alias for alias in aliases) else await _rows(proxy, key, timeout_s)
    return [_candidate(alias, rows, book) for alias in aliases]


def check_apart(candidates: Sequence[Candidate]) -> None:
    """Raises CalibrationError where two aliases are one model."""
    found: dict[str, str] = {}
    for one in candidates:
        if one.name in found:
            both = f"{found[one.name]} and {one.alias} are both {one.name}"
            raise CalibrationError(f"--models: {both}; name another model")
        found[one.name] = one.alias


async def _rows(proxy: ProxyCalls, key: str, timeout_s: float) -> list[Mapping[str, Any]]:
    headers = [("authorization", f"Bearer {key}")]
    try:
        async with asyncio.timeout(timeout_s), proxy.asked("GET", _INFO, headers, b"") as answer:
            body = object_of(b"".join([part async for part in answer.parts()]))
            status = answer.status
    except TimeoutError as error:
        raise ProxyError(f"--proxy: no answer to {_INFO} within {timeout_s:g} s; is it a LiteLLM proxy?") from error
    if status in (401, 403):
        fix = "give a key with --key that may call the models, or write NAME=ALIAS for each model"
        raise CalibrationError(f"--key: the proxy answers {status} to {_INFO}; {fix}")
    if status >= 400:
        raise ProxyError(f"--proxy: answers {status} to {_INFO}; name a LiteLLM proxy, or Envoy in front of one")
    return [row for row in body.get("data") or () if isinstance(row, Mapping)]


def _candidate(given: str, rows: Sequence[Mapping[str, Any]], book: PriceBook) -> Candidate:
    named, _, alias = given.rpartition("=")
    mine = [] if named else [row for row in rows if row.get("model_name") == alias]
    names = [named] if named else list(dict.fromkeys(_name(row) for row in mine))
    if not names:
        known = ", ".join(sorted({str(row.get("model_name")) for row in rows})) or "none"
        raise CalibrationError(f"--models: {alias!r} is no model of the proxy for this key; it has {known}")
    if len(names) > 1:
        fix = "name an alias that has one of them alone"
        raise CalibrationError(f"--models: {alias!r} has several models, {', '.join(names)}; {fix}")
    ids = {str((row.get("model_info") or {}).get("id")) for row in mine}
    made = Candidate(names[0], alias, book.price(names[0], deployment=ids.pop() if len(ids) == 1 else None))
    made.usd(Usage(input=1, output=1))  # raises where its price is not known
    return made


def _name(row: Mapping[str, Any]) -> str:
    own = (row.get("model_info") or {}).get(NAME)
    return str(own or (row.get("litellm_params") or {}).get("model") or row.get("model_name"))
