"""Model servers of one's own, as vLLM is one: automatic prefix caching in full blocks, and a queue before the GPU.

Source: https://docs.vllm.ai/en/latest/design/prefix_caching.html
A block of 16 tokens is named by its own tokens and all before it. A prompt reads the blocks from its beginning that are
there, but never its last token, which is always computed. Whoever needs room evicts the blocks used longest ago, the
end of a prompt before its beginning. The rest of a prompt is computed at a fixed rate, one prompt after the other.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from examples.provider_simulator.cache_automatic import prompt_steps
from examples.provider_simulator.conversation import Conversation

BLOCK_TOKENS = 16
KV_TOKENS = 200_000
RATE = 8000.0
MAX_REPLICAS = 64


@dataclass(slots=True)
class Replica:
    """One server: its KV cache, when its queue is empty, and what `/metrics` counts."""

    name: str
    kv_tokens: int
    tokens_per_s: float
    free_at: float = 0.0
    running: int = 0
    queried: int = 0
    hit: int = 0
    served: int = 0
    blocks: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    def look_up(self, conversation: Conversation) -> int:
        """Tokens of the prompt that are read; from now on all of its full blocks are there."""
        steps = [block for _, block in prompt_steps(conversation, b"", BLOCK_TOKENS)]
        found = sum(1 for _ in takewhile(self.blocks.__contains__, steps)) * BLOCK_TOKENS
        tokens = conversation.tokens
        read = min(found, (tokens - 1) // BLOCK_TOKENS * BLOCK_TOKENS)
        for block in reversed(steps):
            self.blocks[block] = None
            self.blocks.move_to_end(block)
        while len(self.blocks) * BLOCK_TOKENS > self.kv_tokens:
            self.blocks.popitem(last=False)
        self.served, self.queried, self.hit = self.served + 1, self.queried + tokens, self.hit + read
        return read

    def wait_s(self, uncached_tokens: int, now: float, scale: float) -> float:
        """Seconds that a prompt stands in the queue; it is in it from now on."""
        begins = max(now, self.free_at)
        self.free_at = begins + scale * uncached_tokens / self.tokens_per_s
        return begins - now

    def metrics(self, now: float) -> Iterator[str]:
        """As vLLM names them (https://docs.vllm.ai/en/latest/usage/metrics.html)."""
        label = f'{{model_name="{self.name}"}}'
        waiting = self.running if self.free_at > now else 0
        for name, kind, value in (
            ("num_requests_running", "gauge", self.running - waiting),
            ("num_requests_waiting", "gauge", waiting),
            ("kv_cache_usage_perc", "gauge", len(self.blocks) * BLOCK_TOKENS / self.kv_tokens),
            ("prefix_cache_queries_total", "counter", self.queried),
            ("prefix_cache_hits_total", "counter", self.hit),
        ):
            yield f"# TYPE vllm:{name} {kind}\nvllm:{name}{label} {value}\n"


class Replicas:
    """By name; each comes into being when it is first asked. The one made first goes first."""

    def __init__(self, kv_tokens: int = KV_TOKENS, tokens_per_s: float = RATE) -> None:
        self.by_name: dict[str, Replica] = {}
        self.kv_tokens = kv_tokens
        self.tokens_per_s = tokens_per_s

    def find(self, name: str) -> Replica:
        if name not in self.by_name:
            self.by_name[name] = Replica(name, self.kv_tokens, self.tokens_per_s)
            if len(self.by_name) > MAX_REPLICAS:
                del self.by_name[next(iter(self.by_name))]
        return self.by_name[name]

    def clear(self) -> None:
        self.by_name.clear()
