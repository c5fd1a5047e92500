"""What LiteLLM's logging callbacks log is what the audit reads: LiteLLM itself, calling the provider simulator."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

from examples.provider_simulator.simulator import Simulator
from fivelevers.audit.calls import Reason, Text
from fivelevers.request import Api
from tests.simulator.conftest import start
from tests.unit.audit.logged import read_all, write

SYSTEM = "You are kind. " * 600
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "What is 2 + 3?"}]
TOOL = {"name": "f", "parameters": {"type": "object"}}
MARKED = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]


class Log(CustomLogger):  # type: ignore[misc]  # LiteLLM is not followed by mypy (pyproject.toml)
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[str] = []

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self.rows.append(json.dumps(kwargs["standard_logging_object"], default=str))

    async_log_failure_event = async_log_success_event


@pytest.fixture
def simulator() -> Iterator[str]:
    server, thread, url = start(Simulator(seed=1, latency_scale=0))
    yield url
    server.should_exit = True
    thread.join(timeout=10)


async def logged(url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines of one call of each kind."""
    log = Log()
    monkeypatch.setattr(litellm, "callbacks", [log])
    gpt = {"model": "openai/gpt-4.1", "api_base": f"{url}/v1", "api_key": "sk-x"}
    claude = {"model": "anthropic/claude-sonnet-4-5", "api_base": url, "api_key": "sk-x", "max_tokens": 50}
    system = {"role": "system", "content": SYSTEM}
    chat_tool = {"type": "function", "function": TOOL}
    await litellm.acompletion(**gpt, messages=[system, *ASKED], tools=[chat_tool])
    await litellm.acompletion(**claude, messages=[{"role": "system", "content": MARKED}, *ASKED])
    await litellm.anthropic_messages(**claude, system=SYSTEM, messages=ASKED)
    await litellm.anthropic_messages(**claude, system=MARKED, messages=ASKED)
    await litellm.aresponses(**gpt, instructions=SYSTEM, input="What is 2 + 3?", tools=[{"type": "function", **TOOL}])
    with pytest.raises(litellm.NotFoundError):
        await litellm.acompletion(**{**gpt, "model": "openai/gpt-nope"}, messages=ASKED)
    deadline = time.monotonic() + 20.0
    while len(log.rows) < 6 and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return log.rows


@pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning")  # of LiteLLM's own types
async def test_every_kind_of_line_is_read(simulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = await logged(simulator, monkeypatch)
    calls, account = read_all(write(tmp_path / "callback.jsonl", rows))
    assert {reason: left.rows for reason, left in account.left.items()} == {Reason.FAILED: 1}
    by_kind = {(call.model, call.usage.cache_write_5m > 0, call.request and call.request.api): call for call in calls}
    chat, marked = by_kind["gpt-4.1", False, Api.CHAT], by_kind["claude-sonnet-4-5", True, Api.CHAT]
    messages, responses = by_kind["claude-sonnet-4-5", False, Api.MESSAGES], by_kind["gpt-4.1", False, Api.RESPONSES]
    for call, tools in ((chat, 1), (marked, 0), (messages, 0), (responses, 1)):
        assert call.text is Text.WHOLE
        assert call.opening is not None
        assert (call.opening.system, len(call.opening.tools)) == ((SYSTEM,), tools)
        assert call.usage.prompt > 2000
        assert call.logged_usd
    # LiteLLM does not log a system prompt that came in blocks through the Messages API.
    (partial,) = [call for call in calls if call.text is Text.PARTIAL]
    assert partial.usage.prompt > 2000
