"""Hooks fail open: whatever goes wrong in one, LiteLLM sees nothing of it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from types import ModuleType
from typing import Any

import pytest

from fivelevers import metrics
from tests.unit.levers.quantization.registered import original, quantised

HOOKS = [
    "async_pre_call_hook",
    "async_pre_call_deployment_hook",
    "async_post_call_failure_deployment_hook",
    "async_log_success_event",
    "async_log_failure_event",
    "async_post_call_failure_hook",
    "async_post_call_response_headers_hook",
]
FILTER = "async_filter_deployments"  # the one whose answer LiteLLM needs


class Poison:
    """Nothing can be read from it."""

    def __init__(self, error: type[BaseException] = RuntimeError) -> None:
        self.__dict__["error"] = error

    def __getattr__(self, name: str) -> Any:
        raise self.__dict__["error"](f"{name} of a thing that is not what it should be")


def bypasses(hook: str) -> float:
    labels = {"lever": "all", "reason": hook}
    return metrics.registry.get_sample_value("fivelevers_bypass_total", labels) or 0.0


async def fire(callback: ModuleType, hook: str, garbage: Any) -> Any:
    method = getattr(callback.plugin, hook)
    return await method(*[garbage] * len(inspect.signature(method).parameters))


def test_these_are_all_hooks(callback: ModuleType) -> None:
    assert {*HOOKS, FILTER} == {name for name in vars(callback.FiveLevers) if name.startswith("async_")}


async def test_a_filter_that_raises_is_counted_and_leaves_the_list(callback: ModuleType) -> None:
    callback.current.set(Poison())
    before, given = bypasses("_pinned"), [{"model_info": {"id": "a"}}]
    assert await callback.plugin.async_filter_deployments("alias", given, None, None, None) is given
    assert bypasses("_pinned") == before + 1


async def test_without_a_plan_and_after_a_fault_the_original_answers(callback: ModuleType) -> None:
    given = [original(), quantised()]
    for flight in (None, Poison()):
        callback.current.set(flight)
        assert await callback.plugin.async_filter_deployments("llama", given, None, None, None) == given[:1]
        assert await callback.plugin.async_filter_deployments("llama", given[1:], None, None, None) == given[1:]


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_hook_that_raises_is_counted_and_nothing_else(callback: ModuleType, hook: str) -> None:
    callback.current.set(Poison())
    before = bypasses(hook)
    assert await fire(callback, hook, Poison()) is None
    assert bypasses(hook) == before + 1


@pytest.mark.parametrize("garbage", [None, 7, "text", [], [None], {}, {"metadata": 7, "model": [1]}, b"\xff"], ids=repr)
@pytest.mark.parametrize("hook", HOOKS)
async def test_no_argument_makes_a_hook_raise(callback: ModuleType, hook: str, garbage: Any) -> None:
    callback.current.set(None)
    await fire(callback, hook, garbage)


async def test_the_log_has_one_line_a_minute_for_each_reason(
    callback: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metrics, "_logged_at", {})
    callback.current.set(Poison())
    with caplog.at_level(logging.WARNING, logger="fivelevers"):
        for hook in HOOKS[1:3] * 3:
            await fire(callback, hook, Poison())
    told = [record.getMessage() for record in caplog.records if record.name == "fivelevers"]
    assert len(told) == 2
    assert all("all steps aside, traffic passes" in line for line in told)


async def test_a_request_that_is_cancelled_stays_cancelled(callback: ModuleType) -> None:
    callback.current.set(Poison(asyncio.CancelledError))
    with pytest.raises(asyncio.CancelledError):
        await fire(callback, "async_log_success_event", {})
