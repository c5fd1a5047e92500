"""Providers that workers of the lane are killed in front of: the simulator, and two that others wrote.

Each says which batches came in more than once, what was paid for twice, and whether an answer is the one to a question.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson

from benchmarks.rig.proxies import simulator
from fivelevers.embedded import environment
from fivelevers.embedded.health import http_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.process import Process

_BOOT_LIMIT_S = 60.0
_MODEL = "gpt-4.1-mini"
_CLAUDE = "claude-haiku-4-5"


class Peer(Protocol):
    """``provider``, ``base_url``, ``live_url`` and ``key``: how workers reach it."""

    provider: str
    live_url: str
    key: str

    @property
    def base_url(self) -> str: ...

    def body(self, token: str) -> bytes:
        """A request with a token of its own."""

    def duplicates(self) -> int:
        """Rows that were sent in more than one batch made from one plan, or paid for twice."""

    def joined(self, token: str, answer: bytes) -> bool | None:
        """Whether this is the answer to the request with that token. None: its answers do not tell."""


@dataclass
class Simulator:
    live_url: str
    provider: str = "openai"
    key: str = "sk-chaos"
    model: str = _MODEL
    _owner: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return self.live_url + ("" if self.provider == "anthropic" else "/v1")

    def prepare(self, *, seconds: float, faults: Sequence[Mapping[str, Any]]) -> None:
        httpx.post(f"{self.live_url}/sim/batches", json={"seconds": seconds}).raise_for_status()
        for fault in faults:
            httpx.post(f"{self.live_url}/sim/faults", json=fault).raise_for_status()

    def body(self, token: str) -> bytes:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": f"What is 17 * {token}?"}],
        }
        return orjson.dumps(body | ({"max_tokens": 64} if self.provider == "anthropic" else {}))

    def duplicates(self) -> int:
        seen = httpx.get(f"{self.live_url}/sim/batches", params={"detail": 1}, timeout=60).json()
        twice = len(seen["repeated"]["custom_ids"])
        paid = Counter(row["body"] for row in seen["detail"] if row["state"] == "succeeded")
        return twice + sum(times - 1 for times in paid.values())

    def joined(self, token: str, answer: bytes) -> bool:
        """By the answer's id: the bill says which row it was, and the report which body that row had."""
        if not self._owner:
            seen = httpx.get(f"{self.live_url}/sim/batches", params={"detail": 1}, timeout=60).json()
            bodies = {(row["batch"], row["custom_id"]): row["body"] for row in seen["detail"]}
            bill = httpx.get(f"{self.live_url}/sim/bill", params={"detail": 1}, timeout=60).json()
            for row in bill["entries"]:
                if row.get("batch"):
                    self._owner[row["id"]] = bodies[row["batch"], row["custom_id"]]
        digest = blake2b(self.body(token), digest_size=8).hexdigest()
        return self._owner.get(orjson.loads(answer)["id"]) == digest


@dataclass
class _OpenAIShaped:
    """``echoes``: its answers repeat the question."""

    live_url: str
    echoes: bool
    provider: str = "openai-shaped"
    key: str = "sk-chaos"

    @property
    def base_url(self) -> str:
        return f"{self.live_url}/v1"

    def body(self, token: str) -> bytes:
        return orjson.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": f"Say {token}."}]})

    def duplicates(self) -> int:
        """Batches beyond the first of one plan: there is no count of rows to be had."""
        plans: Counter[str] = Counter()
        after, more = "", True
        while more:
            params = {"limit": 100} | ({"after": after} if after else {})
            headers = {"authorization": f"Bearer {self.key}"}
            page = httpx.get(f"{self.base_url}/batches", params=params, headers=headers, timeout=60).json()
            for batch in page["data"]:
                plans[(batch.get("metadata") or {}).get("fivelevers_batch", batch["id"])] += 1
                after = batch["id"]
            more = bool(page.get("has_more"))
        return sum(times - 1 for times in plans.values())

    def joined(self, token: str, answer: bytes) -> bool | None:
        if not self.echoes:
            return None
        found = re.findall(r"[0-9a-f]{12}", orjson.loads(answer)["choices"][0]["message"]["content"])
        return found == [token]


@contextmanager
def simulated(folder: Path, provider: str, *, seconds: float, faults: Sequence[Mapping[str, Any]]) -> Iterator[Peer]:
    with simulator(folder) as url:
        peer = Simulator(url, provider, model=_CLAUDE if provider == "anthropic" else _MODEL)
        peer.prepare(seconds=seconds, faults=faults)
        yield peer


@contextmanager
def llmock(folder: Path) -> Iterator[Peer]:
    """PyPI's llmock; each batch takes it 3 s."""
    port, binary = Port(0), Path(sys.executable).with_name("llmock")
    command = [str(binary), "serve", "--host", HOST, "--port", str(port.number), "--response-style", "echo"]
    with _running(folder, "llmock", command, f"http://{HOST}:{port.number}", "/v1/batches") as url:
        yield _OpenAIShaped(url, echoes=True)
    port.release()


@contextmanager
def aimock(folder: Path) -> Iterator[Peer]:
    """npm's @copilotkit/aimock; all rows of its batches have one answer."""
    binary, port = aimock_binary(folder), Port(0)
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": []}))
    command = [str(binary), "-p", str(port.number), "-f", str(fixtures), "--log-level", "silent"]
    with _running(folder, "aimock", command, f"http://{HOST}:{port.number}", "/v1/batches") as url:
        yield _OpenAIShaped(url, echoes=False)
    port.release()


def aimock_binary(folder: Path) -> Path:
    """Installed into the folder. Raises OSError or CalledProcessError where there is no npm, or it can not be had."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    command = [npm, "install", "--silent", "--no-audit", "--prefix", str(folder), "@copilotkit/aimock@1"]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    return folder / "node_modules/.bin/llmock"


@contextmanager
def _running(folder: Path, name: str, command: Sequence[str], url: str, ready: str) -> Iterator[str]:
    env = environment.inherited({}, simulated=True) | {"PATH": os.environ["PATH"]}
    process = Process(name, command, log=folder / f"{name}.log", env=env, cwd=folder)
    try:
        process.wait_until(lambda: http_ok(url + ready), _BOOT_LIMIT_S)
        yield url
    finally:
        process.stop()
