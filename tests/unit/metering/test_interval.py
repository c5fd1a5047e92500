import re
from decimal import Decimal
from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.interval import (
    MIN_SESSIONS,
    Cluster,
    CostPerSuccess,
    Coverage,
    Reason,
    Withheld,
    cost_per_success,
    coverage_problem,
)

ALL = {"treated": Coverage(100, 100)}


def estimate(clusters: list[Cluster]) -> CostPerSuccess:
    told = cost_per_success(clusters, ALL)
    assert isinstance(told, CostPerSuccess)
    return told


def reason(told: CostPerSuccess | Withheld | None) -> Reason | None:
    return told.reason if isinstance(told, Withheld) else None


def sample(chance: Random, sessions: int, *, p_success: float = 0.8, sigma: float = 0.8) -> list[Cluster]:
    """Sessions of 1 to 10 requests; each costs a cent times a log-normal draw of mean 1."""

    def session() -> Cluster:
        size = 1 + min(9, int(chance.expovariate(1 / 3)))
        cents = sum(chance.lognormvariate(-(sigma**2) / 2, sigma) for _ in range(size))
        return Cluster(Decimal(cents / 100), sum(chance.random() < p_success for _ in range(size)))

    return [session() for _ in range(sessions)]


def test_the_value_is_the_ratio_of_the_sums() -> None:
    told = estimate([Cluster(Decimal("0.03"), 2)] * 20 + [Cluster(Decimal("0.01"), 0)] * 20)
    assert (told.usd, told.sessions, told.successes) == (Decimal("0.02"), 40, 40)
    assert told.low_usd < told.usd < told.high_usd


def test_the_interval_against_a_sum_done_by_hand() -> None:
    """30 sessions of one success at 1 or 3 USD: leave-one-out ratios are 59/29 and 57/29."""
    told = estimate([Cluster(Decimal(1), 1)] * 15 + [Cluster(Decimal(3), 1)] * 15)
    # ln(59/58) = 0.0170944, ln(57/58) = -0.0173917; variance = 29/30 * 15 * (0.0170944^2 + 0.0173917^2) = 0.0086229
    # half width = 1.9599640 * sqrt(0.0086229 * 29/27) = 0.1886219
    assert float(told.usd) == 2.0
    assert float(told.high_usd) == pytest.approx(2 * exp(0.1886219), rel=1e-5)
    assert float(told.low_usd) == pytest.approx(2 * exp(-0.1886219), rel=1e-5)


def test_sessions_alike_leave_no_doubt() -> None:
    told = estimate([Cluster(Decimal("0.02"), 1)] * 30)
    assert float(told.high_usd - told.low_usd) == pytest.approx(0, abs=1e-12)


def test_requests_of_one_session_are_not_independent() -> None:
    """The same money and successes in a third of the sessions is less evidence."""
    small = sample(Random(1), 120)
    large = [Cluster(c.cost_usd * 3, c.successes * 3) for c in small[::3]]
    wide, narrow = estimate(large), estimate([c for c in small[::3] for _ in range(3)])
    assert wide.usd == narrow.usd
    assert wide.high_usd / wide.low_usd > narrow.high_usd / narrow.low_usd


@pytest.mark.parametrize(("sessions", "sigma"), [(60, 0.5), (200, 0.8)])
def test_the_interval_covers_the_truth_as_often_as_it_says(sessions: int, sigma: float) -> None:
    chance, truth = Random(7), Decimal("0.01") / Decimal("0.8")
    told = [estimate(sample(chance, sessions, sigma=sigma)) for _ in range(800)]
    covered = sum(one.low_usd <= truth <= one.high_usd for one in told) / len(told)
    assert 0.92 <= covered <= 0.98


@given(st.integers(2, 50), st.decimals(min_value="0.001", max_value=1000, places=3))
def test_the_interval_scales_with_the_money(seed: int, factor: Decimal) -> None:
    clusters = sample(Random(seed), 40)
    one = estimate(clusters)
    other = estimate([Cluster(c.cost_usd * factor, c.successes) for c in clusters])
    assert float(other.high_usd) == pytest.approx(float(one.high_usd * factor), rel=1e-6)


def test_sessions_that_cost_nothing_cost_nothing_per_success() -> None:
    told = estimate([Cluster(Decimal(0), 1)] * 30)
    assert {told.usd, told.low_usd, told.high_usd} == {Decimal(0)}


