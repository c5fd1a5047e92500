"""A request's walk along known prefixes: what it tells of them, and where its own entries may end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fivelevers.levers.prompt_cache import classes
from fivelevers.levers.prompt_cache.node import Entry, Node, Role
from fivelevers.levers.prompt_cache.prefix import Position, Section
from fivelevers.levers.prompt_cache.reuse import entered, resolved

MAX_BRANCHES = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where an entry may end. ``live``: the one that does. ``mark_s``: the client's own mark."""

    at: int
    role: Role
    class_id: int
    live: Entry | None
    mark_s: int | None


@dataclass(frozen=True, slots=True)
class Visit:
    """``known``: the node of each position, if any. ``tip``: index of the last place that takes a mark."""

    known: tuple[Node | None, ...]
    tip: int
    candidates: tuple[Candidate, ...]
    nodes: dict[bytes, Node]
    counts: dict[str, float]


def visit(positions: Sequence[Position], nodes: Mapping[bytes, Node], now: float, long_s: int | None) -> Visit:
    """``long_s``: the TTL that outlives the others, whose deepest entry is worth keeping."""
    known = tuple([nodes.get(position.node) for position in positions])
    deepest = next((at for at in range(len(known) - 1, -1, -1) if known[at] is not None), -1)
    parent = known[deepest] if deepest >= 0 else None
    tip = next((at for at in range(len(known) - 1, -1, -1) if positions[at].markable), len(known) - 1)
    roles = _roles(positions, known, deepest, tip)
    for at in (*_deepest_entries(known, now, long_s), *([deepest] if parent else [])):
        roles.setdefault(at, Role.INNER)
    turn = parent.turn if parent else 0
    gap_s = now - parent.last_seen if parent and parent.turn else None
    tail = positions[tip].tokens - (positions[deepest].tokens if deepest >= 0 else 0)
    journey = _Journey(positions, known, now, turn, gap_s, max(tail, 0))
    return journey.over(roles, tip)


@dataclass(frozen=True, slots=True)
class _Journey:
    """``turn``: of the conversation that the request goes on with. ``gap_s``: since it was last seen."""

    positions: Sequence[Position]
    known: tuple[Node | None, ...]
    now: float
    turn: int
    gap_s: float | None
    tail: int

    def over(self, roles: Mapping[int, Role], tip: int) -> Visit:
        candidates, updates, fields = [], {}, []
        for at in [at for at, node in enumerate(self.known) if node is None or node.class_id or at in roles]:
            position, before = self.positions[at], self.known[at]
            if before is not None and before.class_id:
                fields += resolved(before.class_id, before.last_seen, self.now)
            role = roles.get(at)
            if role is None:
                after = self._passed(before)
            else:
                after = self._visited(at, role, before)
                fields += entered(after.class_id, self.now)
                live = after.entry if after.entry and self.now < after.entry.ends_at else None
                candidates.append(Candidate(at, role, after.class_id, live, position.mark_s))
            updates[position.node] = after
        counts: dict[str, float] = {}
        for field in fields:
            counts[field] = counts.get(field, 0.0) + 1.0
        return Visit(self.known, tip, tuple(candidates), updates, counts)

    def _passed(self, before: Node | None) -> Node:
        if before is None:  # remembered, so that requests which part here are seen to do so
            return Node(self.now, Role.INNER, self.turn)
        role = Role.INNER if before.role in (Role.TIP, Role.EVE) else before.role
        return before._replace(last_seen=self.now, role=role, class_id=0)

    def _visited(self, at: int, role: Role, before: Node | None) -> Node:
        visits = before.visits + 1 if before else 1
        turn = before.turn if before else self.turn
        if role in (Role.TIP, Role.EVE):
            turn = before.turn if before and before.turn else self.turn + 1
            class_id = classes.tip_class(role, turn, self.gap_s, self.tail)
        elif role is Role.INNER:
            class_id = classes.inner_class(self.turn + 1, self.gap_s)
        else:
            own_gap_s = self.now - before.last_seen if before else None
            class_id = classes.shared_class(role, visits, own_gap_s, self.positions[at].tokens)
        if before is None:
            return Node(self.now, role, turn, visits, class_id)
        return before._replace(last_seen=self.now, role=role, turn=turn, visits=visits, class_id=class_id)


def _roles(positions: Sequence[Position], known: Sequence[Node | None], deepest: int, tip: int) -> dict[int, Role]:
    roles = dict.fromkeys(_branches(known, deepest, tip), Role.BRANCH)
    roles.setdefault(tip, Role.TIP)
    eve = next((at for at in range(tip - 1, deepest, -1) if positions[at].markable), None)
    if eve is not None:
        roles[eve] = Role.EVE
    for at, position in enumerate(positions[: tip + 1]):
        if position.section is Section.MESSAGES:
            break
        if at == tip or positions[at + 1].section is not position.section:
            roles[at] = Role.HEAD
    for at in [at for at, position in enumerate(positions) if position.mark_s is not None]:
        roles.setdefault(at, Role.INNER)
    return roles


def _branches(known: Sequence[Node | None], deepest: int, tip: int) -> list[int]:
    """Where requests are known to part, and where this one parts from what went before, the deepest ones."""
    parts = [at for at, node in enumerate(known) if node and node.role is Role.BRANCH and at != tip]
    here = known[deepest] if 0 <= deepest < tip else None
    if here and here.role in (Role.INNER, Role.EVE):
        parts.append(deepest)
    return parts[-MAX_BRANCHES:]


def _deepest_entries(known: Sequence[Node | None], now: float, long_s: int | None) -> list[int]:
    """The deepest live entry, which the request reads, and the deepest of the long TTL."""
    live = [(at, node.entry) for at, node in enumerate(known) if node and node.entry and now < node.entry.ends_at]
    long = [at for at, entry in live if entry.ttl_s == long_s]
    return [*(at for at, _ in live[-1:]), *long[-1:]]
