"""The decision: which prefixes of a request to have cached, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fivelevers.levers.prompt_cache.classes import LEVELS
from fivelevers.levers.prompt_cache.node import Entry, Node, Role
from fivelevers.levers.prompt_cache.placing import Offer, best_marks
from fivelevers.levers.prompt_cache.prefix import Position
from fivelevers.levers.prompt_cache.reuse import Curve, Hazards, trusted
from fivelevers.levers.prompt_cache.spend import Spend, Use, spend
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.levers.prompt_cache.visit import Visit, visit
from fivelevers.levers.prompt_cache.worth import Terms, terms_of, worth_long, worth_short

_LOST = 0.5  # of what should have been read: token estimates are not that far out


class Reason(StrEnum):
    """Why a place is marked: to read or renew an entry, or to write one there."""

    READ = "read"
    RENEW = "renew"
    SECTION = "section"
    BRANCH = "branch"
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class Mark:
    """``at``: index of the position. ``ttl_s``: lifetime asked for."""

    at: int
    ttl_s: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """``marks``: ours alone, in the order of the prompt. ``expected``: what the request uses, with the client's.

    ``client_alone``: what it would have used had we never marked anything. ``read_at``: index of the position where the
    expected read ends. ``written_at``: those where entries are written. ``nodes``: states to store. ``counts``:
    increments of the route's reuse statistics.
    """

    marks: tuple[Mark, ...] = ()
    expected: Use = field(default_factory=Use)
    client_alone: Use = field(default_factory=Use)
    read_at: int | None = None
    written_at: tuple[int, ...] = ()
    nodes: Mapping[bytes, Node] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Correction:
    """What reported usage teaches. ``evicted``: prompt tokens that we believed cached and that were gone."""

    nodes: Mapping[bytes, Node] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    evicted: int = 0


def decide(
    positions: Sequence[Position],
    nodes: Mapping[bytes, Node],
    hazards: Hazards,
    prices: CachePrices,
    rules: CacheRules,
    *,
    now: float,
) -> Decision:
    """Marks that pay by the hazards and prices given. ``nodes``: what is known of the positions, by their node.

    Never more than ``rules.max_marks`` with the client's own, which stay; never a longer TTL after a shorter one; none
    below ``rules.minimum_tokens``.
    """
    if not positions or rules.style is Style.NONE:
        return Decision(expected=_fresh(positions), client_alone=_fresh(positions))
    terms = terms_of(prices, rules)
    seen = visit(positions, nodes, now, terms.long if terms else None)
    if rules.style is Style.AUTOMATIC:
        use = _automatic(positions, seen, rules, now)
        return Decision(expected=use, client_alone=use, nodes=seen.nodes, counts=seen.counts)
    client = {at: p.mark_s for at, p in enumerate(positions) if p.mark_s is not None}
    long_enough = positions[-1].tokens >= rules.minimum_tokens or client
    offers = _offers(positions, seen, hazards, terms, rules, now) if terms and long_enough else []
    marks = best_marks(offers, terms, rules.max_marks, _look_back(rules)) if terms and offers else {}
    done = spend(positions, client | marks, _held(seen, lambda node: node.entry), rules, now)
    alone = _alone(positions, seen, client, rules, now)
    roles = {candidate.at: candidate.role for candidate in seen.candidates}
    return Decision(
        marks=tuple(Mark(at, ttl_s, _reason(at, roles[at], done)) for at, ttl_s in marks.items() if at not in client),
        expected=done.use,
        client_alone=alone.use,
        read_at=done.read_at,
        written_at=tuple(at for at in done.entries if done.read_at is None or at > done.read_at),
        nodes=_remembered(positions, seen, done, alone),
        counts=seen.counts,
    )


def observe(positions: Sequence[Position], decision: Decision, reported: Use | None, *, now: float) -> Correction:
    """``reported``: usage as the provider billed it, None where the request failed and nothing was written.

    A read that did not happen says that its entry was gone: the belief goes too, and the TTL is trusted less.
    """
    if reported is None:
        gone = [positions[at].node for at in decision.written_at]
        return Correction({name: _without(decision.nodes[name]) for name in gone if name in decision.nodes})
    if decision.read_at is None:
        return Correction()
    place = positions[decision.read_at]
    entry = decision.nodes[place.node].entry
    missing = decision.expected.read - reported.read
    lost = missing > _LOST * decision.expected.read
    counts = dict.fromkeys(trusted(entry.ttl_s, now, kept=not lost), 1.0) if entry else {}
    marked = any(mark.at == decision.read_at for mark in decision.marks) or place.mark_s is not None
    if not lost or marked:  # a mark there has just written it anew
        return Correction(counts=counts, evicted=missing if lost else 0)
    return Correction({place.node: _without(decision.nodes[place.node])}, counts, missing)


def _without(node: Node) -> Node:
    return node._replace(entry=None)


def _fresh(positions: Sequence[Position]) -> Use:
    return Use(fresh=positions[-1].tokens if positions else 0)


def _look_back(rules: CacheRules) -> int | None:
    return 1 if rules.style is Style.BREAKPOINTS else rules.look_back_blocks


def _offers(  # noqa: PLR0917
    positions: Sequence[Position], seen: Visit, hazards: Hazards, terms: Terms, rules: CacheRules, now: float
) -> list[Offer]:
    """Candidates with their worth. Who sees a place again sees all before it, so that probabilities fall with depth."""
    kept = hazards.kept(terms.short, now)
    kept_long = hazards.kept(terms.long, now) if terms.long else 0.0
    offers: list[Offer] = []
    now_deeper: Curve | None = None
    mean_deeper: Curve | None = None
    long = 0.0
    for candidate in reversed(seen.candidates):
        place = positions[candidate.at]
        curve = _at_least(hazards.curve(candidate.class_id, now), now_deeper)
        mean = _at_least(hazards.curve(candidate.class_id, now, level=LEVELS[0]), mean_deeper)
        long += worth_long((curve, now_deeper), (mean, mean_deeper), terms)
        now_deeper, mean_deeper = curve, mean
        if place.tokens < rules.minimum_tokens and place.mark_s is None:
            continue
        live_s = terms.closest(candidate.live.ttl_s) if candidate.live else None
        worths = worth_short(curve, terms) * kept, long * kept_long
        offers.append(Offer(candidate.at, place.tokens, place.block, *worths, live_s, place.mark_s, place.markable))
    return offers[::-1]


def _at_least(curve: Curve, deeper: Curve | None) -> Curve:
    return curve if deeper is None else tuple(map(max, deeper, curve))


def _held(seen: Visit, entry_of: Callable[[Node], Entry | None]) -> Callable[[int], Entry | None]:
    def held(at: int) -> Entry | None:
        node = seen.known[at]
        return entry_of(node) if node else None

    return held


def _alone(
    positions: Sequence[Position], seen: Visit, client: Mapping[int, int], rules: CacheRules, now: float
) -> Spend:
    """Without us. OpenAI's implicit mode writes the newest message beside what is marked, and reads any before it."""
    marks, implicit = dict(client), rules.style is Style.BREAKPOINTS
    if implicit:
        marks.setdefault(seen.tip, rules.ttls_s[0])
    return spend(positions, marks, _held(seen, lambda node: node.client_entry), rules, now, implicit=implicit)


