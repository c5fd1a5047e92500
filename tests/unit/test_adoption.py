"""A route takes one step at a time, in the order of the levers, and never one before its turn."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.adoption import Basis, Known, next_step, refusal
from fivelevers.order import LEVER_NAMES, LEVERS, Mode

PAYS = (Decimal(10), Decimal(20))
LOSES = (Decimal(-5), Decimal(0))

states = st.tuples(
    *(
        st.builds(
            Known,
            st.just(name),
            st.sampled_from(Mode),
            st.sampled_from([5.0, 10.0, 50.0, 100.0]),
            st.sampled_from([None, PAYS, LOSES]),
            st.just(Basis.PROJECTED),
            lacks=st.sampled_from(["", "200 requests more"]),
            cannot=st.sampled_from(["", "managed APIs alone serve it"]),
            retreated=st.sampled_from([None, None, "cost per success rose"]),
        )
        for name in LEVER_NAMES
    )
)


def all_settled(*others: Known) -> tuple[Known, ...]:
    """On everywhere, but for the given ones."""
    by_name = {one.lever: one for one in others}
    return tuple(by_name.get(name, Known(name, Mode.ON)) for name in LEVER_NAMES)


@given(states)
def test_the_step_is_that_of_the_first_lever_that_is_not_settled(known: tuple[Known, ...]) -> None:
    step = next_step(known)
    waiting = [one for one in known if not one.settled]
    assert (step is None) == (not waiting)
    if step is not None:
        assert step.lever == waiting[0].lever


@given(states)
def test_no_lever_is_recommended_before_those_it_depends_on_are_settled(known: tuple[Known, ...]) -> None:
    step = next_step(known)
    settled = {one.lever for one in known if one.settled}
    if step is not None:
        depends = next(lever.depends_on for lever in LEVERS if lever.name == step.lever)
        assert settled.issuperset(depends)


@given(states)
def test_whoever_is_refused_is_off_or_watched_and_is_told_why(known: tuple[Known, ...]) -> None:
    later, why = refusal(known)
    step = next_step(known)
    assert bool(later) == bool(why)
    assert step is None or step.lever not in later
    assert all(one.mode in (Mode.OFF, Mode.SHADOW) for one in known if one.lever in later)


@given(states)
def test_steps_that_come_true_end(known: tuple[Known, ...]) -> None:
    """Where nothing more is lacking each change is one towards the end: a route does not go round in circles."""
    now = {one.lever: Known(one.lever, one.mode, one.percent, one.saving) for one in known}
    for _ in range(5 * 6):
        step = next_step(tuple(now.values()))
        if step is None:
            return
        old = now[step.lever]
        mode, percent = step.change.get("mode", old.mode), step.change.get("percent", old.percent)
        assert isinstance(mode, Mode)
        now[step.lever] = Known(step.lever, mode, float(percent), old.saving)
    raise AssertionError(now)


@pytest.mark.parametrize(
    ("known", "change", "said"),
    [
        (Known("semantic_cache", Mode.OFF, saving=PAYS), {"mode": Mode.SHADOW}, "shadow"),
        (Known("semantic_cache", Mode.OFF, saving=LOSES), {"mode": Mode.DOES_NOT_PAY}, "does not pay"),
        (Known("semantic_cache", Mode.SHADOW, lacks="a calibration"), {}, "a calibration"),
        (Known("semantic_cache", Mode.SHADOW), {"mode": Mode.ON, "percent": 10.0}, "10 %"),
        (Known("batch", Mode.SHADOW), {"mode": Mode.ON, "percent": 100.0}, "100 %"),
        (Known("routing", Mode.ON, 10.0), {"percent": 50.0}, "50 %"),
        (Known("routing", Mode.ON, 60.0), {"percent": 100.0}, "100 %"),
        (Known("routing", Mode.ON, 10.0, lacks="20 hours more"), {}, "20 hours more"),
        (Known("routing", Mode.ON, retreated="success fell"), {"mode": Mode.DOES_NOT_PAY}, "success fell"),
        (Known("quantization", Mode.OFF, cannot="managed APIs"), {"mode": Mode.NOT_APPLICABLE}, "managed APIs"),
    ],
)
def test_what_is_to_be_done(known: Known, change: dict[str, object], said: str) -> None:
    step = next_step(all_settled(known))
    assert step is not None
    assert step.change == change
    assert said in step.what


def test_routing_is_refused_before_caching_is_measured() -> None:
    known = (Known("prompt_cache", Mode.OFF), *(Known(name, Mode.OFF) for name in LEVER_NAMES[1:]))
    later, why = refusal(known)
    assert later == LEVER_NAMES[1:]
    assert "reuse of each prefix" in why


def test_where_all_is_settled_nothing_is_left_to_do() -> None:
    assert next_step(all_settled()) is None
    assert refusal(all_settled()) == ((), "")
