"""The key that content is encrypted with at rest: AES-256-GCM, from the environment.

FIVELEVERS_CONTENT_KEY holds 32 bytes in base64; FIVELEVERS_CONTENT_OLD_KEYS, separated by commas, those that content of
earlier times is still to be read with. Without a key content is compressed and not encrypted.
"""

from __future__ import annotations

import binascii
import logging
import os
import zlib
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fivelevers.errors import ContentError

KEY, OLD_KEYS = "FIVELEVERS_CONTENT_KEY", "FIVELEVERS_CONTENT_OLD_KEYS"
FIX = "make one with `openssl rand -base64 32`"
_SECRET_BYTES, _NONCE_BYTES = 32, 12

_log = logging.getLogger("fivelevers.content")


@dataclass(frozen=True, slots=True)
class ContentKey:
    """32 secret bytes, and the name that they go by beside what they encrypt."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str, variable: str) -> Self:
        """Raises ContentError, which never shows the value."""
        try:
            secret = b64decode(text.strip(), validate=True)
        except binascii.Error as error:
            raise ContentError(f"{variable}: not base64 ({error}); {FIX}") from None
        if len(secret) != _SECRET_BYTES:
            raise ContentError(f"{variable}: {len(secret)} bytes are not {_SECRET_BYTES}; {FIX}")
        return cls(sha256(secret).hexdigest()[:8], secret)


class Sealer:
    """Packs documents with the key of the environment. Made once; what is wrong with the key is told by `seal`."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._key: ContentKey | None = None
        self._problem: ContentError | None = None
        try:
            self._key = current_key(environment)
        except ContentError as error:
            self._problem = error
        self._told = False

    def seal(self, document: bytes, request_id: str) -> tuple[str | None, bytes]:
        """(name of the key or None, the document packed). Raises ContentError when there is a key and it is no good."""
        if self._problem is not None:
            raise self._problem
        packed = zlib.compress(document)
        if self._key is None:
            if not self._told:
                self._told = True
                _log.warning("content is kept unencrypted: %s is not set; %s", KEY, FIX)
            return None, packed
        nonce = os.urandom(_NONCE_BYTES)
        # The request's id is authenticated too: nobody can pass one request's content off as another's.
        return self._key.id, nonce + AESGCM(self._key.secret).encrypt(nonce, packed, request_id.encode())


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys that content may be read with, by name."""

    by_id: Mapping[str, ContentKey]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Raises ContentError when one of them is unusable."""
        old = [text for text in environment.get(OLD_KEYS, "").split(",") if text.strip()]
        found = [ContentKey.parse(text, f"{OLD_KEYS}[{at}]") for at, text in enumerate(old)]
        current = current_key(environment)
        return cls({key.id: key for key in [*found, *([current] if current else [])]})

    def open(self, key_id: str | None, blob: bytes, request_id: str) -> bytes:
        """The document again. Raises ContentError when its key is not here, or it is not what was sealed."""
        try:
            return zlib.decompress(blob if key_id is None else self._decrypted(key_id, blob, request_id))
        except (InvalidTag, zlib.error):
            raise ContentError(f"content of request {request_id}: damaged, or not sealed for this request") from None

    def _decrypted(self, key_id: str, blob: bytes, request_id: str) -> bytes:
        key = self.by_id.get(key_id)
        if key is None:
            raise ContentError(
                f"content of request {request_id}: encrypted with key {key_id}, which is not here; "
                f"set {KEY}, or add it to {OLD_KEYS}"
            )
        return AESGCM(key.secret).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], request_id.encode())


def current_key(environment: Mapping[str, str] = os.environ) -> ContentKey | None:
    """The key for new content; None where none is set. Raises ContentError when it is unusable."""
    text = environment.get(KEY, "")
    return ContentKey.parse(text, KEY) if text.strip() else None
