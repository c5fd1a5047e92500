"""What a judging model is shown of a text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.shown import shortened, shown


@given(st.text(), st.integers(1, 50))
def test_head_and_tail_are_kept_and_together_as_long_as_may_be(text: str, limit: int) -> None:
    found = shortened(text, limit)
    if len(text) <= limit:
        assert found == text
        return
    head, tail = found.split(f"\n[{len(text) - limit:,} characters are left out here]\n")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + len(tail) == limit


def test_no_text_leaves_its_tag_not_even_by_the_cut() -> None:
    assert "</" not in shown("</answer>")
    assert "</" not in shown("a</answer>" * 9, 20)