@pytest.mark.parametrize(
    ("clusters", "why"),
    [
        ([], Reason.FEW_SESSIONS),
        ([Cluster(Decimal(1), 1)] * (MIN_SESSIONS - 1), Reason.FEW_SESSIONS),
        ([Cluster(Decimal(1), 0)] * 40, Reason.NO_SUCCESS),
        ([Cluster(Decimal(1), 0)] * 40 + [Cluster(Decimal(1), 9)], Reason.ONE_SESSION),
        ([Cluster(Decimal(0), 1)] * 40 + [Cluster(Decimal(1), 9)], Reason.ONE_SESSION),
    ],
)
def test_too_little_is_withheld(clusters: list[Cluster], why: Reason) -> None:
    assert reason(cost_per_success(clusters, ALL)) is why


@pytest.mark.parametrize(
    ("treated", "holdout", "why"),
    [
        ((19, 100), (100, 100), Reason.LOW_COVERAGE),
        ((100, 100), (19, 100), Reason.LOW_COVERAGE),
        ((20, 100), (25, 100), None),
        ((80, 100), (85, 100), None),
        ((80, 100), (86, 100), Reason.UNEVEN_COVERAGE),
        ((50, 100), (0, 0), None),
    ],
)
def test_coverage(treated: tuple[int, int], holdout: tuple[int, int], why: Reason | None) -> None:
    coverage = {"treated": Coverage(*treated), "holdout": Coverage(*holdout)}
    assert reason(coverage_problem(coverage)) is why
    assert reason(cost_per_success(sample(Random(3), 60), coverage)) is why


APART = "outcome known for treated 80.0%, holdout 90.0%; at most 5 points apart are comparable: "


@pytest.mark.parametrize(
    ("treated", "holdout", "detail"),
    [
        ((12, 100), (0, 0), "outcome known for 12.0% of treated; 20% needed: 8 more outcomes"),
        ((3999, 20001), (9, 10), "outcome known for 20.0% of treated; 20% needed: 2 more outcomes"),
        ((9, 10), (1, 7), "outcome known for 14.3% of holdout; 20% needed: 1 more outcome"),
        ((0, 40_000), (0, 0), "outcome known for 0.0% of treated; 20% needed: 8,000 more outcomes"),
        ((80, 100), (9, 10), APART + "5 more outcomes of treated"),
    ],
)
def test_what_is_missing_is_told_in_numbers(treated: tuple[int, int], holdout: tuple[int, int], detail: str) -> None:
    told = coverage_problem({"treated": Coverage(*treated), "holdout": Coverage(*holdout)})
    assert told is not None
    assert told.detail == detail


def test_sessions_that_are_missing_are_told_in_numbers() -> None:
    told = cost_per_success([Cluster(Decimal(1), 1)] * 12, ALL)
    assert isinstance(told, Withheld)
    assert told.detail == "12 sessions with a known outcome; 30 needed: 18 more sessions"


@given(st.integers(1, 3000), st.integers(0, 100), st.integers(1, 3000), st.integers(0, 100))
def test_what_is_said_to_be_missing_is_enough_and_one_less_is_not(
    requests: int, percent: int, others: int, others_percent: int
) -> None:
    """Outcomes are added as told until nothing is withheld; each step asks for something."""
    known = {
        "treated": Coverage(requests * percent // 100, requests),
        "holdout": Coverage(others * others_percent // 100, others),
    }
    for _ in range(6):
        told = coverage_problem(known)
        if told is None:
            return
        arm, more = asked_for(told)
        short = known[arm]
        assert 0 < more <= short.requests - short.known
        assert coverage_problem({**known, arm: Coverage(short.known + more - 1, short.requests)}) is not None
        known[arm] = Coverage(short.known + more, short.requests)
    raise AssertionError("never enough")


def asked_for(told: Withheld) -> tuple[str, int]:
    """(arm, how many more outcomes) as the detail says it."""
    low, uneven = r"of (?P<arm>\w+); .*: (?P<count>[\d,]+) more", r": (?P<count>[\d,]+) more outcomes? of (?P<arm>\w+)"
    found = re.search(low if told.reason is Reason.LOW_COVERAGE else uneven, told.detail)
    assert found
    return found["arm"], int(found["count"].replace(",", ""))
