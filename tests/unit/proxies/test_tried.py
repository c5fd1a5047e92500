"""A weak model's call is metered by what became of its answer, whichever is known first."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fivelevers.engine import Answer, Payee, Plan, prepare
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import Attempt
from fivelevers.policy import Caller, parse
from fivelevers.prices import PriceBook, Usage
from fivelevers.request import Api
from fivelevers.request import parse as parse_request

NOW = 1_700_000_000.0
PRICES = PriceBook(
    {
        "weak": {
            "litellm_provider": "openai",
            "input_cost_per_token": Decimal("1e-6"),
            "output_cost_per_token": Decimal("2e-6"),
        },
        "original": {
            "litellm_provider": "openai",
            "input_cost_per_token": Decimal("2e-6"),
            "output_cost_per_token": Decimal("4e-6"),
        },
        "strong": {
            "litellm_provider": "openai",
            "input_cost_per_token": Decimal("1e-5"),
            "output_cost_per_token": Decimal("4e-5"),
        },
    }
)


def plan() -> Plan:
    policy = parse("defaults: {holdout: 0}")
    request = parse_request(Api.CHAT, {"model": "a", "messages": []})
    return prepare(request, {}, Caller("/", {}, "k"), policy, request_id="r", now=NOW)


def answer(**more: Any) -> Answer:
    given = {"success": True, "error": None, "usage": Usage(100, output=10), "deployment": None, **more}
    return Answer(
        at=NOW, started_at=NOW, model="weak", provider="openai", provider_key=None,
        provider_request_id=None, finish_reason="stop", reported=True, **given,
    )  # fmt: skip


@pytest.fixture
def recorded(tmp_path: Path, callback: ModuleType, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Attempt]]:
    from fivelevers.proxies.litellm.tried import Tried

    seen: list[Attempt] = []
    state = replace(callback.plugin.state, prices=PRICES)
    monkeypatch.setattr(state.meter, "record", seen.append)
    return Tried(plan(), state, Payee("strong", "openai", None)), seen


def in_order(tried: Any, *, taken: bool, told_first: bool) -> None:
    if told_first:
        tried.record(answer())
    tried.settle(taken=taken)
    if not told_first:
        tried.record(answer())


@pytest.mark.parametrize("told_first", [True, False])
def test_an_answer_that_is_given_saves_what_the_strong_one_had_cost(
    recorded: tuple[Any, list[Attempt]], told_first: bool
) -> None:
    tried, seen = recorded
    in_order(tried, taken=True, told_first=told_first)
    (attempt,) = seen
    assert (attempt.cost_usd, attempt.cost_without_us_usd) == (Decimal("0.00012"), Decimal("0.0014"))
    assert attempt.savings == (Saving("routing", Basis.ESTIMATED, Decimal("0.00128")),)
    assert attempt.charged_to is None


@pytest.mark.parametrize("told_first", [True, False])
def test_an_answer_that_is_not_given_had_not_been_paid_without_us(
    recorded: tuple[Any, list[Attempt]], told_first: bool
) -> None:
    tried, seen = recorded
    in_order(tried, taken=False, told_first=told_first)
    (attempt,) = seen
    assert (attempt.cost_usd, attempt.cost_without_us_usd) == (Decimal("0.00012"), Decimal(0))
    assert attempt.savings == (Saving("routing", Basis.OBSERVED, Decimal("-0.00012")),)


def test_of_a_quantised_weak_model_each_lever_has_its_own_part(recorded: tuple[Any, list[Attempt]]) -> None:
    tried, seen = recorded
    tried.quantized._ids, tried.quantized._original = frozenset({"fp8"}), Payee("original", "openai", None)
    tried.settle(taken=True)
    tried.record(answer(deployment="fp8"))
    assert seen[0].cost_without_us_usd == Decimal("0.0014")
    assert seen[0].savings == (
        Saving("routing", Basis.ESTIMATED, Decimal("0.00116")),
        Saving("quantization", Basis.ESTIMATED, Decimal("0.00012")),
    )


def test_a_failed_try_that_may_be_billed_is_a_loss_too(recorded: tuple[Any, list[Attempt]]) -> None:
    tried, seen = recorded
    tried.settle(taken=False)
    tried.record(answer(success=False, error="Timeout"))
    assert seen[0].cost_without_us_usd == 0


def test_it_is_settled_once(recorded: tuple[Any, list[Attempt]]) -> None:
    tried, seen = recorded
    tried.settle(taken=True)
    tried.settle(taken=False)
    tried.record(answer())
    assert seen[0].cost_without_us_usd == Decimal("0.0014")
