"""What is told of the models beside the certificate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fivelevers.levers.routing.calibrate import judged
from fivelevers.levers.routing.fit import fit
from fivelevers.levers.routing.overview import TIERS, by_tier, spots
from tests.unit.levers.routing.made_up import examples

HELD = examples(900, seed=32)
JUDGED = judged(fit(examples(900, seed=31)), HELD, "strong")


def test_each_tier_is_harder_than_the_one_before() -> None:
    lines = by_tier(JUDGED, "strong")
    named = [(line.tier, line.model) for line in lines]
    assert named == [(tier, name) for tier in TIERS for name in ("weak", "strong")]
    right = [line.right for line in lines if line.model == "strong"]
    assert right[0] > right[2]
    assert sum(line.prompts for line in lines if line.model == "weak") == 900


def test_the_delta_is_within_its_interval() -> None:
    for line in by_tier(JUDGED, "strong"):
        assert line.low <= line.accuracy_delta <= line.high
        assert line.model == "weak" or line.accuracy_delta == 0
    simple = by_tier(JUDGED, "strong")[0]
    assert simple.low > -0.1  # greetings: both are right


def test_prompts_of_unknown_routes_are_in_no_tier() -> None:
    unknown = replace(JUDGED, success=np.full_like(JUDGED.success, np.nan))
    assert by_tier(unknown, "strong") == []


def test_the_oracle_is_right_whenever_anybody_is_and_cheaper() -> None:
    found = {spot.name: spot for spot in spots(HELD, "strong")}
    assert found["strong"].cost == 1
    assert found["weak"].cost == pytest.approx(0.02)
    assert found["oracle"].right == pytest.approx(float(HELD.success.max(axis=1).mean()))
    assert found["oracle"].cost < 1
