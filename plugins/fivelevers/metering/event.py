"""What the ledger is told: one `Attempt` per call to a provider, one `OutcomeSeen` per word about an answer, one
`LookedUp` per question that lever 2 compared with those it knows, one `Routed` per decision of lever 4.

A request of a client is one or more attempts with one ``request_id``; the last one is the answer, those before it were
superseded. Events are written once and never changed; a later outcome is a later event.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.order import LEVER_NAMES
from fivelevers.prices import Kind, Usage


class UsageSource(StrEnum):
    """Who counted the tokens. Only what the provider reported is reconciled with its bill."""

    REPORTED = "reported"
    ESTIMATED = "estimated"  # ours, where the provider never said: a cut stream, a call that timed out
    NONE = "none"  # nothing was generated: an error answer, a hit


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one deployment. Times are seconds since the epoch; money is USD, None where a price is unknown.

    ``provider_key`` is a fingerprint of the provider account's key; ``u`` and ``holdout`` are the arm (words.md);
    ``treated`` the levers that were on for the session; ``skipped`` those that a way out took away; ``error`` the class
    of the failure; ``cost_parts`` is ``cost_usd`` by kind of token; ``failure_cost_usd`` what the route charges for an
    answer that failed; ``asked_at`` when the request came in; ``digest`` what was asked, ``repeat_window_s`` None where
    asking it again says nothing. ``prompt_chars`` is the length of what was asked, before any lever touched it.
    ``charged_to`` names the lever whose own call this is (a judge's, an embedder's), made
    about the request ``request_id``: on the bill, and no attempt to answer it.
    """

    event_id: str
    request_id: str
    at: float
    started_at: float
    route: str
    tenant: str
    team: str | None
    key: str
    key_alias: str | None
    session: str
    explicit_session: bool
    tags: tuple[str, ...]
    api: str
    stream: bool
    alias: str
    model: str
    provider: str
    provider_key: str | None
    deployment: str | None
    provider_request_id: str | None
    success: bool
    error: str | None
    finish_reason: str | None
    usage: Usage
    usage_source: UsageSource
    cost_usd: Decimal | None
    cost_parts: Mapping[Kind, Decimal] | None
    list_cost_usd: Decimal | None
    cost_without_us_usd: Decimal | None
    failure_cost_usd: Decimal
    savings: tuple[Saving, ...]
    u: float
    holdout: bool
    treated: tuple[str, ...]
    policy: str
    asked_at: float
    digest: str
    repeat_window_s: float | None
    skipped: tuple[str, ...] = ()
    end_user: str | None = None  # a digest (policy.end_user_digest): found again by who knows the name, read by nobody
    charged_to: str | None = None
    prompt_chars: int = 0


@dataclass(frozen=True, slots=True)
class OutcomeSeen:
    """One word about the answer to ``request_id``, by ``source`` (outcomes.py ranks them)."""

    event_id: str
    request_id: str
    at: float
    outcome: Outcome
    source: Source
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ContentKept:
    """What was asked and answered under ``request_id``, as stores/content.py packed it before it touched a disk.

    ``key_id`` names the key that ``blob`` is encrypted with, None where it is only compressed.
    """

    request_id: str
    at: float
    route: str
    tenant: str
    end_user: str | None
    expires_at: float
    key_id: str | None
    blob: bytes


