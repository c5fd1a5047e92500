"""Anthropic's prompt cache: breakpoints that the caller marks.

Source: https://platform.claude.com/docs/en/build-with-claude/prompt-caching
- The prefix runs tools, system, messages; an entry ends where a request marked a block.
- At most four marks. A mark looks back over 20 blocks, itself included, for the longest entry that a request wrote.
- 5m and 1h lifetimes run from the start of the request; a read refreshes them free; 1h marks come before 5m ones.
- A prefix below the model's minimum is neither written nor read, silently.
"""

from collections.abc import Iterator
from itertools import pairwise

from examples.provider_simulator.cache_store import CacheStore, CacheUse, Entry, chain, refreshed
from examples.provider_simulator.conversation import Block, Conversation
from examples.provider_simulator.errors import invalid
from examples.provider_simulator.prices import Model

MAX_MARKS = 4
LOOK_BACK = 20
TTL_S = {"5m": 300.0, "1h": 3600.0}
_SECTIONS = ("tools", "system", "messages")


def check_marks(blocks: tuple[Block, ...]) -> None:
    """The 400s of marks: too many, a 1h after a 5m, or on a block that can not carry one."""
    marked = [block for block in blocks if block.part.mark]
    if len(marked) > MAX_MARKS:
        found = f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {len(marked)}."
        raise invalid("cache_control", found)
    for earlier, later in pairwise(marked):
        if (earlier.part.mark, later.part.mark) == ("5m", "1h"):
            raise invalid(
                "cache_control.ttl",
                "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that blocks"
                " are processed in the following order: `tools`, `system`, `messages`.",
            )


def look_up(store: CacheStore, conversation: Conversation, model: Model, key: str, now: float) -> CacheUse:
    """What a request that starts at `now` reads and writes."""
    blocks = conversation.blocks
    marks = [index for index, block in enumerate(blocks) if block.part.mark]
    if not marks:
        return CacheUse()
    prefixes = list(_prefixes(conversation, model, key))
    lengths = _lengths(blocks)
    marks = [index for index in marks if lengths[index] >= model.minimum]
    hits = _hits(store, prefixes, marks, now)
    read = lengths[max(hits)] if hits else 0
    kept = [(prefixes[index], refreshed(entry, now)) for index, entry in hits.items()]
    end, written, entries = read, {"5m": 0, "1h": 0}, []
    for index in marks:
        if lengths[index] > read:
            ttl = blocks[index].part.mark or "5m"
            written[ttl] += lengths[index] - end
            end = lengths[index]
            entries.append((prefixes[index], Entry(end, TTL_S[ttl], now + TTL_S[ttl])))
    return CacheUse(read, written["5m"], written["1h"], (*kept, *entries))


def _hits(store: CacheStore, prefixes: list[bytes], marks: list[int], now: float) -> dict[int, Entry]:
    """For each mark the nearest live entry at or before it, by block index."""
    hits: dict[int, Entry] = {}
    for mark in marks:
        for index in range(mark, max(-1, mark - LOOK_BACK), -1):
            entry = store.live(prefixes[index], now)
            if entry:
                hits[index] = entry
                break
    return hits


def _prefixes(conversation: Conversation, model: Model, key: str) -> Iterator[bytes]:
    """The chained hash after each block; what invalidates a section is mixed in where the section begins."""
    state = {"tools": "", "system": conversation.system_state, "messages": conversation.message_state}
    prefix, section = chain(b"", key, model.name), ""
    for block in conversation.blocks:
        if block.section != section:
            passed = _SECTIONS[_SECTIONS.index(section) + 1 if section else 0 : _SECTIONS.index(block.section) + 1]
            prefix = chain(prefix, *(state[name] for name in passed))
            section = block.section
        prefix = chain(prefix, block.section, block.role, block.part.kind, block.part.canonical)
        yield prefix


def _lengths(blocks: tuple[Block, ...]) -> list[int]:
    """Prompt tokens up to and including each block."""
    total, lengths = 0, []
    for block in blocks:
        total += block.tokens
        lengths.append(total)
    return lengths
