"""A log goes through the decision that live traffic goes through, within bounded memory."""

from fivelevers.levers.prompt_cache.prefix import Position, Section
from fivelevers.levers.prompt_cache.replay import MEMORY_S, Replay
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style

PRICES, RULES = CachePrices(0.1, {300: 1.25, 3600: 2.0}), CacheRules(Style.MARKS)


def conversation(name: str, turns: int) -> tuple[Position, ...]:
    return tuple(
        Position(f"{name} {turn}".encode(), 2000 * turn, Section.MESSAGES, turn) for turn in range(1, turns + 1)
    )


def test_later_turns_read_what_earlier_ones_wrote() -> None:
    replay = Replay()
    uses = [
        replay.take("chat", conversation("a", turns), PRICES, RULES, at=30.0 * turns).expected for turns in (1, 2, 3)
    ]
    assert [use.read for use in uses] == [0, 2000, 4000]


def test_prefixes_that_nobody_came_back_to_are_forgotten() -> None:
    replay = Replay(max_nodes=10)
    for number in range(100):
        replay.take("chat", conversation(str(number), 3), PRICES, RULES, at=float(number))
    assert replay.remembered <= 10
    replay.take("chat", conversation("late", 1), PRICES, RULES, at=100 + MEMORY_S + 1)
    assert replay.remembered == 1
