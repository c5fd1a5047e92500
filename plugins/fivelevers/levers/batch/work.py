"""What the batch lane holds: accepted requests, the groups that they are packed in, and what became of them.

    QUEUED > PLANNED > SUBMITTED > DONE | FAILED | RESCUED | CANCELLED

A request is QUEUED again when its batch came back without it. Every step is one call of the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Literal


class Endpoint(StrEnum):
    """What providers take in batches, by the path of the live call."""

    CHAT = "/v1/chat/completions"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"
    EMBEDDINGS = "/v1/embeddings"


class WorkState(StrEnum):
    QUEUED = "queued"
    PLANNED = "planned"  # in a batch that is being made: it can still be taken out
    SUBMITTED = "submitted"  # the provider has it, or may have it
    DONE = "done"
    FAILED = "failed"  # the provider answered with an error that another try would not mend
    RESCUED = "rescued"  # answered live, since the deadline came near
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset({WorkState.DONE, WorkState.FAILED, WorkState.RESCUED, WorkState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Group:
    """What may share a provider's batch. ``account`` names credentials and never holds them; ``model`` is the
    provider's name for it.
    """

    provider: str
    account: str
    endpoint: Endpoint
    model: str

    @property
    def id(self) -> str:
        parts = (self.provider, self.account, self.endpoint.value, self.model)
        return sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Terms:
    """How its route wants a request to be kept, from the policy.

    A group is packed from ``flush_rows`` requests on, or when one of them has waited ``flush_age_s``. ``keep_s``: for
    how long what has ended is kept. ``fsync`` "always": it is on disk before it counts as accepted; else within 1 s.
    """

    flush_rows: int = 1000
    flush_age_s: float = 120.0
    keep_s: int = 604_800
    fsync: Literal["everysec", "always"] = "everysec"


@dataclass(frozen=True, slots=True)
class Work:
    """One accepted request. ``id`` is `flr_` and 32 hexadecimal digits.

    ``body`` is the JSON that the provider gets, with its own model name. ``tenant`` is the wall: who may see it.
    ``about`` is what metering needs to know when the answer comes, and means nothing to the lane. ``prompt_tokens``
    is estimated; rows with one ``prefix`` stand together in a batch. Times in seconds of the epoch.
    """

    id: str
    group: Group
    tenant: str
    route: str
    body: bytes
    accepted_at: float
    deadline_at: float
    prompt_tokens: int
    prefix: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class Result:
    """What a request was answered with: the HTTP status and the JSON body that the live call had given.

    ``live``: it was asked live, at full price. ``provider_batch``: the provider's id of the batch that it came in, and
    ``provider_request`` its name of the row, where that has one beside the answer's own id.
    """

    work_id: str
    status: int
    body: bytes
    at: float
    live: bool = False
    provider_batch: str | None = None
    provider_request: str | None = None

    @property
    def state(self) -> WorkState:
        if self.status >= 400:
            return WorkState.FAILED
        return WorkState.RESCUED if self.live else WorkState.DONE


@dataclass(frozen=True, slots=True)
class View:
    """A request as its owner may see it; ``result`` once it has ended with one and is kept."""

    work: Work
    state: WorkState
    result: Result | None = None
    batch: str | None = None  # ours
    attempts: int = 0
