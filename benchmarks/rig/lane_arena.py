"""Workers of the batch lane, killed and stopped at random while requests come in, and what became of those."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.rig.lane_peers import Peer
from benchmarks.rig.lane_redis import Redis
from benchmarks.rig.proxies import ROOT
from fivelevers.embedded import environment
from fivelevers.errors import StoreError
from fivelevers.levers.batch.work import Endpoint, Group, Terms, Work
from fivelevers.stores.lane import Lane

PACE: Final = {
    "tick_s": 0.05, "lease_s": 1.0, "grace_s": 2.0, "create_limit_s": 1.0, "poll_first_s": 0.2, "poll_most_s": 0.4,
    "retry_first_s": 0.1, "retry_most_s": 0.5, "live_margin_s": 60.0,
}  # fmt: skip
FLUSH_ROWS: Final = 20
_READY_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. ``stops``: of the kills, how many are stops past the lease instead, each gone on with afterwards.

    ``redis_kills``: of Redis itself, at random moments. ``flaws``: on purpose, of the workers (`lane_zygote.Settings`)
    or, "forgetful", of Redis.
    """

    seed: int
    workers: int = 1
    requests: int = 2000
    kills: int = 20
    stops: int = 0
    redis_kills: int = 0
    drain_s: float = 180.0
    pace: tuple[tuple[str, float], ...] = ()
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """``lost``: accepted and gone, or ended and never told. ``stuck``: not ended when the time was over.

    ``duplicate``: rows (of the simulator; of others, batches) that were sent or paid for twice. ``wrong_join``: answers
    to another's question, None where the provider's answers do not tell. ``told_again``: how often a request's end was
    told more than once, which may happen.
    """

    lost: int
    duplicate: int
    wrong_join: int | None
    stuck: int
    kills: int
    stops: int
    accepted: int
    states: dict[str, int]
    told_again: int
    took_s: float


class Workers:
    """Those that one zygote has forked and that live."""

    def __init__(self, settings: dict[str, Any], log: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.rig.lane_zygote", json.dumps(settings)]
        env = environment.inherited({}, simulated=True)
        with log.open("ab") as errors:
            self._zygote = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env, cwd=ROOT, text=True
            )
        self.pids: list[int] = []

    def spawn(self) -> None:
        """Returns when it is at work."""
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.write("spawn\n")
        self._zygote.stdin.flush()
        word, _, pid = self._zygote.stdout.readline().partition(" ")
        assert word == "ready", "a worker did not start"
        self.pids.append(int(pid))

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.pids.remove(pid)

    def close(self) -> None:
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._zygote.kill()
        self._zygote.communicate()


def run(plan: Plan, peer: Peer, folder: Path, tokens: Sequence[str]) -> Count:
    """Kill workers in front of a provider while requests come in; ``tokens``: one for each request."""
    with _redis(folder, forgetful="forgetful" in plan.flaws) as redis:
        return asyncio.run(_Run(plan, peer, folder, redis).go(tokens))


def tokens_of(plan: Plan) -> list[str]:
    rng = random.Random(plan.seed)
    return [f"{rng.getrandbits(48):012x}" for _ in range(plan.requests)]


@contextmanager
def _redis(folder: Path, *, forgetful: bool) -> Iterator[Redis]:
    redis = Redis(folder, forgetful=forgetful)
    try:
        yield redis
    finally:
        redis.close()


