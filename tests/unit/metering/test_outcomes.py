import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.outcomes import Observation, Outcome, Source, resolve

observations = st.lists(
    st.builds(Observation, st.sampled_from(Source), st.sampled_from(Outcome), st.integers(0, 3).map(float))
)


def test_silence_is_unknown() -> None:
    assert resolve([]) is Outcome.UNKNOWN
    assert resolve([Observation(Source.EXPLICIT, Outcome.UNKNOWN, 1.0)]) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("strong", "weak"), [(s, w) for s in Source for w in Source if list(Source).index(s) < list(Source).index(w)]
)
def test_the_stronger_source_decides_however_late_the_weaker_speaks(strong: Source, weak: Source) -> None:
    said = [Observation(strong, Outcome.SUCCESS, 1.0), Observation(weak, Outcome.FAILURE, 9.0)]
    assert resolve(said) is Outcome.SUCCESS


def test_the_order_of_strength() -> None:
    assert list(Source) == ["explicit", "validator", "provider", "repeat"]


def test_the_latest_word_of_one_source_counts() -> None:
    said = [Observation(Source.EXPLICIT, Outcome.SUCCESS, 2.0), Observation(Source.EXPLICIT, Outcome.FAILURE, 1.0)]
    assert resolve(said) is Outcome.SUCCESS


def test_success_and_failure_at_once_is_failure() -> None:
    said = [Observation(Source.VALIDATOR, outcome, 1.0) for outcome in (Outcome.FAILURE, Outcome.SUCCESS)]
    assert resolve(said) is resolve(reversed(said)) is Outcome.FAILURE


def test_one_that_does_not_know_leaves_it_to_the_next() -> None:
    said = [Observation(Source.EXPLICIT, Outcome.UNKNOWN, 5.0), Observation(Source.REPEAT, Outcome.FAILURE, 1.0)]
    assert resolve(said) is Outcome.FAILURE


@given(observations, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(said: list[Observation], chance: random.Random) -> None:
    before = resolve(said)
    chance.shuffle(said)
    assert resolve(said) is before
