"""Whatever the traffic, marks are legal; and what is expected is what the provider's rules make of them."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.breakpoints import Decision, Reason, decide, observe
from fivelevers.levers.prompt_cache.node import Node
from fivelevers.levers.prompt_cache.prefix import Position, Section
from fivelevers.levers.prompt_cache.reuse import Hazards
from fivelevers.levers.prompt_cache.spend import Use
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style

ANTHROPIC = CacheRules(Style.MARKS)
CLAUDE = CachePrices(0.1, {300: 1.25, 3600: 2.0})
SECTIONS = (Section.TOOLS, Section.SYSTEM, Section.MESSAGES)


class Provider:
    """Node states and statistics, kept as a store would."""

    def __init__(self, rules: CacheRules = ANTHROPIC, prices: CachePrices = CLAUDE) -> None:
        self.rules, self.prices = rules, prices
        self.nodes: dict[bytes, Node] = {}
        self.hazards = Hazards()

    def ask(self, positions: tuple[Position, ...], now: float) -> Decision:
        known = {p.node: Node.unpack(self.nodes[p.node].pack()) for p in positions if p.node in self.nodes}
        decision = decide(positions, known, self.hazards, self.prices, self.rules, now=now)
        self.hazards.add(decision.counts)
        self.nodes.update(decision.nodes)
        return decision


def prompt(*blocks: str, tokens: int = 2000, system: int = 1) -> tuple[Position, ...]:
    """A position per block; a prompt that begins with the same blocks has the same nodes there."""
    rows = []
    for at in range(len(blocks)):
        section = Section.SYSTEM if at < system else Section.MESSAGES
        rows.append(Position("/".join(blocks[: at + 1]).encode(), tokens * (at + 1), section, at + 1))
    return tuple(rows)


@st.composite
def prompts(draw: st.DrawFn) -> tuple[Position, ...]:
    """A path in a small tree, with tools and system of any length and marks of the client's that it may legally set."""
    path = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=40))
    cuts = sorted(draw(st.lists(st.integers(0, 4), min_size=2, max_size=2)))
    marks = dict.fromkeys(draw(st.lists(st.integers(0, len(path) - 1), max_size=4)))
    ttls = iter(sorted(draw(st.lists(st.sampled_from([300, 3600]), min_size=4, max_size=4)), reverse=True))
    marked = {at: next(ttls) for at in sorted(marks)}
    size, positions = draw(st.sampled_from([40, 300, 5000])), []
    for at in range(len(path)):
        section = SECTIONS[(at >= cuts[0]) + (at >= cuts[1])]
        node, markable = "".join(path[: at + 1]).encode(), draw(st.booleans()) or at in marked
        positions.append(Position(node, size * (at + 1), section, at + 1, marked.get(at), markable, at))
    return tuple(positions)


RULES = st.builds(
    CacheRules,
    st.sampled_from([Style.MARKS, Style.BREAKPOINTS, Style.AUTOMATIC]),
    st.sampled_from([512, 1024, 4096]),
    st.sampled_from([(300, 3600), (1800,), (300,)]),
    st.sampled_from([4, 1]),
    st.sampled_from([20, 2, None]),
)
PRICES = st.builds(
    CachePrices,
    st.floats(0.0, 1.2),
    st.dictionaries(st.sampled_from([300, 1800, 3600]), st.floats(0.5, 3.0), max_size=3),
)
STEPS = st.lists(st.tuples(prompts(), st.sampled_from([0.0, 1.0, 200.0, 1000.0, 5000.0])), min_size=1, max_size=12)


@settings(deadline=None)
@given(STEPS, RULES, PRICES)
def test_no_traffic_leads_to_illegal_marks(
    steps: list[tuple[tuple[Position, ...], float]], rules: CacheRules, prices: CachePrices
) -> None:
    provider, now = Provider(rules, prices), 1e9
    for positions, wait_s in steps:
        now += wait_s
        check(positions, provider.ask(positions, now), rules, prices)


def check(positions: tuple[Position, ...], decision: Decision, rules: CacheRules, prices: CachePrices) -> None:
    ours = {mark.at: mark.ttl_s for mark in decision.marks}
    client = {at: p.mark_s for at, p in enumerate(positions) if p.mark_s is not None}
    assert not ours.keys() & client.keys()
    assert len(ours) + len(client) <= max(rules.max_marks, len(client))
    assert all(positions[at].markable and positions[at].tokens >= rules.minimum_tokens for at in ours)
    assert all(ttl_s in rules.ttls_s and ttl_s in prices.write for ttl_s in ours.values() if not client)
    ttls = [ttl_s for _, ttl_s in sorted((ours | client).items())]
    assert all(earlier >= later for earlier, later in pairwise(ttls))
    for use in (decision.expected, decision.client_alone):
        assert use.read + sum(use.written.values()) + use.fresh == positions[-1].tokens
        assert min(use.read, use.fresh, *use.written.values(), 0) >= 0


def test_a_conversation_is_written_once_and_read_ever_after() -> None:
    provider = Provider()
    first = provider.ask(prompt("system", "hello"), 1e9)
    assert [(mark.at, mark.reason) for mark in first.marks][-1] == (1, Reason.TAIL)
    assert first.expected == Use(0, {3600: 2000, 300: 2000}, 0)  # a system prompt is believed to be shared
    second = provider.ask(prompt("system", "hello", "hi", "more"), 1e9 + 30)
    assert second.expected == Use(4000, {300: 4000}, 0)
    assert second.client_alone == Use(0, {}, 8000)
    assert second.read_at == 1


def test_what_never_comes_back_is_soon_not_written() -> None:
    provider = Provider()
    written = [provider.ask(prompt(f"prompt {at}", system=0), 1e9 + 60 * at).expected.written for at in range(60)]
    assert written[0]
    assert not any(written[30:])


def test_a_shared_head_is_written_where_tails_are_not() -> None:
    provider = Provider()
    for at in range(60):
        decision = provider.ask(prompt("system", f"question {at}"), 1e9 + 60 * at)
    assert decision.expected == Use(2000, {}, 2000)
    assert [mark.reason for mark in decision.marks] == [Reason.READ]


def test_gaps_beyond_the_short_ttl_buy_the_long_one() -> None:
    provider = Provider()
    for at in range(60):
        decision = provider.ask(prompt("system", f"question {at}"), 1e9 + 900 * at)
    assert decision.expected == Use(2000, {}, 2000)


def test_a_failed_request_has_written_nothing() -> None:
    provider, positions = Provider(), prompt("system", "hello")
    decision = provider.ask(positions, 1e9)
    provider.nodes.update(observe(positions, decision, None, now=1e9 + 1).nodes)
    assert provider.ask(positions, 1e9 + 2).expected.read == 0


def test_a_read_that_did_not_happen_costs_trust() -> None:
    provider, longer = Provider(), prompt("system", "hello", "hi", "more")
    provider.ask(prompt("system", "hello"), 1e9)
    decision = provider.ask(longer, 1e9 + 30)
    told = observe(longer, decision, replace(decision.expected, read=0), now=1e9 + 31)
    assert told.evicted == 4000
    provider.hazards.add(told.counts)
    assert provider.hazards.kept(300, 1e9 + 120) < 1.0
    assert not observe(longer, decision, decision.expected, now=1e9 + 31).evicted
