"""How fast the lane accepts: its own application in uvicorn's processes, a real Redis with AOF, wrk in front.

What stands in the proxy's place lets every request pass, so that what is measured is the lane's: it reads the request,
seals it, keeps it in Redis and answers 202. LiteLLM's own work on a request comes on top where the lane is mounted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis as Client

from benchmarks.rig.lane_redis import Redis
from benchmarks.rig.proxies import ROOT
from fivelevers.embedded.health import port_taken
from fivelevers.embedded.ports import HOST, Port
from fivelevers.lane.app import LaneApp
from fivelevers.lane.asgi import Receive, Scope, Send
from fivelevers.lane.call import Call, Owner, Parked
from fivelevers.lane.contract import fingerprint
from fivelevers.levers.batch.work import Endpoint, Group, Terms, Work
from fivelevers.stores.lane import Lane

WRK = shutil.which("wrk") or ""
_URL, _FSYNC = "BENCH_LANE_URL", "BENCH_LANE_FSYNC"
_PATH = "/fivelevers/lane/v1/chat/completions"
_GROUP = Group("openai", "main", Endpoint.CHAT, "gpt-4.1-mini")
_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """``kept``: requests that Redis has afterwards, of ``answered`` 202s."""

    per_s: float
    p50_ms: float
    p99_ms: float
    answered: int
    kept: int


class Everybody:
    """In the proxy's place: a request of anybody may wait. ``about``: as the proxy writes down who asked."""

    def __init__(self, about: Mapping[str, Any], terms: Terms) -> None:
        self._about, self._terms = about, terms

    async def offer(self, call: Call, receive: Receive, send: Send) -> Parked | None:
        now = time.time()
        work = Work(
            id=f"flr_{uuid.uuid4().hex}", group=_GROUP, tenant="operations", route="tickets", body=call.body,
            accepted_at=now, deadline_at=now + 14_400, prompt_tokens=250, about=self._about, terms=self._terms,
        )  # fmt: skip
        return Parked(work, 14_400, fingerprint(work.tenant, work.route, call.fields))

    async def live(self, call: Call, why: str, receive: Receive, send: Send, *, work_id: str | None = None) -> None:
        raise AssertionError(why)

    async def owner(self, scope: Scope) -> Owner:
        return Owner(frozenset({"operations"}))


def app() -> LaneApp:
    """For uvicorn."""
    from benchmarks.batch_lane import ABOUT

    terms = Terms(fsync="always" if os.environ[_FSYNC] == "always" else "everysec")
    return LaneApp(Lane(os.environ[_URL]), Everybody(ABOUT, terms))


def accepted(folder: Path, body: str, *, fsync: str, env: Mapping[str, str], load: tuple[int, int, int]) -> Accepted:
    """``body``: with %s where each request differs. ``load``: processes, connections, seconds."""
    processes, connections, seconds = load
    folder.mkdir()
    redis = Redis(folder)
    script = folder / "post.lua"
    before, after = body.split("%s")
    script.write_text(_LUA.format(before=before, after=after, path=_PATH))
    try:
        with Client.from_url(redis.url) as client, _serving(redis.url, fsync, processes, env) as url:
            client.config_set("appendfsync", fsync)
            command = [WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert "Non-2xx" not in said, said
            kept = client.zcard(f"{{fl:lane}}:q:{_GROUP.id}")
    finally:
        redis.close()
    found = {share: _ms(_found(rf"^\s+{share}%\s+(\S+)$", said)) for share in (50, 99)}
    answered = int(_found(r"(\d+) requests in", said))
    return Accepted(float(_found(r"Requests/sec:\s+(\S+)", said)), found[50], found[99], answered, int(kept))


@contextmanager
def _serving(redis_url: str, fsync: str, processes: int, env: Mapping[str, str]) -> Iterator[str]:
    port = Port(0)
    command = [sys.executable, "-m", "uvicorn", "--factory", f"{__name__}:app", "--host", HOST]
    command += ["--port", str(port.number), "--workers", str(processes), "--lifespan", "off", "--log-level", "warning"]
    own = {_URL: redis_url, _FSYNC: fsync, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    server = subprocess.Popen([*command, "--no-access-log"], env={**os.environ, **env, **own}, cwd=ROOT)
    until = time.monotonic() + _LIMIT_S
    try:
        while not port_taken(HOST, port.number):
            assert server.poll() is None, "the lane did not start"
            assert time.monotonic() < until, "the lane did not start in time"
            time.sleep(0.1)
        time.sleep(1.0)  # until each of its processes listens
        yield f"http://{HOST}:{port.number}"
    finally:
        server.terminate()
        server.wait()
        port.release()


# Each request has a text of its own.
_LUA = """
local count = 0
local headers = {{["Content-Type"] = "application/json", ["Authorization"] = "Bearer sk", ["Prefer"] = "respond-async"}}
request = function()
  count = count + 1
  return wrk.format("POST", "{path}", headers, [==[{before}]==] .. string.format("%08d", count) .. [==[{after}]==])
end
"""


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.M)
    assert match is not None, text
    return match[1]


def _ms(text: str) -> float:
    """wrk's `312.00us`, `1.20ms`, `2.50s`."""
    for unit, factor in (("us", 1e-3), ("ms", 1.0), ("s", 1e3)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)
