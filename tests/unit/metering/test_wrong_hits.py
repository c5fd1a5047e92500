"""What wrong hits waste: what those that failed are said to have saved, and of the rest the share that audits find."""

from decimal import Decimal

from fivelevers.metering.wrong_hits import Hits, wasted

DESK = Hits("team-a", "support", served=80, failed=Decimal(0), silent=Decimal(4))
SHOP = Hits("team-b", "support", served=20, failed=Decimal(0), silent=Decimal(1))


def test_a_routes_audits_speak_for_all_of_its_groups() -> None:
    assert wasted([DESK, SHOP], {"support": Decimal("0.05")}) == {"team-a": Decimal("0.2"), "team-b": Decimal("0.05")}


def test_without_audits_nothing_is_said_of_silent_hits() -> None:
    silent = Hits("a", "r", served=5, failed=Decimal(0), silent=Decimal(1))
    assert wasted([silent], {"support": Decimal(1)}) == {"a": 0}


def test_a_hit_that_failed_saved_nothing_whatever_audits_say() -> None:
    heard = Hits("a", "support", served=50, failed=Decimal("0.3"), silent=Decimal(2))
    assert wasted([heard], {}) == {"a": Decimal("0.3")}
    assert wasted([heard], {"support": Decimal("0.1")}) == {"a": Decimal("0.5")}
