"""Calls that a program outside the proxy makes for a lever, as `fivelevers route benchmark` does.

Its header says so, and the route that they are about. The proxy believes it from its operators alone: whoever else
could say it would falsify what their traffic costs.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

HEADER: Final = "x-fivelevers-charge"
_LEVERS: Final = frozenset({"routing"})  # of which programs outside ask the proxy


def header_of(lever: str, route: str) -> str:
    return f"{lever}:{quote(route)}"  # what is no route of a policy may be any text


def charge_of(header: str) -> tuple[str, str] | None:
    """(lever, route; empty where none is named). None where it names no lever that has such calls."""
    lever, _, route = header.partition(":")
    return (lever, route) if lever in _LEVERS else None