@dataclass(frozen=True, slots=True)
class LookedUp:
    """One question that lever 2 looked up, and what became of it: what calibration replays and the bound counts.

    ``mode`` is shadow or on; ``result`` one of hit, audit (a hit that was answered afresh, to be compared) and miss.
    ``verdict`` is what the judge found of the answer that was, or would have been, served: same, different, or None
    where nobody judged. ``seen`` holds the neighbours and the decision, hashes and numbers alone (no text).
    """

    event_id: str
    request_id: str
    at: float
    route: str
    tenant: str
    end_user: str | None
    scope: str
    question: str
    embedder: str
    mode: str
    result: str
    verdict: str | None
    judged_by: str | None
    seen: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Routed:
    """Where lever 4 sent one request, or sent it again after an attempt failed, and why (a word of docs/routing.md).

    Of a cascade, ``model`` and ``strong`` are aliases, and ``reason`` is what its header says in the end.
    ``task``: the cell of the artifact. ``chosen``: the model that the artifact decided on, None where nothing was
    decided; ``model`` had it in the end. ``gain`` and ``saved_usd`` are what was expected of the choice;
    ``threshold`` is the policy that was certified, ``point`` the one from which on the prompt leaves the strong model.
    ``artifact``: when it was made, in seconds since the epoch.
    """

    event_id: str
    request_id: str
    at: float
    route: str
    tenant: str
    end_user: str | None
    mode: str
    reason: str
    model: str
    strong: str
    task: str
    chosen: str | None = None
    gain: float | None = None
    saved_usd: float | None = None
    point: float | None = None
    threshold: float | None = None
    artifact: float | None = None


Event = Attempt | OutcomeSeen | ContentKept | LookedUp | Routed
_KINDS: dict[type, str] = {
    Attempt: "attempt",
    OutcomeSeen: "outcome",
    ContentKept: "content",
    LookedUp: "look_up",
    Routed: "routed",
}


def to_record(event: Event) -> dict[str, Any]:
    """A JSON-ready mapping; money as decimal strings, so that nothing is rounded on the way."""
    record = _fields(event)
    if isinstance(event, Attempt):
        record["usage"], record["savings"] = _fields(event.usage), [_fields(part) for part in event.savings]
        if event.cost_parts is not None:
            record["cost_parts"] = {kind.value: str(usd) for kind, usd in event.cost_parts.items()}
    if isinstance(event, ContentKept):
        record["blob"] = b64encode(event.blob).decode()
    record["kind"] = _KINDS[type(event)]
    return record


def _fields(value: Event | Usage | Saving) -> dict[str, Any]:
    # dataclasses.asdict copies what it finds, all the way down: ten times as slow, in every request.
    return {name: getattr(value, name) for name in value.__slots__}


def from_record(record: dict[str, Any]) -> Event:
    """The event again. Raises KeyError, TypeError or ValueError on a record that is none."""
    values = dict(record)
    kind = values.pop("kind")
    if kind == "outcome":
        values["outcome"], values["source"] = Outcome(values["outcome"]), Source(values["source"])
        return OutcomeSeen(**values)
    if kind == "content":
        values["blob"] = b64decode(values["blob"], validate=True)
        return ContentKept(**values)
    if kind == "look_up":
        return LookedUp(**values)
    if kind == "routed":
        return Routed(**values)
    if kind != "attempt":
        raise ValueError(f"kind: {kind!r} is none of {', '.join(_KINDS.values())}")
    values["usage"], values["usage_source"] = Usage(**values["usage"]), UsageSource(values["usage_source"])
    for name in ("cost_usd", "list_cost_usd", "cost_without_us_usd"):
        values[name] = None if values[name] is None else Decimal(values[name])
    parts = values["cost_parts"]
    values["cost_parts"] = None if parts is None else {Kind(kind): Decimal(usd) for kind, usd in parts.items()}
    values["failure_cost_usd"] = Decimal(values["failure_cost_usd"])
    values["savings"] = tuple(_saving(part) for part in values["savings"])
    values["tags"], values["treated"] = tuple(values["tags"]), tuple(values["treated"])
    values["skipped"] = tuple(values.get("skipped", ()))
    return Attempt(**values)


def _saving(part: dict[str, str]) -> Saving:
    if part["lever"] not in LEVER_NAMES:
        raise ValueError(f"savings.lever: {part['lever']!r} is none of {', '.join(LEVER_NAMES)}")
    return Saving(part["lever"], Basis(part["basis"]), Decimal(part["usd"]))
