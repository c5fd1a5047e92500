"""OpenAI's prompt cache before the 5.6 family: automatic, free to write, in steps of 128 tokens from 1,024.

Source: https://developers.openai.com/api/docs/guides/prompt-caching
Requests are routed to a machine by their prefix and `prompt_cache_key`; here the key alone is the machine, so two keys
never share an entry. Entries live for ten idle minutes and at most an hour; with `prompt_cache_retention: 24h`, a day.
"""

from collections.abc import Iterator

from examples.provider_simulator.cache_store import CacheStore, CacheUse, Entry, chain, refreshed
from examples.provider_simulator.conversation import Conversation
from examples.provider_simulator.prices import Model
from examples.provider_simulator.tokens import split_tokens

STEP_TOKENS = 128
IDLE_S, LONGEST_S = 600.0, 3600.0
DAY_S = 86_400.0


def look_up(
    store: CacheStore, conversation: Conversation, model: Model, key: str, now: float, *, day: bool = False
) -> CacheUse:
    """What a request that starts at `now` reads, and the steps it leaves behind. `key` is workspace and cache key."""
    if conversation.tokens < model.minimum:
        return CacheUse()
    ttl_s, longest_s = (DAY_S, DAY_S) if day else (IDLE_S, LONGEST_S)
    read, entries, reading = 0, [], True
    for length, prefix in prompt_steps(conversation, chain(b"", key, model.name), STEP_TOKENS):
        entry = store.live(prefix, now) if reading else None
        reading = entry is not None
        read = length if reading else read
        fresh = Entry(length, ttl_s, now + ttl_s, now + longest_s)
        entries.append((prefix, refreshed(entry, now) if entry else fresh))
    return CacheUse(read=read if read >= model.minimum else 0, entries=tuple(entries))


def prompt_steps(conversation: Conversation, start: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """(tokens, chained hash) at each whole step of `size` tokens of the prompt."""
    tokens: list[str] = []
    for block in conversation.blocks:
        head = f"\x00{block.section}:{block.role}:{block.part.kind}"
        words = split_tokens(block.part.text)
        if len(words) < block.tokens:  # a message's own tokens, and images, stand in front of the words
            words = [head + block.part.canonical * (block.part.kind != "text")] * (block.tokens - len(words)) + words
        else:
            words[:1] = [head + words[0]] if words else []
        tokens += words
    prefix = start
    for end in range(size, len(tokens) + 1, size):
        prefix = chain(prefix, *tokens[end - size : end])
        yield end, prefix
