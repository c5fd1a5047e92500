from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np

from fivelevers.metering.interval import Reason, Withheld
from fivelevers.metering.measured import Measured, Saving, measure
from fivelevers.metering.report import Cluster, Totals


def drawn(seed: int, sessions: int, *, holdout: bool, ratio: float = 1.0, said: float = 1.0) -> list[Cluster]:
    """Sessions of a few requests that cost ``ratio`` of what they would without us, and are said to cost ``said``."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(sessions):
        requests = int(1 + rng.poisson(2))
        without = Decimal(str(round(requests * 0.01 * rng.lognormal(0, 0.5), 9)))
        cost = without * Decimal(str(ratio))
        sums = Totals(requests=requests, cost=cost, cost_without_us=cost / Decimal(str(said)))
        found.append(Cluster("support", f"{holdout}-{number}", holdout=holdout, totals=sums))
    return found


def only(clusters: Sequence[Cluster]) -> Measured:
    (one,) = measure(clusters)
    return one


def saving(one: Measured) -> Saving:
    assert isinstance(one.saving, Saving)
    return one.saving


def test_what_requests_cost_less_than_in_the_holdout_was_saved() -> None:
    one = only(drawn(3, 2000, holdout=False, ratio=0.6, said=0.6) + drawn(4, 400, holdout=True))
    assert saving(one).low_usd > 0
    assert saving(one).holds(one.modelled_usd)
    assert not one.disagrees
    assert one.holdout.requests > 400
    rate = saving(one).usd / one.outside.requests
    assert abs(one.forgone_usd - rate * one.holdout.requests) < Decimal("1e-9")


def test_a_model_that_says_too_much_is_flagged() -> None:
    one = only(drawn(3, 2000, holdout=False, ratio=1.0, said=0.5) + drawn(4, 400, holdout=True))
    assert saving(one).low_usd < 0 < saving(one).high_usd
    assert one.disagrees


def test_the_interval_covers_what_is_true() -> None:
    """400 samples of a saving of 0: the 95 % interval holds it in 92 to 98 % of them."""
    found = [only(drawn(2 * n, 300, holdout=False) + drawn(2 * n + 1, 60, holdout=True)) for n in range(400)]
    held = sum(saving(one).holds(Decimal(0)) for one in found)
    assert 0.92 <= held / len(found) <= 0.98


def test_a_small_holdout_says_how_small_and_the_model_fills_in() -> None:
    one = only(drawn(1, 500, holdout=False, ratio=0.6, said=0.6) + drawn(2, 12, holdout=True))
    assert one.saving == Withheld(Reason.FEW_SESSIONS, "12 sessions in the holdout; 30 needed")
    assert not one.disagrees
    expected = one.holdout.cost_without_us * Decimal("0.4")
    assert abs(one.forgone_usd - expected) < Decimal("1e-6")


def test_an_unknown_price_is_no_saving() -> None:
    found = drawn(1, 50, holdout=False) + drawn(2, 50, holdout=True)
    found[0] = replace(found[0], totals=replace(found[0].totals, unpriced=1))
    told = only(found).saving
    assert isinstance(told, Withheld)
    assert told.reason is Reason.UNPRICED


def test_a_session_of_two_days_is_one() -> None:
    found = drawn(1, 40, holdout=False) + drawn(2, 40, holdout=True)
    halves = [replace(one, totals=replace(one.totals, requests=0, cost=Decimal(0)), day=1) for one in found]
    assert only(found + halves).saving == only(found).saving


def test_a_route_without_a_holdout_and_without_a_saving_is_not_told_of() -> None:
    assert measure(drawn(1, 40, holdout=False)) == []
