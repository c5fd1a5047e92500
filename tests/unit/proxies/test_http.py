"""Who may post outcomes, asked of LiteLLM's own authentication: no custom_auth here that could hide its refusals."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import httpx
import pytest

from fivelevers.proxies.litellm.identity import new_request_id

# LiteLLM imports parts of itself at the first request, and these warn.
pytestmark = pytest.mark.filterwarnings("ignore")

OUTCOMES = "/fivelevers/v1/outcomes"
ROLES = [
    "proxy_admin", "proxy_admin_viewer", "org_admin", "internal_user", "internal_user_viewer", "team", "customer"
]  # fmt: skip
LIMITS = [[], ["llm_api_routes"], ["openai_routes"], ["/v1/chat/completions"], ["/v1/messages"], ["/v1/*"]]

AddKey = Callable[..., str]


class NoDatabase:
    """Stands where LiteLLM checks that there is one; every key it asks for is in its cache."""

    def __getattr__(self, name: str) -> Any:
        raise ConnectionError(f"{name}: there is no database here")


@pytest.fixture
def add_key(proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> AddKey:
    """A virtual key of a role, as LiteLLM keeps it; gives the key."""
    types, auth = import_module("litellm.proxy._types"), import_module("litellm.proxy.auth.user_api_key_auth")
    settings: dict[str, Any] = {
        "master_key": "sk-master-1a2b3c4d5e6f",
        "general_settings": {},
        "prisma_client": NoDatabase(),
        "user_custom_auth": None,
    }
    for name, value in settings.items():
        monkeypatch.setattr(proxy_server, name, value)

    def add(role: str, **fields: Any) -> str:
        key, user = f"sk-{role}-{time.monotonic_ns()}", f"user-{role}"
        hashed = auth.hash_token(key)
        token = types.UserAPIKeyAuth(
            token=hashed, api_key=hashed, user_role=role, user_id=user, last_refreshed_at=time.time(), **fields
        )
        proxy_server.user_api_key_cache.set_cache(key=hashed, value=token)
        known = types.LiteLLM_UserTable(user_id=user, user_role=role, max_budget=None, user_email=None)
        proxy_server.user_api_key_cache.set_cache(key=user, value=known.model_dump())
        return key

    return add


@pytest.fixture
async def client(proxy_server: ModuleType) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(proxy_server.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy") as client:
        yield client


@pytest.fixture
def recorded(callback: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    events: list[Any] = []
    monkeypatch.setattr(callback.plugin.state.meter, "record", events.append)
    return events


def request_of(key: str) -> str:
    """The id of a request that this key made."""
    hash_token: Callable[[str], str] = import_module("litellm.proxy.auth.user_api_key_auth").hash_token
    return new_request_id(hash_token(key))


async def say(client: httpx.AsyncClient, key: str, request_id: str) -> int:
    body = {"request_id": request_id, "outcome": "success"}
    answer = await client.post(OUTCOMES, json=body, headers={"authorization": f"Bearer {key}"})
    return answer.status_code


def test_these_are_all_roles_that_hold_keys(proxy_server: ModuleType) -> None:
    assert set(ROLES) == {role.value for role in import_module("litellm.proxy._types").LitellmUserRoles}


@pytest.mark.parametrize("role", ROLES)
async def test_every_role_may_speak_about_its_own_requests(
    add_key: AddKey, client: httpx.AsyncClient, recorded: list[Any], role: str
) -> None:
    key, other = add_key(role), add_key("internal_user")
    assert await say(client, key, request_of(key)) == 202
    assert len(recorded) == 1
    assert await say(client, key, request_of(other)) == 404
    assert len(recorded) == 1


@pytest.mark.parametrize("routes", LIMITS, ids=str)
async def test_a_key_that_may_call_only_some_paths_may_speak_too(
    add_key: AddKey, client: httpx.AsyncClient, recorded: list[Any], routes: list[str]
) -> None:
    key = add_key("internal_user", allowed_routes=routes)
    assert await say(client, key, request_of(key)) == 202


async def test_a_key_that_may_call_no_model_is_refused(
    add_key: AddKey, client: httpx.AsyncClient, recorded: list[Any]
) -> None:
    key = add_key("internal_user", allowed_routes=["/key/info"])
    assert await say(client, key, request_of(key)) == 403
    assert not recorded


@pytest.mark.parametrize("role", ROLES)
def test_litellm_refuses_ordinary_roles_on_our_own_path(proxy_server: ModuleType, role: str) -> None:
    """What makes the copy of the request necessary, and the path that it names right."""
    types = import_module("litellm.proxy._types")
    checks = import_module("litellm.proxy.auth.route_checks").RouteChecks
    paths = import_module("fivelevers.proxies.litellm.authentication")._PATHS_OF_CALLERS
    user = types.LiteLLM_UserTable(user_id="u", user_role=role, max_budget=None, user_email=None)

    def check(path: str) -> None:
        request = import_module("fastapi").Request({"type": "http", "method": "POST", "path": path, "headers": []})
        token = types.UserAPIKeyAuth(api_key="sk-x", user_id="u", user_role=role)
        checks.non_proxy_admin_allowed_routes_check(
            user_obj=user, _user_role=role, route=path, request=request, valid_token=token, request_data={}
        )

    for path in paths:
        check(path)
    with pytest.raises(Exception, match=r"(?i)admin|not allowed"):
        check(OUTCOMES)
