"""OpenAI's prompt cache from the 5.6 family on: paid writes, at breakpoints.

Source: https://developers.openai.com/api/docs/guides/prompt-caching
- `prompt_cache_options.mode` implicit: one breakpoint at the end of the newest message, and up to three marked ones are
  written; explicit: the latest four marked ones alone.
- A read is the longest live entry at one of the latest 80 breakpoints: marked ones and, in implicit mode, message ends.
- Entries live 30 minutes from the request's start; a read refreshes them.
"""

from examples.provider_simulator.cache_store import CacheStore, CacheUse, Entry, chain, refreshed
from examples.provider_simulator.conversation import Conversation
from examples.provider_simulator.prices import Model

TTL_S = 1800.0
MAX_WRITES = 4
LATEST = 80


def look_up(
    store: CacheStore, conversation: Conversation, model: Model, key: str, now: float, *, explicit: bool = False
) -> CacheUse:
    """What a request that starts at `now` reads and writes. `key` is workspace and cache key."""
    points = _points(conversation, model, key, explicit=explicit)
    live = [(length, prefix, store.live(prefix, now)) for length, prefix, _ in points[-LATEST:]]
    hits = [(length, prefix, entry) for length, prefix, entry in live if entry]
    read = hits[-1][0] if hits else 0
    marked = [(length, prefix) for length, prefix, is_marked in points if is_marked]
    writes = marked[-MAX_WRITES:] if explicit else _implicit_writes(points, marked)
    entries = [(prefix, refreshed(entry, now)) for _, prefix, entry in hits[-1:]]
    entries += [(prefix, Entry(length, TTL_S, now + TTL_S)) for length, prefix in writes if length > read]
    end = max([read] + [length for length, _ in writes])
    return CacheUse(read=read, write_5m=end - read, entries=tuple(entries))


def _implicit_writes(points: list[tuple[int, bytes, bool]], marked: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    newest = [(length, prefix) for length, prefix, _ in points[-1:]]
    return [point for point in marked if point not in newest][-(MAX_WRITES - 1) :] + newest


def _points(conversation: Conversation, model: Model, key: str, *, explicit: bool) -> list[tuple[int, bytes, bool]]:
    """(tokens, chained hash, marked by the caller) of each place where a prefix may end, from the minimum on."""
    prefix, length, points = chain(b"", key, model.name), 0, []
    for block in conversation.blocks:
        prefix = chain(prefix, block.section, block.role, block.part.kind, block.part.canonical)
        length += block.tokens
        marked = block.part.mark is not None
        if length >= model.minimum and (marked or (block.ends_turn and not explicit)):
            points.append((length, prefix, marked))
    return points
