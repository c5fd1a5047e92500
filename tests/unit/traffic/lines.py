"""Requests for the tests of schedule and replayer."""

from typing import Any

from examples.traffic.truth import Truth
from examples.traffic.workload import Request


def request(at_s: float = 0.0, session: str = "s", *, text: str = "hello", **more: Any) -> Request:
    body = {"model": "support-assistant", "messages": [{"role": "user", "content": text}], **more.pop("body", {})}
    fields = {"tenant": "people", "api": "chat", "workload": "support", "truth": None, "source": f"t.jsonl:{text}"}
    return Request(at_s=at_s, session=session, body=body, **(fields | more))


def contains(fact: str) -> Truth:
    return Truth("contains", fact)
