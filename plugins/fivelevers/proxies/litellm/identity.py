"""Names of requests that only their own caller can speak about.

A request id is a UUID (version 8): 74 random bits, then a code over them and the caller's key. So any worker of any
replica can tell whose request it was without looking anything up. ``litellm_call_id`` is no identity: clients set it.
"""

from __future__ import annotations

import hmac
import os
import secrets
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

_RANDOM_BYTES = 10
_BLOCK_BYTES = 64  # of SHA-256


def new_request_id(key: str) -> str:
    """A fresh id, 32 hex digits, for a request of this key (the proxy's hash of it)."""
    head = bytearray(secrets.token_bytes(_RANDOM_BYTES))
    head[6] = head[6] & 0x0F | 0x80  # version 8
    head[8] = head[8] & 0x3F | 0x80  # variant of RFC 9562
    return (bytes(head) + _code(bytes(head), key)).hex()


def owns(request_id: str, key: str) -> bool:
    """Whether ``request_id`` was given to a request of this key."""
    try:
        raw = UUID(request_id).bytes
    except ValueError:
        return False
    return hmac.compare_digest(raw[_RANDOM_BYTES:], _code(raw[:_RANDOM_BYTES], key))


def cache_secret() -> bytes:
    """What the scopes and questions of cached answers are hashed with: the same on every replica."""
    return _secret(b"fivelevers cache\0")


@lru_cache(maxsize=4)
def _secret(purpose: bytes) -> bytes:
    return sha256(purpose + (os.environ.get("LITELLM_MASTER_KEY") or "fivelevers").encode()).digest()


def _code(head: bytes, key: str) -> bytes:
    # The master key is the one secret that all replicas of a proxy share already.
    secret = (os.environ.get("LITELLM_MASTER_KEY") or "fivelevers").encode()
    inner, outer = _pads(secret)
    message = b"fivelevers request\0" + head + key.encode("utf-8", "surrogatepass")
    return sha256(outer + sha256(inner + message).digest()).digest()[:6]


@lru_cache(maxsize=1)
def _pads(secret: bytes) -> tuple[bytes, bytes]:
    """HMAC's two keys (RFC 2104). OpenSSL's own call looks its algorithm up anew each time: ten times as slow."""
    key = (sha256(secret).digest() if len(secret) > _BLOCK_BYTES else secret).ljust(_BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in key), bytes(byte ^ 0x5C for byte in key)