class _Run:
    def __init__(self, plan: Plan, peer: Peer, folder: Path, redis: Redis) -> None:
        self._plan, self._peer, self._redis = plan, peer, redis
        self._told = folder / "told"
        self._told.touch()
        pace = PACE | dict(plan.pace)
        settings = {
            "redis_url": redis.url, "provider": peer.provider, "base_url": peer.base_url, "live_url": peer.live_url,
            "key": peer.key, "told": str(self._told), "pace": pace, "flaws": plan.flaws,
        }  # fmt: skip
        self._lease_s = pace["lease_s"]
        self._workers = Workers(settings, folder / "workers.log")
        self._rng = random.Random(plan.seed)
        self._token_of: dict[str, str] = {}
        self._group = _group(peer)

    async def go(self, tokens: Sequence[str]) -> Count:
        lane, started = Lane(self._redis.url, {}), time.monotonic()
        try:
            for _ in range(self._plan.workers):
                await asyncio.to_thread(self._workers.spawn)
            kills, stops = await self._kill_and_feed(lane, tokens)
            stuck = await self._drained(lane)
            return await self._count(lane, stuck, kills, stops, time.monotonic() - started)
        finally:
            self._workers.close()
            await lane.close()

    async def _kill_and_feed(self, lane: Lane, tokens: Sequence[str]) -> tuple[int, int]:
        """Requests come in between kills, so that there is always work to be hit."""
        events = ["stop"] * self._plan.stops + ["kill"] * (self._plan.kills - self._plan.stops)
        events += ["redis"] * self._plan.redis_kills
        self._rng.shuffle(events)
        share, done = -(-len(tokens) // max(len(events), 1)), Counter[str]()
        for at, event in enumerate(events or ["none"]):
            await asyncio.gather(*(self._accept(lane, token) for token in tokens[at * share : (at + 1) * share]))
            await asyncio.sleep(self._rng.uniform(0.02, 0.8))
            await self._do(event)
            done[event] += 1
        return done["kill"] + done["stop"], done["stop"]

    async def _do(self, event: str) -> None:
        if event == "redis":
            self._redis.kill()
            await asyncio.sleep(0.2)
            await asyncio.to_thread(self._redis.start)
        elif event == "kill":
            self._workers.kill(self._rng.choice(self._workers.pids))
            await asyncio.to_thread(self._workers.spawn)
        elif event == "stop":
            asleep = self._rng.choice(self._workers.pids)
            os.kill(asleep, signal.SIGSTOP)
            await asyncio.to_thread(self._workers.spawn)  # goes on with what the other held
            await asyncio.sleep(self._lease_s * self._rng.uniform(1.2, 4.0))
            os.kill(asleep, signal.SIGCONT)
            await asyncio.sleep(0.3)
            self._workers.kill(asleep)

    async def _accept(self, lane: Lane, token: str) -> None:
        """As a client of the lane: what is not accepted is asked again."""
        now = time.time()
        work = Work(
            id=f"flr_{uuid.uuid4().hex}", group=self._group, tenant="t", route="r", body=self._peer.body(token),
            accepted_at=now, deadline_at=now + 14_400, prompt_tokens=20, terms=Terms(FLUSH_ROWS, 0.3),
        )  # fmt: skip
        while True:
            try:
                accepted = await lane.accept(work, now=now)
            except StoreError:
                await asyncio.sleep(0.1)
            else:
                self._token_of[accepted.id] = token
                return

    async def _drained(self, lane: Lane) -> int:
        """How many had not ended when the time was over."""
        until, left = time.monotonic() + self._plan.drain_s, set(self._token_of)
        while left and time.monotonic() < until:
            await asyncio.sleep(0.3)
            told = {line.split()[0] for line in self._told.read_text().splitlines()}
            left -= told
        return len([name for name in left if (view := await lane.view(name)) is not None and not view.state.ended])

    async def _count(self, lane: Lane, stuck: int, kills: int, stops: int, took_s: float) -> Count:
        told = Counter(line.split()[0] for line in self._told.read_text().splitlines())
        states: Counter[str] = Counter()
        lost, joined = 0, Counter[bool | None]()
        for name, token in self._token_of.items():
            view = await lane.view(name)
            states["gone" if view is None else view.state.value] += 1
            if view is None or (view.state.ended and (name not in told or view.result is None)):
                lost += 1
            elif view.result is not None and not view.result.live and view.result.status == 200:
                joined[self._peer.joined(token, view.result.body)] += 1
        return Count(
            lost=lost,
            duplicate=self._peer.duplicates(),
            wrong_join=None if joined[None] else joined[False],
            stuck=stuck,
            kills=kills,
            stops=stops,
            accepted=len(self._token_of),
            states=dict(states),
            told_again=sum(times - 1 for times in told.values()),
            took_s=round(took_s, 1),
        )


def _group(peer: Peer) -> Group:
    endpoint = Endpoint.MESSAGES if peer.provider == "anthropic" else Endpoint.CHAT
    return Group(peer.provider, "chaos", endpoint, "any")


def as_json(count: Count) -> dict[str, Any]:
    return asdict(count)
