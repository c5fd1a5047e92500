"""Tokens by kind, as Langfuse keeps them: a map of names, of which each part of the prompt has its own.

Sources, in langfuse/langfuse, `packages/shared/src/server`: `otel/OtelIngestionProcessor.ts` and `ingestion/types.ts`
(what OpenAI's and Anthropic's counts become: `input` without what was read from a cache or written to it), and
`reduceUsageOrCostDetails` (the prompt is the sum of all names with `input` in them). LiteLLM 1.106.2 sends an `input`
that still has the written tokens in it (`integrations/langfuse/langfuse.py`), others send the whole prompt. What is
counted twice is told from `total`, which is right in either case; an SDK whose total leaves out what was cached is read
as one of these, where its numbers fit both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from fivelevers.audit import fields
from fivelevers.prices import Usage

_READ: Final = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens", "prompt_details.cache_read")
_WRITTEN: Final = ("input_cache_creation", "cache_creation_input_tokens", "input_cache_write", "cache_write_tokens")
_WRITTEN_5M, _WRITTEN_1H = "input_cache_creation_5m", "input_cache_creation_1h"
_CACHED: Final = frozenset({*_READ, *_WRITTEN, _WRITTEN_5M, _WRITTEN_1H})
# Providers' own names, where somebody's SDK passed them on.
_PROVIDERS: Final = frozenset({"prompt_tokens", "input_tokens"})
_PROMPT: Final = frozenset({"prompt_token_count", "promptTokenCount", "promptTokens"})
_OUTPUT: Final = frozenset(
    {"candidates_token_count", "candidatesTokenCount", "thoughts_token_count", "thoughtsTokenCount", "completionTokens"}
)
_COLUMNS: Final = {"input": ("inputUsage", "promptTokens"), "output": ("outputUsage", "completionTokens")}


def usage(row: Mapping[str, Any]) -> Usage | None:
    """None: the observation has no token counts. Raises LeftOutError where they are none."""
    details = fields.part(row, "usageDetails", "usage_details") or fields.part(row, "usage") or _columns(row)
    if details.get("unit") not in (None, "", "TOKENS"):
        return None
    if "input" not in details and not _PROVIDERS.isdisjoint(details):
        return fields.usage(details)
    found = Usage(
        input=sum(fields.tokens(details, name) for name in details if _is_plain(name)),
        cache_read=fields.tokens(details, *_READ),
        cache_write_5m=fields.tokens(details, *_WRITTEN) + fields.tokens(details, _WRITTEN_5M),
        cache_write_1h=fields.tokens(details, _WRITTEN_1H),
        output=sum(fields.tokens(details, name) for name in details if _is_output(name)),
    )
    if not found.total:
        return None
    detailed = found.output - fields.tokens(details, "output")
    return _once(found, detailed, found.total - (fields.tokens(details, "total") or found.total))


def _columns(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {part: next((row[name] for name in names if row.get(name)), None) for part, names in _COLUMNS.items()}


def _is_plain(name: str) -> bool:
    return name in _PROMPT or (_counts(name, "input") and name not in _CACHED)


def _is_output(name: str) -> bool:
    return name in _OUTPUT or _counts(name, "output")


def _counts(name: str, part: str) -> bool:
    """`input` and `input_audio_tokens`, but not `inputCost`."""
    return name == part or name.startswith(f"{part}_")


def _once(found: Usage, detailed: int, twice: int) -> Usage:
    """Without what stands in ``input`` or ``output`` too, where the parts are by just that more than all of them."""
    read, written = found.cache_read, found.cache_write_5m + found.cache_write_1h
    for cached in (0, read, written, read + written):
        for output in (0, detailed):
            if 0 < cached + output == twice and cached <= found.input and 2 * output <= found.output:
                return replace(found, input=found.input - cached, output=found.output - output)
    return found
