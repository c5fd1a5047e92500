"""Guards: look-alikes are told apart, rewordings are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.guards import Guard, refusals
from fivelevers.levers.semantic_cache.signature import NEUTRAL, signature_of

ALL = frozenset(Guard)

LOOK_ALIKES = [
    (Guard.NUMBERS, "Can I take two tablets?", "Can I take 12 tablets?"),
    (Guard.NUMBERS, "Is a 3 month notice enough?", "Is a 3 week notice enough?"),
    (Guard.NUMBERS, "Do you ship orders of $20?", "Do you ship orders?"),
    (Guard.NUMBERS, "Can I get a B1 visa?", "Can I get a B2 visa?"),
    (Guard.DATES, "Is the museum open on Tuesday?", "Is the museum open on Thursday?"),
    (Guard.DATES, "What was my bill last month?", "What is my bill next month?"),
    (Guard.NEGATION, "Can I share my password?", "Why can't I share my password?"),
    (Guard.NEGATION, "Are drones allowed in the park?", "Are drones forbidden in the park?"),
    (Guard.NEGATION, "How do I turn on dark mode?", "How do I turn dark mode off?"),
    (Guard.NEGATION, "How do I sign in?", "How do I sign out?"),
    (Guard.NEGATION, "How do I subscribe?", "How do I unsubscribe?"),
    (Guard.NEGATION, "Is the deposit refundable?", "Is the deposit non-refundable?"),
    (Guard.NEGATION, "Do prices rise after Easter?", "Do prices rise before Easter?"),
    (Guard.NEGATION, "Does coffee increase blood pressure?", "Does coffee reduce blood pressure?"),
    (Guard.NEGATION, "Pizza with onions", "Pizza without onions"),
    (Guard.ENTITIES, "What is the population of Peru?", "What is the population of Chile?"),
    (Guard.ENTITIES, "Trains from Lyon to Paris", "Trains from Paris to Lyon"),
    (Guard.ENTITIES, "convert euros to yen", "convert yen to euros"),
]

REWORDINGS = [
    ("How do I cancel my plan?", "how can i cancel my plan"),
    ("Is there a discount of fifteen percent?", "Is there a 15% discount?"),
    ("Can I return it within two weeks?", "Can I return it within 14 days?"),
    ("When do you open on Monday?", "On Monday, when do you open?"),
    ("HOW DO I PAY WITH APPLE PAY?", "How do I pay with Apple Pay?"),
    ("Why doesn't my card work?", "Why does my card not work?"),
    ("Do trains run from Lyon to Paris?", "From Lyon to Paris, do trains run?"),
    ("Which one should I take first?", "Which should I take first?"),
]

NUMBERS_ALONE = frozenset({Guard.NUMBERS})


@pytest.mark.parametrize(("guard", "one", "other"), LOOK_ALIKES)
def test_look_alikes_are_refused_both_ways(guard: Guard, one: str, other: str) -> None:
    a, b = signature_of(one), signature_of(other)
    assert guard in refusals(a, b, ALL)
    assert guard in refusals(b, a, ALL)


@pytest.mark.parametrize(("one", "other"), REWORDINGS)
def test_rewordings_pass(one: str, other: str) -> None:
    assert refusals(signature_of(one), signature_of(other), ALL) == ()


@given(st.text(max_size=200))
def test_a_question_passes_beside_itself(text: str) -> None:
    assert refusals(signature_of(text), signature_of(text), ALL) == ()


@given(st.text(max_size=100), st.text(max_size=100))
def test_guards_do_not_care_who_asks(one: str, other: str) -> None:
    a, b = signature_of(one), signature_of(other)
    assert refusals(a, b, ALL) == refusals(b, a, ALL)


def test_only_those_that_are_on_refuse() -> None:
    a, b = signature_of("Are you open on Monday?"), signature_of("Are you closed on 2 Sundays?")
    assert refusals(a, b, frozenset()) == ()
    assert refusals(a, b, NUMBERS_ALONE) == (Guard.NUMBERS,)


def test_what_can_not_be_compared_is_refused() -> None:
    assert refusals(NEUTRAL, signature_of("hello"), NUMBERS_ALONE) == (Guard.NUMBERS,)
    assert refusals(NEUTRAL, signature_of("hello"), frozenset()) == ()
