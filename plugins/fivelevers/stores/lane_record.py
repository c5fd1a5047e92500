"""A request of the lane as one string: a head of fixed width, then the sealed request, then its sealed result.

A string costs less than a hash, and scripts read and write the head in place (lane_record.lua has the same widths).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from fivelevers.errors import ContentError
from fivelevers.levers.batch.work import Endpoint, Group, Result, Terms, Work, WorkState
from fivelevers.stores.content_key import Keys, Sealer

PREFIX = "{fl:lane}:"
NO_BATCH = "-" * 16
_HEAD = struct.Struct(">sss12s16s16sdII8sI8sI")
HEAD_BYTES = _HEAD.size
_KEY = struct.Struct(">8s")
_NO_KEY = b"-" * 8
_MOST = 2**32 - 1

# Planned: in a batch of ours; whether the provider may have it is for the batch to say. Live: asked live just now.
_STATES = {
    "Q": WorkState.QUEUED,
    "P": WorkState.PLANNED,
    "L": WorkState.SUBMITTED,
    "D": WorkState.DONE,
    "F": WorkState.FAILED,
    "R": WorkState.RESCUED,
    "C": WorkState.CANCELLED,
}
LETTERS = {state: letter for letter, state in _STATES.items()}
_LETTERS = frozenset(letter.encode() for letter in _STATES)


@dataclass(frozen=True, slots=True)
class Head:
    """What scripts and the packer see of a request. ``group`` and ``batch`` are ids; ``body_bytes`` uncompressed."""

    state: WorkState
    attempts: int
    told: str
    group: str
    batch: str | None
    deadline_at: float
    body_bytes: int
    tokens: int
    prefix: bytes
    keep_s: int
    key_id: str | None
    sealed: int

    @classmethod
    def read(cls, record: bytes) -> Head | None:
        """None for what is no record of this release."""
        if len(record) < HEAD_BYTES or record[:1] not in _LETTERS:
            return None
        state, attempts, told, group, batch, _, deadline, size, tokens, prefix, keep_s, key, sealed = _HEAD.unpack_from(
            record
        )
        return cls(
            state=_STATES[state.decode()],
            attempts=int(attempts),
            told=told.decode(),
            group=group.decode(),
            batch=None if batch.decode() == NO_BATCH else batch.decode(),
            deadline_at=deadline,
            body_bytes=size,
            tokens=tokens,
            prefix=prefix,
            keep_s=keep_s,
            key_id=None if key == _NO_KEY else key.decode(),
            sealed=sealed,
        )


class Records:
    """Packs and unpacks, with the content keys of the environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._sealer, self._environment = Sealer(environment), environment
        self._keys: Keys | None = None

    def pack(self, work: Work, fingerprint: str) -> bytes:
        """Raises ContentError where the key for content is unusable."""
        about = {
            "tenant": work.tenant, "route": work.route, "at": work.accepted_at, "about": work.about,
            "prefix": work.prefix, "terms": asdict(work.terms),
        }  # fmt: skip
        key, sealed = self._sealer.seal(orjson.dumps(about) + b"\n" + work.body, bare(work.id))
        head = _HEAD.pack(
            b"Q", b"0", b"-", work.group.id.encode(), NO_BATCH.encode(), digest(work.tenant, fingerprint),
            work.deadline_at, min(len(work.body), _MOST), min(work.prompt_tokens, _MOST), _prefix(work.prefix),
            work.terms.keep_s, _NO_KEY if key is None else key.encode(), len(sealed),
        )  # fmt: skip
        return head + sealed

    def body(self, name: str, record: bytes) -> bytes:
        """The body alone, for a batch. Raises ContentError."""
        return self._document(name, record)[1]

    def work(self, name: str, record: bytes, head: Head, group: Group) -> Work:
        """Raises ContentError."""
        about, body = self._document(name, record)
        values: dict[str, Any] = orjson.loads(about)
        return Work(
            id=f"flr_{name}",
            group=group,
            tenant=values["tenant"],
            route=values["route"],
            body=body,
            accepted_at=values["at"],
            deadline_at=head.deadline_at,
            prompt_tokens=head.tokens,
            prefix=values["prefix"],
            about=values["about"],
            terms=Terms(**values["terms"]),
        )

    def pack_result(self, result: Result) -> bytes:
        """Raises ContentError where the key for content is unusable."""
        about = {"status": result.status, "at": result.at, "live": result.live, "batch": result.provider_batch}
        if result.provider_request:
            about["request"] = result.provider_request
        key, sealed = self._sealer.seal(orjson.dumps(about) + b"\n" + result.body, bare(result.work_id))
        return _KEY.pack(_NO_KEY if key is None else key.encode()) + sealed

    def result(self, name: str, record: bytes, head: Head) -> Result | None:
        """None where there is none: it is not answered, or cancelled. Raises ContentError."""
        blob = record[HEAD_BYTES + head.sealed :]
        if not blob:
            return None
        key = None if blob[: _KEY.size] == _NO_KEY else blob[: _KEY.size].decode()
        about, _, body = self._opened(key, blob[_KEY.size :], name).partition(b"\n")
        values = orjson.loads(about)
        status, at, live = values["status"], values["at"], values["live"]
        batch, request = values["batch"], values.get("request")
        return Result(f"flr_{name}", status, body, at, live=live, provider_batch=batch, provider_request=request)

    def _document(self, name: str, record: bytes) -> tuple[bytes, bytes]:
        head = Head.read(record)
        if head is None:
            raise ContentError(f"request flr_{name} of the lane: damaged")
        about, _, body = self._opened(head.key_id, record[HEAD_BYTES : HEAD_BYTES + head.sealed], name).partition(b"\n")
        return about, body

    def _opened(self, key: str | None, blob: bytes, name: str) -> bytes:
        if self._keys is None:
            self._keys = Keys.from_environment(self._environment)
        return self._keys.open(key, blob, name)


def bare(request_id: str) -> str:
    """The part of an id that keys are made of."""
    return request_id.removeprefix("flr_")


def digest(*parts: str) -> bytes:
    """16 bytes that only these parts give; all zero where the last one is empty."""
    if not parts[-1]:
        return bytes(16)
    return sha256("".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")).digest()[:16]


def _prefix(prefix: str) -> bytes:
    return sha256(prefix.encode("utf-8", "surrogatepass")).digest()[:8] if prefix else bytes(8)


def group_json(group: Group) -> bytes:
    return orjson.dumps([group.provider, group.account, group.endpoint.value, group.model])


@lru_cache(maxsize=4096)
def group_of(raw: bytes) -> Group:
    provider, account, endpoint, model = orjson.loads(raw)
    return Group(provider, account, Endpoint(endpoint), model)
