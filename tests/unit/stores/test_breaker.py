"""A store that fails in a row is left alone for a while, and only then."""

from __future__ import annotations

import pytest

from fivelevers.stores.breaker import Breaker


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("fivelevers.stores.breaker.time.monotonic", lambda: now[0])
    return now


def test_it_opens_after_failures_in_a_row_and_closes_by_itself(clock: list[float]) -> None:
    tried = Breaker(failures=2, rest_s=1.0)
    tried.failed()
    assert not tried.open
    tried.failed()
    assert tried.open
    clock[0] += 1.0
    assert not tried.open
    tried.failed()
    assert not tried.open  # it counts from the beginning


def test_an_answer_between_failures_keeps_it_closed(clock: list[float]) -> None:
    tried = Breaker(failures=2)
    for _ in range(5):
        tried.failed()
        tried.worked()
    assert not tried.open
