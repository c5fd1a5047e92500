"""Fields of logs, which come as numbers, as text, as JSON in text, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from fivelevers.audit.calls import LeftOutError, Reason
from fivelevers.prices import Usage

_YEAR_2001_S, _YEAR_2100_S = 978_307_200.0, 4_102_444_800.0
_ABSURD = 1e9  # tokens of one call: no model takes a hundredth of it


def text(record: Mapping[str, Any], *names: str) -> str | None:
    """The first of these fields that is text and not empty, or a number."""
    for name in names:
        value = record.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            found = str(value)
            return found if found.isascii() else found.encode("utf-8", "replace").decode()  # half of a pair is no text
    return None


def part(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first of these fields that is an object or the JSON text of one; empty where there is none."""
    for name in names:
        value = unpacked(record.get(name))
        if isinstance(value, Mapping) and value:
            return value
    return {}


def unpacked(value: object) -> object:
    """What JSON text holds; everything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def moment(record: Mapping[str, Any], *names: str) -> float | None:
    """Seconds since the epoch from the first of these fields that tells a time: a number of any unit, or ISO text."""
    for name in names:
        found = _moment(record.get(name))
        if found is not None:
            return found
    return None


def _moment(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return _iso(value)
    for unit in (1.0, 1e3, 1e6, 1e9):
        if _YEAR_2001_S <= number / unit < _YEAR_2100_S:
            return number / unit
    return None


def _iso(value: object) -> float | None:
    try:
        found = datetime.fromisoformat(value)  # type: ignore[arg-type]  # what is no text raises
        at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return at if _YEAR_2001_S <= at < _YEAR_2100_S else None


def usd(record: Mapping[str, Any], *names: str) -> Decimal | None:
    """Dollars of the first of these fields; None where it is absent or no amount."""
    for name in names:
        value = record.get(name)
        if value is None or value == "" or isinstance(value, bool):
            continue
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            return None
        return amount if amount.is_finite() and amount >= 0 else None
    return None


def tokens(record: Mapping[str, Any], *names: str) -> int:
    """The first of these counts that is above 0; 0 where there is none. Raises LeftOutError for what is no count."""
    for name in names:
        value = record.get(name)
        if value is None or value == "":
            continue
        count = _count(value)
        if count:
            return count
    return 0


def _count(value: object) -> int:
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        raise LeftOutError(Reason.BAD_TOKENS) from None
    if isinstance(value, bool) or not 0 <= number < _ABSURD or number != int(number):
        raise LeftOutError(Reason.BAD_TOKENS)
    return int(number)


def usage(counted: Mapping[str, Any]) -> Usage | None:
    """Tokens by kind from the usage object of OpenAI (both APIs), Anthropic, DeepSeek or LiteLLM; None: it has none.

    Anthropic's own ``input_tokens`` are what was neither read nor written; everybody else's count includes both.
    Raises LeftOutError where the counts contradict each other.
    """
    details = part(counted, "prompt_tokens_details", "input_tokens_details")
    by_ttl = part(details, "cache_creation_token_details") or part(counted, "cache_creation")
    read = tokens(details, "cached_tokens") or tokens(counted, "cache_read_input_tokens", "prompt_cache_hit_tokens")
    write_1h = tokens(by_ttl, "ephemeral_1h_input_tokens")
    told = tokens(details, "cache_creation_tokens", "cache_write_tokens")
    written = told or tokens(counted, "cache_creation_input_tokens", "cache_write_tokens")
    written = max(written, write_1h + tokens(by_ttl, "ephemeral_5m_input_tokens"))
    prompt, remainder = tokens(counted, "prompt_tokens"), tokens(counted, "input_tokens")
    if not prompt and "input_tokens_details" not in counted:
        prompt = remainder + read + written
    plain = (prompt or remainder) - read - written
    if plain < 0:
        raise LeftOutError(Reason.BAD_TOKENS)
    output = tokens(counted, "completion_tokens", "output_tokens")
    found = Usage(plain, read, written - write_1h, write_1h, output)
    return found if found.total else None
