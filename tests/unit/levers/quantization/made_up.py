"""Scored items for tests."""

from __future__ import annotations

from fivelevers.levers.quantization.gate import Scored


def scored(lost: int, won: int, both: int, neither: int = 0, *, stratum: str = "chat", again: int = 0) -> list[Scored]:
    """So many of each; the original contradicts itself on ``again`` of the items that both got right, one way."""
    kinds = [(True, False)] * lost + [(False, True)] * won + [(True, True)] * both + [(False, False)] * neither
    return [
        Scored(f"{stratum}-{at}", stratum, *kind, again=kind[0] and not lost + won <= at < lost + won + again)
        for at, kind in enumerate(kinds)
    ]