def _automatic(positions: Sequence[Position], seen: Visit, rules: CacheRules, now: float) -> Use:
    """The deepest prefix that was seen within the TTL is read; writes are free."""
    known = [at for at, node in enumerate(seen.known) if node and now - node.last_seen < rules.ttls_s[0]]
    read = positions[known[-1]].tokens if known else 0
    read = read if read >= rules.minimum_tokens else 0
    return Use(read, fresh=positions[-1].tokens - read)


def _reason(at: int, role: Role, done: Spend) -> Reason:
    if at == done.read_at:
        return Reason.READ
    if done.read_at is not None and at < done.read_at:
        return Reason.RENEW
    return {Role.HEAD: Reason.SECTION, Role.BRANCH: Reason.BRANCH}.get(role, Reason.TAIL)


def _remembered(positions: Sequence[Position], seen: Visit, done: Spend, alone: Spend) -> dict[bytes, Node]:
    nodes = dict(seen.nodes)
    for at in done.entries.keys() | alone.entries.keys():
        name = positions[at].node
        node = nodes.get(name) or seen.known[at]
        if node is not None:
            entry, client_entry = done.entries.get(at, node.entry), alone.entries.get(at, node.client_entry)
            nodes[name] = node._replace(entry=entry, client_entry=client_entry)
    return nodes
