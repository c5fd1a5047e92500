"""What both proxies are asked: real bodies of the example traffic, each sent to both."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.rig.proxies import Proxy
from examples.traffic.keys import load_keys
from examples.traffic.workload import load
from fivelevers.embedded.ports import HOST

_PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
KINDS = ("chat", "chat streamed", "messages", "messages streamed")
_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, ready to be sent."""

    kind: str
    path: str
    body: bytes
    headers: dict[str, str]


def asks(files: Sequence[Path]) -> Iterator[Ask]:
    """Endless, the kinds in turn: chat and messages bodies of the files in their order, each streamed and not."""
    keys = load_keys()
    found = [request for path in files for request in load(path)]
    turns = {}
    for kind in KINDS:
        api, _, _ = kind.partition(" ")
        bodies = [(request.body, keys[request.tenant]) for request in found if request.api == api]
        if not bodies:
            raise SystemExit(f"--data: no {api} request in {', '.join(map(str, files))}; name a file that has some")
        turns[kind] = cycle([ask(kind, body, key) for body, key in bodies])
    while True:
        for kind in KINDS:
            yield next(turns[kind])


def ask(kind: str, body: Any, key: str) -> Ask:
    """``body`` as a request of this kind: what it says of streaming is left out."""
    api, _, streamed = kind.partition(" ")
    sent = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    text = json.dumps({**sent, "stream": bool(streamed)}).encode()
    return Ask(kind, _PATHS[api], text, {"authorization": f"Bearer {key}", "content-type": "application/json"})


class Client:
    """One connection that is kept open."""

    def __init__(self, proxy: Proxy) -> None:
        self._connection = http.client.HTTPConnection(HOST, proxy.port, timeout=_LIMIT_S)
        self.headers: Mapping[str, str] = {}  # of the last answer

    def send(self, ask: Ask) -> float:
        """Milliseconds from the request to the last byte of its answer. SystemExit where it is no good answer."""
        start = time.perf_counter()
        self._connection.request("POST", ask.path, ask.body, ask.headers)
        answer = self._connection.getresponse()
        text = answer.read()
        self.headers = dict(answer.headers)
        took_ms = (time.perf_counter() - start) * 1e3
        if answer.status != http.client.OK:
            raise SystemExit(f"{ask.kind}: answered with {answer.status}: {text[:500].decode(errors='replace')}")
        return took_ms

    def close(self) -> None:
        self._connection.close()
