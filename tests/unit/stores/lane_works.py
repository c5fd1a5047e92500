"""Requests for tests of the lane."""

from __future__ import annotations

import time
import uuid
from typing import Any

from fivelevers.levers.batch.work import Endpoint, Group, Result, Work

GROUP = Group("openai", "main", Endpoint.CHAT, "gpt-4.1-mini")


def new_id() -> str:
    return f"flr_{uuid.uuid4().hex}"


def work(**changes: Any) -> Work:
    now = time.time()
    values: dict[str, Any] = {
        "id": new_id(), "group": GROUP, "tenant": "team-a", "route": "tickets", "body": b'{"model":"gpt-4.1-mini"}',
        "accepted_at": now, "deadline_at": now + 14_400, "prompt_tokens": 120, "prefix": "p", "about": {"key": "k1"},
    }  # fmt: skip
    return Work(**(values | changes))


def answer(request_id: str, *, status: int = 200, body: bytes = b'{"ok":true}', live: bool = False) -> Result:
    return Result(request_id, status, body, time.time(), live=live, provider_batch=None if live else "batch_1")
