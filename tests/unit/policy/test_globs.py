"""Whether one glob takes all that another takes, checked against the globs themselves."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fivelevers.policy.globs import compiled, covers, escapee

pieces = st.sampled_from(["*", "?", "a", "b", "[ab]", "[!a]", "[a-c]", "[", "]", "[]", "[!]", "-", "x.y", "é"])
patterns = st.lists(pieces, max_size=5).map("".join)


@given(patterns, patterns, st.text(alphabet="abcdxy.[]-!é", max_size=6))
@example("[]", "[]", "[]")
@example("a[", "a[", "a[")
def test_what_the_narrow_one_matches_the_wide_one_does(wide: str, narrow: str, text: str) -> None:
    found = escapee(wide, narrow)
    if found is None:
        assert not fnmatchcase(text, narrow) or fnmatchcase(text, wide)
    else:
        assert compiled(narrow).match(found)
        assert not compiled(wide).match(found)


@pytest.mark.parametrize(
    ("wide", "narrow", "answer"),
    [
        ("*", "anything*", True),
        ("support-*", "support-eu-*", True),
        ("support-*", "support*", False),
        ("*-eu", "support-*-eu", True),
        ("a*b*c", "a*bb*c", True),
        ("a?", "a[xyz]", True),
        ("a[x-z]", "a?", False),
        ("[!0-9]*", "a*", True),
        ("[ad]", "[a-d]", False),
        ("x", "x", True),
        ("x", "y", False),
        ("?*", "*", False),
    ],
)
def test_globs_that_people_write(wide: str, narrow: str, answer: bool) -> None:
    assert covers(wide, narrow) is answer


def test_what_takes_too_long_to_tell_is_not_claimed() -> None:
    assert covers("*a" + "?" * 24, "*") is False
    assert not covers("*a" + "?" * 24 + "*", "*b" + "[ab]" * 24)
