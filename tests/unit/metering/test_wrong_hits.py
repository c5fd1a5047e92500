"""What wrong hits waste: the share that audits find, of what is called saved."""

from decimal import Decimal

from fivelevers.metering.wrong_hits import Hits, by_route, wasted

DESK = Hits("team-a", "support", served=80, saved=Decimal(4), judged=10, wrong=1)
SHOP = Hits("team-b", "support", served=20, saved=Decimal(1), judged=10, wrong=0)


def test_a_routes_audits_speak_for_all_of_its_groups() -> None:
    assert wasted([DESK, SHOP]) == {"team-a": Decimal("0.2"), "team-b": Decimal("0.05")}


def test_without_audits_nothing_is_said() -> None:
    assert wasted([Hits("a", "r", served=5, saved=Decimal(1), judged=0, wrong=0)]) == {"a": 0}


def test_sums_of_a_route() -> None:
    assert by_route([DESK, SHOP]) == [Hits("support", "support", 100, Decimal(5), 20, 1)]
