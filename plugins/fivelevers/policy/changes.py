"""What another policy changes, in words for the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fivelevers.policy.model import Policy, Route


def changes(old: Policy, new: Policy) -> tuple[str, ...]:
    """One line per value that differs: `routes.support.levers.batch.mode: off -> on`."""
    before, after = ({route.name: route for route in policy.routes} for policy in (old, new))
    lines = [f"routes.{name}: removed" for name in before if name not in after]
    for name, route in after.items():
        if name not in before:
            lines.append(f"routes.{name}: added")
        earlier = before.get(name, Route(name=name))
        lines += _differences(
            f"routes.{name}",
            earlier.model_dump(mode="json", exclude_none=True),
            route.model_dump(mode="json", exclude_none=True),
        )
    kept = [[name for name in names if name in before and name in after] for names in (before, after)]
    if kept[0] != kept[1]:
        lines.append(f"routes: order {', '.join(kept[0])} -> {', '.join(kept[1])}")
    if old.order != new.order:
        lines.append(f"order: {old.order} -> {new.order}")
    return tuple(lines)


def _differences(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(f"{path}.{key}", before, after)
        elif before != after:
            yield f"{path}.{key}: {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
