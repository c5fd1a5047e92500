"""What a row cost goes back to the key that asked for it, through LiteLLM's own accounting."""

from __future__ import annotations

from decimal import Decimal
from types import ModuleType

import pytest

from fivelevers.levers.batch.work import Endpoint, Group
from tests.unit.events import attempt
from tests.unit.stores.lane_works import work

KEY = "ab" * 32
ABOUT = {"alias": "tickets", "caller": {"key": KEY, "team": "t", "key_alias": "desk"}, "host": {"user_id": "u"}}


@pytest.mark.parametrize("endpoint", list(Endpoint))
async def test_the_spend_of_key_team_and_user_rises_by_what_the_row_cost(
    proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint
) -> None:
    import litellm
    from litellm.proxy.hooks.proxy_track_cost_callback import _ProxyDBLogger

    from fivelevers.proxies.litellm import batch_spend

    monkeypatch.setattr(litellm, "callbacks", [_ProxyDBLogger()])

    async def spent(name: str) -> float:
        found: float = await proxy_server.get_current_spend(counter_key=f"spend:{name}", fallback_spend=0.0)
        return found

    counters = (f"key:{KEY}", "team:t", "user:u")
    before = [await spent(name) for name in counters]
    row = work(group=Group("openai", "a", endpoint, "gpt-4.1-mini"), about=ABOUT)
    await batch_spend.give_back(row, attempt(cost_usd=Decimal("0.25")))
    assert [await spent(name) - spend for name, spend in zip(counters, before, strict=True)] == [0.25] * 3


async def test_without_an_accounting_there_is_nothing_to_do(
    proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import litellm

    from fivelevers.proxies.litellm import batch_spend

    monkeypatch.setattr(litellm, "callbacks", [])
    await batch_spend.give_back(work(about=ABOUT), attempt())
