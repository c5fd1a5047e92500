"""Who may switch levers, asked of LiteLLM's own authentication: no custom_auth here that could hide its verdict."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import httpx
import pytest

from fivelevers.stores.switches import Switches
from tests.unit.proxies.test_http import ROLES, AddKey, add_key, client

__all__ = ["add_key", "client"]

OFF, RESUME = "/fivelevers/v1/off", "/fivelevers/v1/resume"


@pytest.fixture
def switches(callback: ModuleType) -> Switches:
    found: Switches = callback.plugin.state.switches
    return found


async def ask(client: httpx.AsyncClient, key: str, path: str = OFF, **body: Any) -> httpx.Response:
    return await client.post(path, json=body, headers={"authorization": f"Bearer {key}"})


@pytest.mark.parametrize("role", [role for role in ROLES if role != "proxy_admin"])
async def test_only_an_admin_may_switch(
    add_key: AddKey, client: httpx.AsyncClient, switches: Switches, role: str
) -> None:
    key = add_key(role)
    for answer in (
        await ask(client, key),
        await ask(client, key, RESUME),
        await client.get(OFF, headers={"authorization": f"Bearer {key}"}),
    ):
        assert answer.status_code == 403
        assert "proxy_admin" in answer.json()["detail"]
    assert not switches.current().standing


async def test_an_admin_switches_off_and_resumes(
    add_key: AddKey, client: httpx.AsyncClient, switches: Switches
) -> None:
    for key in (add_key("proxy_admin"), "sk-master-1a2b3c4d5e6f"):
        told = (await ask(client, key, lever="batch", reason="a test")).json()
        assert [(place["route"], place["lever"], place["kind"]) for place in told["off"]] == [("*", "batch", "off")]
        assert told["done"] == told["off"]
        assert told["done"][0]["by"]
        assert told["done"][0]["by"] != key
        assert switches.current().off("default") == {"batch"}
        told = (await ask(client, key, RESUME)).json()
        assert [place["lever"] for place in told["done"]] == ["batch"]
        assert told["off"] == []


@pytest.mark.parametrize("routes", [["llm_api_routes"], ["/v1/chat/completions"], ["openai_routes"]], ids=str)
async def test_an_admin_s_key_for_models_alone_is_no_admin_key(
    add_key: AddKey, client: httpx.AsyncClient, switches: Switches, routes: list[str]
) -> None:
    answer = await ask(client, add_key("proxy_admin", allowed_routes=routes))
    assert answer.status_code == 403
    assert not switches.current().standing


async def test_without_a_good_key_it_is_401(add_key: AddKey, client: httpx.AsyncClient) -> None:
    add_key("proxy_admin")
    assert (await ask(client, "no key at all")).status_code == 401


def test_the_endpoints_describe_themselves(callback: ModuleType) -> None:
    app = import_module("fastapi").FastAPI()
    app.include_router(import_module("fivelevers.proxies.litellm.http").router(callback.plugin.state))
    described = app.openapi()
    methods = {path: set(found) for path, found in described["paths"].items()}
    assert methods[OFF] == {"get", "post"}
    assert methods[RESUME] == {"post"}
    assert {"PlaceIn", "SwitchesOut", "Health"} <= set(described["components"]["schemas"])
