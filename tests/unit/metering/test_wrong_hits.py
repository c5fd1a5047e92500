"""What wrong hits waste: the share that audits find, of what is called saved."""

from decimal import Decimal

from fivelevers.metering.wrong_hits import Hits, wasted

DESK = Hits("team-a", "support", served=80, saved=Decimal(4))
SHOP = Hits("team-b", "support", served=20, saved=Decimal(1))


def test_a_routes_audits_speak_for_all_of_its_groups() -> None:
    assert wasted([DESK, SHOP], {"support": Decimal("0.05")}) == {"team-a": Decimal("0.2"), "team-b": Decimal("0.05")}


def test_without_audits_nothing_is_said() -> None:
    assert wasted([Hits("a", "r", served=5, saved=Decimal(1))], {"support": Decimal(1)}) == {"a": 0}
