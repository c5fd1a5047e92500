"""The benchmark's sums, made for whole arrays at once, are those that the guard makes session by session."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from benchmarks.rig.guard_sessions import Traffic, draw, synthetic
from fivelevers.metering.guard import SETTING, Session, add_up, caps


@pytest.mark.parametrize("first", [SETTING, 900])
def test_sums_of_a_draw(first: int) -> None:
    rng = np.random.default_rng(3)
    seen = draw(rng, synthetic(3, sessions=2000), Traffic(0.3, rise=0.2, loss=0.1), 6000)
    columns = (seen.usd, seen.outcomes, seen.successes, seen.size, seen.treated)
    rows = list(zip(*(column[:first].tolist() for column in columns), strict=True))
    sessions = [(Session(usd, 0.0, known, right, size), arm) for usd, known, right, size, arm in rows]
    most = caps([one for one, _ in sessions[:SETTING]])
    for made, arm in zip(seen.sums(np.array([first])), (True, False), strict=True):
        told = add_up([one for one, treated in sessions if treated is arm], most)
        assert astuple(made[0]) == pytest.approx(astuple(told))
