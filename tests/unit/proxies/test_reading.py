"""How callers are named in the ledger: always the same way, and never by their key."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def name(proxy_server: ModuleType, **fields: Any) -> str:
    from fivelevers.proxies.litellm.reading import key_name

    return key_name(SimpleNamespace(**fields))


@pytest.mark.parametrize("key", ["sk-1234567890", "secret-of-custom-auth", "0" * 63, "Ā" * 64])
def test_a_key_is_never_its_own_name(proxy_server: ModuleType, key: str) -> None:
    named = name(proxy_server, api_key=key)
    assert key not in named
    assert named == name(proxy_server, token=key)


def test_litellm_s_hash_is_the_name(proxy_server: ModuleType) -> None:
    assert name(proxy_server, token="ab" * 32, api_key="sk-1") == "ab" * 32


def test_callers_without_a_key_are_told_apart(proxy_server: ModuleType) -> None:
    callers = [{}, {"user_id": "a"}, {"user_id": "b"}, {"team_id": "a"}, {"user_id": "a", "team_id": "a"}]
    assert len({name(proxy_server, token=None, api_key=None, **caller) for caller in callers}) == len(callers)
