"""A stored answer as bytes, and back."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from fivelevers.answer import StoredAnswer
from fivelevers.prices import Usage

_PLAIN, _PACKED = b"1", b"2"  # the first byte says how the rest is written
_PACK_FROM_BYTES = 512


def pack(answer: StoredAnswer) -> bytes:
    """JSON; compressed where it is long."""
    written = orjson.dumps(asdict(answer))
    return _PLAIN + written if len(written) < _PACK_FROM_BYTES else _PACKED + zlib.compress(written, 6)


def unpack(raw: bytes) -> StoredAnswer | None:
    """None for what no release of ours wrote, or another one wrote otherwise."""
    try:
        text = zlib.decompress(raw[1:]) if raw[:1] == _PACKED else raw[1:]
        values: dict[str, Any] = orjson.loads(text)
        values["usage"], values["tags"] = Usage(**values["usage"]), tuple(values["tags"])
        plain: Mapping[str, int] | None = values.get("plain")
        values["plain"] = None if plain is None else Usage(**plain)
        return StoredAnswer(**values)
    except (zlib.error, ValueError, TypeError, KeyError):
        return None
