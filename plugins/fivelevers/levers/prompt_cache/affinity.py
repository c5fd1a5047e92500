"""Which deployment gets a request, by what each of them holds of its prefix.

A **replica** is a model server of one's own (vLLM, SGLang): its KV cache keeps full blocks until space runs out and it
computes one prompt after the other. A request goes where its first token is expected soonest: work ahead of it, plus
the tokens that are not cached there. Tokens that must be evicted to make room count as work to come: without that, a
shared system prompt would draw all conversations to the one replica that holds it while the others stand empty.

Work ahead is what was placed less what is known or expected to be done (`Queue`). An estimate that drains by itself
needs no clean-up after a proxy that died. The rate is a cautious one: too low a rate evens out the work, too high a one
hides a queue that grows.

At a **managed** provider each deployment is a workspace with a cache of its own, and there is no queue to see. So only
a prefix that lives there decides; where none does, the proxy's own strategy does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fivelevers.levers.prompt_cache.prefix import Position

GRAIN_TOKENS: Final = 256
COARSE_FROM_TOKENS: Final = 65_536
COARSE_GRAIN_TOKENS: Final = 1024
MANAGED_MINIMUM_TOKENS: Final = 1024  # no managed provider caches less than 512, most 1,024
DEFAULT_KV_TOKENS: Final = 1_000_000  # 60 GB of Llama 3.1 8B's KV cache in FP8; too much costs less than too little
DEFAULT_PREFILL_TOKENS_PER_S: Final = 4000.0

SETTLED_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """A prefix that is tracked: its chained hash, and the tokens that it adds to the step before it."""

    node: bytes
    tokens: int


@dataclass(frozen=True, slots=True)
class Path:
    """A prompt as tracked prefixes, each the beginning of the next; ``tokens`` is the length of the whole prompt."""

    steps: tuple[Step, ...]
    tokens: int

    def held(self, steps: int) -> int:
        """Tokens of the first so many steps."""
        return sum(step.tokens for step in self.steps[:steps])


def path_of(positions: Iterable[Position]) -> Path:
    """The positions that reach a further multiple of the grain: what a short block adds is not worth an entry.

    Whether a position stays depends on its own prefix alone, so equal prefixes have equal steps whatever follows.
    """
    steps, before, reached = [], 0, 0
    for position in positions:
        reached = position.tokens
        if _grains(reached) > _grains(before):
            steps.append(Step(position.node, reached - before))
            before = reached
    return Path(tuple(steps), reached)


def _grains(tokens: int) -> int:
    beyond = max(0, tokens - COARSE_FROM_TOKENS)
    return (tokens - beyond) // GRAIN_TOKENS + beyond // COARSE_GRAIN_TOKENS


@dataclass(frozen=True, slots=True)
class Replica:
    """A model server of one's own. ``kv_tokens``: what its KV cache can hold; ``prefill_tokens_per_s``: how fast it
    computes prompts, rather too low than too high."""

    id: str
    kv_tokens: int = DEFAULT_KV_TOKENS
    prefill_tokens_per_s: float = DEFAULT_PREFILL_TOKENS_PER_S


@dataclass(frozen=True, slots=True)
class Queue:
    """The prompt tokens that a replica was given and computes in that order, as seen from outside.

    ``placed``: tokens ever given to it; ``done``: how many of them were known to be computed at ``at`` (seconds). From
    then on it is expected to go on at its rate.
    """

    placed: float = 0.0
    done: float = 0.0
    at: float = 0.0

    def done_by(self, now: float, rate: float) -> float:
        return min(self.placed, self.done + rate * max(0.0, now - self.at))

    def outstanding(self, now: float, rate: float) -> float:
        return self.placed - self.done_by(now, rate)

    def given(self, tokens: float, now: float, rate: float) -> Queue:
        if self.outstanding(now, rate) > 0:
            return Queue(self.placed + tokens, self.done, self.at)
        return Queue(self.placed + tokens, self.placed, max(now, self.at))  # it was idle: work begins now

    def first_token(self, mark: float, at: float) -> Queue:
        """The request whose tokens ended at ``mark`` got its first token: all before is done, what follows is not."""
        return Queue(self.placed, min(mark, self.placed), at) if at >= self.at else self  # else more is known

    def ended(self, mark: float, at: float, rate: float) -> Queue:
        """A request ended whose first token nobody saw: at least what was placed up to it is done."""
        known = min(mark, self.placed)
        return Queue(self.placed, known, at) if known > self.done_by(at, rate) else self

    def withdrawn(self, tokens: float) -> Queue:
        """A request failed: its tokens are not computed."""
        placed = max(0.0, self.placed - tokens)
        return Queue(placed, min(self.done, placed), self.at)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a replica stands to one request, in tokens. ``used``: what it is believed to hold in all."""

    replica: Replica
    held: int
    used: int
    outstanding: float
    placed: float

    def cost_s(self, tokens: int) -> float:
        """Expected seconds of computing for a prompt of ``tokens``: what is ahead, its rest, what that evicts."""
        rest = tokens - self.held
        evicted = min(rest, max(0, self.used + rest - self.replica.kv_tokens))
        return (self.outstanding + rest + evicted) / self.replica.prefill_tokens_per_s


def choose(tokens: int, standings: Sequence[Standing]) -> int:
    """Index of the replica for a prompt of ``tokens``; of equals the one given least so far, then the first."""
    costs = [(standing.cost_s(tokens), standing.placed) for standing in standings]
    return costs.index(min(costs))


@dataclass(frozen=True, slots=True)
class Placement:
    """What was decided for one request and noted down. Times are of the store's clock, in seconds.

    ``held_steps`` of the path were believed to be there, the deepest of them last used at ``held_since``; ``work``
    tokens were placed, up to ``mark`` of all that the replica was ever given.
    """

    group: str
    replica: Replica
    path: Path
    held_steps: int
    held_since: float
    placed_at: float
    work: float
    mark: float

    @property
    def held(self) -> int:
        return self.path.held(self.held_steps)

    def missing(self, cached: int, prompt: int) -> bool:
        """Whether the replica reported so few of ``prompt`` tokens as cached that it must have evicted what it held.

        Eviction goes by last use, so all that was used before is gone as well. A prefix of the last minute proves
        nothing: requests that arrive together do not find each other's.
        """
        expected = prompt * self.held / self.path.tokens if self.path.tokens else 0.0
        return self.held >= 2 * GRAIN_TOKENS and cached < expected / 2 and self.placed_at - self.held_since > SETTLED_S


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended. ``first_token_ago_s``: None where nobody saw it (a plain answer). ``missing``: see
    ``Placement.missing``."""

    failed: bool = False
    first_token_ago_s: float | None = None
    missing: bool = False


def deepest(live_steps: Mapping[str, int], path: Path) -> str | None:
    """The deployment that holds the longest live prefix; None where none holds enough to be cached at all.

    ``live_steps``: by deployment, how many steps of the path live there. Of equals the first by name.
    """
    best = min(live_steps, key=lambda name: (-live_steps[name], name), default=None)
    return best if best is not None and path.held(live_steps[best]) >= MANAGED_MINIMUM_TOKENS else None
