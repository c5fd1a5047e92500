"""How similar questions are to those before them."""

import pytest

from fivelevers.audit.answer_lines import NEAR, AnswerLine


def test_the_curve_falls_and_its_bounds_hold_it() -> None:
    line = AnswerLine("r", "m", looked_at=10)
    for similarity in (0.5, 0.81, 0.905, 0.99, 1.0):
        line.near(similarity)
    curve = line.curve()
    assert [at for at, *_ in curve] == list(NEAR)
    shares = {at: share for at, share, *_ in curve}
    assert shares[0.80] == pytest.approx(0.4)
    assert shares[0.90] == pytest.approx(0.3)
    assert shares[0.99] == pytest.approx(0.2)
    assert all(low <= share <= high for _, share, low, high in curve)


def test_without_questions_there_is_no_curve() -> None:
    assert AnswerLine("r", "m").curve() == []
