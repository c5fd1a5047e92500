"""What a client asks of the cache of answers: LiteLLM's ``cache`` field of the body, and HTTP's ``Cache-Control``.

Both may speak; the stricter one holds. What is malformed asks for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheWish:
    """``read``: the request may be answered from the cache, by an answer not older than ``max_age_s``; ``write``: its
    own answer may be stored, for ``ttl_s`` at the most. None: as the route has it.
    """

    read: bool = True
    write: bool = True
    max_age_s: float | None = None
    ttl_s: float | None = None


def wish_of(field: object, header: str | None) -> CacheWish:
    """``field``: the body's ``cache``; ``header``: Cache-Control of the request (RFC 9111, section 5.2.1)."""
    given = field if isinstance(field, Mapping) else {}
    asked = dict(_directives(header or ""))
    ages = [given.get("s-maxage"), given.get("s-max-age"), asked.get("max-age"), asked.get("s-maxage")]
    max_age_s, ttl_s = _least(ages), _least([given.get("ttl")])
    return CacheWish(
        read=given.get("no-cache") is not True and "no-cache" not in asked and max_age_s != 0,
        write=given.get("no-store") is not True and "no-store" not in asked and ttl_s != 0,
        max_age_s=max_age_s,
        ttl_s=ttl_s,
    )


def _directives(header: str) -> Iterator[tuple[str, str]]:
    for part in header.split(","):
        name, _, value = part.partition("=")
        yield name.strip().lower(), value.strip().strip('"')


def _least(values: list[object]) -> float | None:
    found = [seconds for value in values if (seconds := _seconds(value)) is not None]
    return min(found, default=None)


def _seconds(value: object) -> float | None:
    """A number of seconds, as a number or as its text; below 0 is 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
