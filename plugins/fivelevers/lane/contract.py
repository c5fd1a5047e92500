"""What a caller says of its waiting, read from its headers and body. Pure: the lane and Envoy's filter both ask it.

Sources: RFC 7240 (`Prefer`), draft-ietf-httpapi-idempotency-key-header-07 (`Idempotency-Key`), and what the SDKs of
OpenAI and Anthropic send of themselves (`x-stainless-*`: openai 2.54, anthropic 2.12). What can not be read is as if
it were not there: then the request goes live, as it would without us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from fivelevers.levers.batch.eligibility import Asked
from fivelevers.request import canonical_json

DEADLINE_HEADER: Final = "x-fivelevers-deadline"
LANE_HEADER: Final = "x-fivelevers-lane"
HELD_HEADER: Final = "x-fivelevers-held"
"""`elsewhere`: who sends this holds the caller itself (standalone.py), and wants to know that it shall."""
PATIENCE_HEADER: Final = "x-fivelevers-patience"
"""Then the answer's: seconds."""
RETRY_HEADER: Final = "x-stainless-retry-count"
LONGEST_KEY: Final = 255  # of an idempotency key, as at the providers that have them

_PREFERENCE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*))?')
_REST = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")*')  # parameters of a preference, up to the next one
_ESCAPED = re.compile(r"\\(.)")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_READ_TIMEOUTS = ("x-stainless-read-timeout", "x-stainless-timeout")  # Python's; Node's and Anthropic's


@dataclass(frozen=True, slots=True)
class Wish:
    """How a caller wants its answer. Times in seconds; None: it did not say.

    ``wait_s``: `Prefer: wait`. ``sdk_wait_s``: for how long its SDK reads before it gives up.
    ``retry``: its SDK sends the same request again. ``held_elsewhere``: another process holds its connection.
    """

    respond_async: bool = False
    wait_s: float | None = None
    sdk_wait_s: float | None = None
    deadline_s: float | None = None
    idempotency_key: str | None = None
    retry: bool = False
    held_elsewhere: bool = False

    @property
    def held_s(self) -> float | None:
        """For how long the caller holds its connection, as far as it said so."""
        return self.sdk_wait_s if self.wait_s is None else self.wait_s


def wish_of(headers: Iterable[tuple[str, str]]) -> Wish:
    """``headers``: in the order in which they came, names in lower case; a name may come several times."""
    found: dict[str, str] = {}
    prefer: list[str] = []
    for name, value in headers:
        if name == "prefer":
            prefer.append(value)
        else:
            found.setdefault(name, value)
    preferred = preferences(prefer)
    wait = preferred.get("wait")
    return Wish(
        respond_async="respond-async" in preferred,
        wait_s=float(wait) if wait and wait.isascii() and wait.isdigit() and len(wait) < 10 else None,
        sdk_wait_s=next((s for name in _READ_TIMEOUTS if (s := _timeout_s(found.get(name))) is not None), None),
        deadline_s=duration_s(found.get(DEADLINE_HEADER, "")),
        idempotency_key=_key(found.get("idempotency-key", "")),
        retry=_positive(found.get(RETRY_HEADER, "")),
        held_elsewhere=found.get(HELD_HEADER) == "elsewhere",
    )


def preferences(values: Iterable[str]) -> Mapping[str, str]:
    """Each preference with its value, "" where it has none. Of one that comes twice the first counts (RFC 7240, 2)."""
    found: dict[str, str] = {}
    for value in values:
        at = 0
        while at < len(value):
            match = _PREFERENCE.match(value, at)
            if match is not None:
                found.setdefault(match[1].lower(), _unquoted(match[2] or ""))
            rest = _REST.match(value, at if match is None else match.end())
            at = (rest.end() if rest is not None else at) + 1
    return found


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def duration_s(text: str) -> float | None:
    """`14400`, `240m`, `4h` or `0.5d` in seconds; None for anything else, and for no time at all."""
    match = _DURATION.fullmatch(text.strip().lower())
    seconds = float(match[1]) * _SECONDS[match[2] or "s"] if match else 0.0
    return seconds or None


def _timeout_s(text: str | None) -> float | None:
    """What is no number (`NOT_GIVEN`: the caller set no limit, to Anthropic's SDK) says nothing."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if seconds > 0 else None


def _key(text: str) -> str | None:
    """A structured string, as the draft has it, or the bare text that most clients send."""
    key = _unquoted(text) if len(text) > 1 and text.startswith('"') and text.endswith('"') else text
    return key if 0 < len(key) <= LONGEST_KEY else None


def _positive(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:9]) > 0


def asked_of(path: str, wish: Wish, body: Mapping[str, Any] | None = None, **known: Any) -> Asked:
    """The request as the rules of eligibility read it; ``known`` are fields of `Asked` that neither of them says."""
    stream, background = (None, None) if body is None else (body.get("stream") is True, body.get("background") is True)
    tier = None if body is None else body.get("service_tier")
    return Asked(
        path=path,
        respond_async=wish.respond_async,
        wait_s=wish.held_s,
        deadline_s=wish.deadline_s,
        stream=stream,
        background=background,
        service_tier=tier if isinstance(tier, str) else None,
        **known,
    )


def fingerprint(tenant: str, route: str, body: Mapping[str, Any]) -> str:
    """Equal where one tenant asks the very same on one route."""
    parts = (tenant.encode("utf-8", "surrogatepass"), route.encode(), canonical_json(body))
    h = sha256()
    for part in parts:
        h.update(b"%d:" % len(part))
        h.update(part)
    return h.hexdigest()[:32]
