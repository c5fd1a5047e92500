"""Blocks of time, of which `fivelevers audit --sample` draws some."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from typing import Final

BLOCK_S: Final = 21_600.0


def block_of(at: float) -> int:
    """``at``: seconds since the epoch."""
    return int(at // BLOCK_S)


def drawn(block: int, share: float) -> bool:
    """The same blocks each time, and of a larger share these and others."""
    return share >= 1.0 or hashed("sample", block) < share


def of_all(blocks: Collection[int], share: float, at: float, seconds: float) -> float:
    """Of a stretch of time of which a block was drawn: how many of its ``blocks`` there are for each drawn one."""
    stretch = [block for block in range(block_of(at), block_of(at + seconds - 1) + 1) if block in blocks]
    some = sum(drawn(block, share) for block in stretch)
    return len(stretch) / some if some else 1.0


def hashed(what: str, block: int) -> float:
    """In [0, 1)."""
    found = sha256(f"fivelevers {what} {block}".encode()).digest()
    return (int.from_bytes(found[:8], "big") >> 11) * 2.0**-53
