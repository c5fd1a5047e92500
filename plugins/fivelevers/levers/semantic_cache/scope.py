"""Scope: what two requests must have in common before one may be given the other's answer. A wall, no similarity.

Everything that names somebody, or shapes an answer, is in it but one text: the last that the user wrote. It is hashed
with a secret, so that whoever reads the store can not test guesses at prompts.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

HEX_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Scope:
    """``route``, ``tenant``, ``model`` (the alias that was asked) and ``embedder`` (its version) as text; ``epochs`` by
    name, raised to invalidate; ``rest`` the digest of the request without its last user text.
    """

    route: str
    tenant: str
    model: str
    embedder: str
    epochs: Mapping[str, int]
    rest: bytes

    def id(self, secret: bytes) -> str:
        """32 hex digits. Lengths stand before each part: no two different scopes are the same bytes."""
        epochs = "".join(f"{len(name)}:{name}={epoch};" for name, epoch in sorted(self.epochs.items()))
        texts = (self.route, self.tenant, self.model, self.embedder, epochs)
        parts = [*(text.encode("utf-8", "surrogatepass") for text in texts), self.rest]
        return _keyed(secret, b"scope", b"".join(b"%d:%b" % (len(part), part) for part in parts))


def question_id(secret: bytes, text: str) -> str:
    """The name of a question in its scope: of its exact text, 32 hex digits."""
    return _keyed(secret, b"question", text.encode("utf-8", "surrogatepass"))


def _keyed(secret: bytes, what: bytes, data: bytes) -> str:
    return hmac.new(secret, what + b"\0" + data, sha256).hexdigest()[:HEX_DIGITS]
