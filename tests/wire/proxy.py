"""What tests do with the running stack: call it through the official SDKs, trouble its provider, read its ledger."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anthropic
import httpx
import openai

from fivelevers.embedded.stack import Stack

ACME, GLOBEX = "sk-test-acme-0a1b2c3d4e", "sk-test-globex-5f6a7b8c9d"
GPT, CLAUDE = "support-assistant", "coding-agent"
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    """An answer: its text, and what the response headers said of it."""

    text: str
    headers: Mapping[str, str]

    @property
    def request_id(self) -> str:
        return self.headers["x-fivelevers-request"]


class Proxy:
    def __init__(self, stack: Stack, policy: Path) -> None:
        self.stack = stack
        self.policy = policy
        self.http = httpx.Client(base_url=stack.envoy_url, timeout=60)

    def call(
        self,
        api: str,
        model: str,
        prompt: str,
        *,
        stream: bool = False,
        key: str = ACME,
        system: str | list[dict[str, Any]] | None = None,
        session: str | None = None,
        **params: Any,
    ) -> Reply:
        """One request through the provider's own SDK, which parses the answer; no retries of the SDK's own."""
        headers = {"x-fivelevers-session": session} if session else {}
        if api == "messages":
            return self._messages(key, stream, model=model, prompt=prompt, system=system, headers=headers, **params)
        with openai.OpenAI(base_url=f"{self.stack.envoy_url}/v1", api_key=key, max_retries=0, timeout=60) as client:
            if api == "responses":
                return _responses(client, stream, model=model, prompt=prompt, system=system, headers=headers, **params)
            return _chat(client, stream, model=model, prompt=prompt, system=system, headers=headers, **params)

    def _messages(
        self, key: str, stream: bool, *, prompt: str, system: Any, headers: dict[str, str], **params: Any
    ) -> Reply:
        body: dict[str, Any] = {"max_tokens": 300, "messages": [{"role": "user", "content": prompt}], **params}
        if system:
            body["system"] = system
        with anthropic.Anthropic(base_url=self.stack.envoy_url, api_key=key, max_retries=0, timeout=60) as client:
            raw = client.messages.with_raw_response.create(**body, stream=stream, extra_headers=headers)
            parsed: Any = raw.parse()
            if not stream:
                return Reply("".join(block.text for block in parsed.content if block.type == "text"), raw.headers)
            texts = [e.delta.text for e in parsed if e.type == "content_block_delta" and e.delta.type == "text_delta"]
            return Reply("".join(texts), raw.headers)

    def fault(self, **rule: Any) -> None:
        httpx.post(f"{self.stack.simulator_url}/sim/faults", json=rule).raise_for_status()

    def no_faults(self) -> None:
        httpx.delete(f"{self.stack.simulator_url}/sim/faults").raise_for_status()

    def bill_entries(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = httpx.get(f"{self.stack.simulator_url}/sim/bill?detail=1").json()["entries"]
        return entries

    def billed(self, attempt: sqlite3.Row) -> dict[str, Any]:
        """The bill's entry of a ledger row."""
        name = attempt["provider_request_id"]
        (found,) = [entry for entry in self.bill_entries() if name in (entry["id"], entry["request_id"])]
        return found

    def query(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with contextlib.closing(
            sqlite3.connect(self.stack.ledger_url.removeprefix("sqlite:///"), timeout=10)
        ) as ledger:
            ledger.row_factory = sqlite3.Row
            return ledger.execute(sql, values).fetchall()

    def attempts(self, request_id: str, count: int = 1) -> list[sqlite3.Row]:
        """The ledger's rows of a request, in order, once there are ``count`` of them."""
        sql = "select * from attempt where request_id = ? order by at"
        return wait_for(lambda: self.query(sql, request_id), lambda rows: len(rows) >= count)

    def attempt_count(self) -> int:
        count: int = self.query("select count(*) n from attempt")[0]["n"]
        return count

    def outcomes(self, request_id: str, count: int = 1) -> list[sqlite3.Row]:
        sql = "select * from outcome where request_id = ? order by at"
        return wait_for(lambda: self.query(sql, request_id), lambda rows: len(rows) >= count)

    def metric(self, name: str, **labels: str) -> float:
        """A sample's value over all workers; 0 where there is none."""
        text = self.http.get("/fivelevers/v1/metrics").text
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = (line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} ")))
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(part in line for part in wanted))

    def log(self) -> str:
        return (self.stack.logs_dir / "litellm.log").read_text()


def _responses(
    client: openai.OpenAI, stream: bool, *, model: str, prompt: str, system: Any, headers: dict[str, str], **params: Any
) -> Reply:
    if system:
        params["instructions"] = system
    raw = client.responses.with_raw_response.create(
        model=model, input=prompt, stream=stream, extra_headers=headers, **params
    )
    parsed: Any = raw.parse()
    if not stream:
        return Reply(parsed.output_text, raw.headers)
    return Reply("".join(e.delta for e in parsed if e.type == "response.output_text.delta"), raw.headers)


def _chat(
    client: openai.OpenAI, stream: bool, *, model: str, prompt: str, system: Any, headers: dict[str, str], **params: Any
) -> Reply:
    messages: list[Any] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": prompt})
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=messages, stream=stream, extra_headers=headers, **params
    )
    parsed: Any = raw.parse()
    if not stream:
        return Reply(parsed.choices[0].message.content or "", raw.headers)
    return Reply("".join(c.choices[0].delta.content or "" for c in parsed if c.choices), raw.headers)


def wait_for(look: Callable[[], T], good: Callable[[T], bool], limit_s: float = 60.0) -> T:
    """What ``look`` gives as soon as it is good; what it gave last when time is up, for the test to judge."""
    deadline = time.monotonic() + limit_s
    while not good(found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def by_kind(attempt: sqlite3.Row) -> dict[str, int]:
    kinds: Sequence[str] = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    return {kind: attempt[f"{kind}_tokens"] for kind in kinds}


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Runs them all at once; their results in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))
