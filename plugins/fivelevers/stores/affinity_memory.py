"""What each deployment holds, as one process alone has seen it: where there is no Redis, in tests and benchmarks."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from fivelevers.levers.prompt_cache.affinity import Ending, Path, Placement, Queue, Replica, Standing, Step, choose

MAX_REPLICAS = 1000
MAX_LIVE = 50_000


@dataclass(slots=True)
class _Belief:
    """A replica: its steps with their last use, those used longest ago first, and the tokens that they hold."""

    steps: OrderedDict[Step, float] = field(default_factory=OrderedDict)
    used: int = 0
    queue: Queue = field(default_factory=Queue)

    def held(self, path: Path) -> int:
        return _leading(path, self.steps.__contains__)

    def touch(self, path: Path, now: float, kv_tokens: int) -> None:
        for step in reversed(path.steps):  # servers free the end of a sequence first
            if step not in self.steps:
                self.used += step.tokens
            self.steps[step] = now
            self.steps.move_to_end(step)
        while self.used > kv_tokens:
            self.drop([next(iter(self.steps))])

    def drop(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if self.steps.pop(step, None) is not None:
                self.used -= step.tokens


class MemoryAffinity:
    """``Affinity`` of stores/affinity.py in this process. Bounded; what was unused the longest goes first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._replicas: OrderedDict[tuple[str, str], _Belief] = OrderedDict()
        self._live: OrderedDict[tuple[str, str, Step], float] = OrderedDict()

    async def place(self, group: str, replicas: Sequence[Replica], path: Path) -> Placement:
        now = self._clock()
        beliefs = [self._belief(group, replica) for replica in replicas]
        held = [belief.held(path) for belief in beliefs]
        standings = [
            Standing(
                replica,
                path.held(steps),
                belief.used,
                belief.queue.outstanding(now, replica.prefill_tokens_per_s),
                belief.queue.placed,
            )
            for replica, belief, steps in zip(replicas, beliefs, held, strict=True)
        ]
        at = choose(path.tokens, standings)
        chosen, belief, steps = replicas[at], beliefs[at], held[at]
        since = belief.steps[path.steps[steps - 1]] if steps else 0.0
        work = path.tokens - standings[at].held
        belief.queue = belief.queue.given(work, now, chosen.prefill_tokens_per_s)
        belief.touch(path, now, chosen.kv_tokens)
        return Placement(group, chosen, path, steps, since, now, work, belief.queue.placed)

    async def ended(self, placement: Placement, ending: Ending) -> None:
        replica, now = placement.replica, self._clock()
        belief = self._belief(placement.group, replica)
        if ending.failed:
            belief.queue = belief.queue.withdrawn(placement.work)
            added = placement.path.steps[placement.held_steps :]
            belief.drop([step for step in added if belief.steps.get(step, now) <= placement.placed_at])
        elif ending.first_token_ago_s is not None:
            belief.queue = belief.queue.first_token(placement.mark, now - ending.first_token_ago_s)
        else:
            belief.queue = belief.queue.ended(placement.mark, now, replica.prefill_tokens_per_s)
        if ending.missing:
            belief.drop([step for step, used_at in belief.steps.items() if used_at <= placement.held_since])

    async def live(self, group: str, deployments: Sequence[str], path: Path) -> dict[str, int]:
        now = self._clock()

        def steps_at(name: str) -> int:
            return _leading(path, lambda step: self._live.get((group, name, step), 0.0) > now)

        return {name: steps_at(name) for name in deployments}

    async def keep(self, group: str, deployment: str, path: Path, ttl_s: int) -> None:
        until = self._clock() + ttl_s
        for step in path.steps:
            key = (group, deployment, step)
            self._live[key] = max(until, self._live.get(key, 0.0))
            self._live.move_to_end(key)
        while len(self._live) > MAX_LIVE:
            self._live.popitem(last=False)

    async def close(self) -> None:
        pass

    def _belief(self, group: str, replica: Replica) -> _Belief:
        key = (group, replica.id)
        belief = self._replicas.setdefault(key, _Belief())
        self._replicas.move_to_end(key)
        if len(self._replicas) > MAX_REPLICAS:
            self._replicas.popitem(last=False)
        return belief


def _leading(path: Path, there: Callable[[Step], bool]) -> int:
    """How many steps of the path are there. A step is only while all before it are, so that halving finds the last."""
    return bisect_left(path.steps, True, key=lambda step: not there(step))
