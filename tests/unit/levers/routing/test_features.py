"""What is read off a prompt is bounded, the same everywhere, and never fails."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.routing.features import BUCKETS, SURFACE, features_of


@given(st.text(max_size=3000))
def test_any_text_is_read(text: str) -> None:
    found = features_of(text)
    assert len(found.surface) == len(SURFACE)
    assert np.isfinite(found.surface).all()
    assert found.words.size == np.unique(found.words).size <= 2 * 256
    assert not found.words.size or 0 <= found.words[0] <= found.words[-1] < BUCKETS


def test_the_buckets_stay_what_artifacts_were_fitted_to() -> None:
    assert features_of("Is 17 a prime number?").words.tolist() == [
        688,
        2623,
        3506,
        3927,
        4237,
        8020,
        8855,
        10336,
        13053,
        13708,
        15939,
    ]


def test_case_and_the_value_of_a_number_do_not_matter_but_order_does() -> None:
    first = features_of("Add 17 and 25 now").words
    assert first.tolist() == features_of("add 99 AND 10 now").words.tolist()
    assert first.tolist() != features_of("now add 17 and 25").words.tolist()


def test_of_a_long_prompt_beginning_and_end_are_read() -> None:
    middle = "lorem " * 5000
    plain = features_of(middle).words
    for text in (f"first words {middle}", f"{middle} last words"):
        assert features_of(text).words.tolist() != plain.tolist()
    assert features_of(f"{middle} hidden words {middle}").words.tolist() == plain.tolist()


def test_the_surface_counts() -> None:
    surface = dict(zip(SURFACE, features_of("Which is NOT 3 + 4?\nA, b").surface, strict=True))
    assert (surface["numbers"], surface["operators"], surface["questions"]) == (2 / 10, 1 / 10, 1 / 10)
    assert (surface["capitals"], surface["lines"], surface["commas"]) == (3 / 10, 1 / 10, 1 / 10)
    assert (surface["excepting"], surface["foreign"], surface["blanks"]) == (1.0, 0.0, 0.0)
