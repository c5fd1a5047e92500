"""Hazards are right-censored, add up in any order, stay bounded, and find the truth."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.classes import LEVELS, inner_class, role_of, shared_class, tip_class
from fivelevers.levers.prompt_cache.node import Role
from fivelevers.levers.prompt_cache.reuse import EDGES_S, Hazards, entered, expired, gaps_of, resolved, trusted

TIP = tip_class(Role.TIP, 3, 30.0, 500)
START = 604_800.0 * 2800
GAPS = st.none() | st.floats(0.0, 1e6)


def fed(visits: list[tuple[float, float | None]], class_id: int = TIP) -> dict[str, float]:
    """Counts of visits: when, and after how long the prefix was seen again, None for never."""
    counts: dict[str, float] = {}
    for at, gap_s in visits:
        fields = entered(class_id, at) + ([] if gap_s is None else resolved(class_id, at, at + gap_s))
        for field in fields:
            counts[field] = counts.get(field, 0.0) + 1.0
    return counts


@given(st.lists(st.tuples(st.floats(START, START + 4e5), GAPS), max_size=50), st.floats(0, 1e6))
def test_a_curve_is_a_distribution(visits: list[tuple[float, float | None]], later_s: float) -> None:
    curve = Hazards(fed(visits)).curve(TIP, START + later_s)
    assert len(curve) == len(EDGES_S)
    assert list(curve) == sorted(curve)
    assert 0.0 <= curve[0] <= curve[-1] <= 1.0


@given(st.lists(st.tuples(st.floats(START, START + 4e5), GAPS), max_size=30), st.randoms(use_true_random=False))
def test_increments_of_replicas_add_up_in_any_order(
    visits: list[tuple[float, float | None]], rng: random.Random
) -> None:
    one, other = Hazards(), Hazards(fed(visits))
    for visit in rng.sample(visits, len(visits)):
        one.add(fed([visit]))
    assert one.counts == pytest.approx(other.counts)
    assert one.curve(TIP, START + 5e5) == pytest.approx(Hazards(one.counts).curve(TIP, START + 5e5))


def test_visits_too_young_to_judge_are_no_failures() -> None:
    prior = Hazards().curve(TIP, START)
    assert Hazards(fed([(START, None)] * 100)).curve(TIP, START + 30) == prior
    assert Hazards(fed([(START, None)] * 100)).curve(TIP, START + 500)[1] < 0.05


def test_early_returns_count_no_sooner_than_silence() -> None:
    visits = [(START + second / 10, 5.0 if second % 5 == 0 else None) for second in range(600)]
    counts = fed(visits)
    assert Hazards(counts).curve(TIP, START + 61)[0] == Hazards().curve(TIP, START)[0]
    assert Hazards(counts).curve(TIP, START + 130)[0] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("per_hour", [2.0, 12.0, 120.0])
def test_the_estimate_finds_the_truth(per_hour: float) -> None:
    rng = random.Random(7)
    visits = [(START + rng.uniform(0, 80_000), rng.expovariate(per_hour / 3600)) for _ in range(3000)]
    curve = Hazards(fed([(at, gap_s if at + gap_s < START + 80_000 else None) for at, gap_s in visits]))
    for edge, found in zip(EDGES_S, curve.curve(TIP, START + 80_000), strict=True):
        assert found == pytest.approx(1 - 2.718281828 ** (-per_hour * edge / 3600), abs=0.04)


def test_a_class_with_few_visits_leans_on_the_coarser_one() -> None:
    known = tip_class(Role.TIP, 1, 30.0, 500)
    hazards = Hazards(fed([(START, None)] * 500, known))
    assert hazards.curve(TIP, START + 7200)[-1] < 0.05
    assert hazards.curve(shared_class(Role.BRANCH, 1, None, 500), START + 7200)[-1] > 0.5


def test_the_mapping_stays_bounded() -> None:
    hazards = Hazards()
    for minute in range(60 * 24 * 21):
        if minute % 7 == 0:
            hazards.add(fed([(START + 60.0 * minute, 20.0)]))
            hazards.curve(TIP, START + 60.0 * minute)
    assert len(hazards.counts) < 60
    now = START + 60.0 * 60 * 24 * 21
    assert not [field for field in fed([(now, 1.0)]) if field in expired(fed([(now, 1.0)]), now)]
    old = fed([(now - 7200.0, 1.0)])
    assert sorted(field[0] for field in expired(old, now)) == ["m", "m", "t", "t"]
    assert expired(["nonsense", "x1.2.n"], now) == ["nonsense", "x1.2.n"]


def test_odd_fields_of_a_store_are_left_out() -> None:
    assert Hazards({"": 1.0, "m1": 1.0, "m1.2.x": 1.0, "m1.2.9": 1.0, "ma.2.n": 1.0}).counts == {}


def test_trust_falls_with_reads_that_did_not_happen() -> None:
    hazards = Hazards()
    assert hazards.kept(300, START) == 1.0
    hazards.add(dict.fromkeys(trusted(300, START, kept=False), 50.0))
    assert hazards.kept(300, START + 120) == pytest.approx(0.5)
    assert hazards.kept(3600, START + 120) == 1.0


@given(st.sampled_from(Role), st.integers(0, 1000), GAPS, st.integers(0, 10**7))
def test_a_class_number_keeps_its_role_and_fits_two_bytes(
    role: Role, count: int, gap_s: float | None, size: int
) -> None:
    found = {tip_class(role, count, gap_s, size), shared_class(role, count, gap_s, size)}
    assert {role_of(class_id) for class_id in found} == {role}
    assert role_of(inner_class(count, gap_s)) is Role.INNER
    assert all(0 < class_id < 1 << 16 for class_id in found)
    assert LEVELS[-1] == 0


def test_gaps_count_visits_and_what_followed_them_of_all_classes() -> None:
    counts: dict[str, float] = {}
    for class_id, gap_s in ((inner_class(1, None), 30), (inner_class(2, 60), 200), (inner_class(3, None), 5000)):
        for field in (*entered(class_id, 1000.0), *resolved(class_id, 1000.0, 1000.0 + gap_s)):
            counts[field] = counts.get(field, 0.0) + 1
    for field in trusted(300, 1000.0, kept=False):
        counts[field] = 1.0
    gaps = gaps_of(counts)
    assert (gaps.visits, gaps.again[:2], sum(gaps.again)) == (3, (1, 1), 2)
