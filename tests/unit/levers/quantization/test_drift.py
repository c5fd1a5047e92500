"""Perplexity and KL divergence, against what is known of them."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from fivelevers.levers.quantization.drift import Drift, drifted, findings
from fivelevers.levers.quantization.verdict import Verdict


def test_the_rise_is_the_ratio_of_perplexities() -> None:
    found = drifted([Drift(10, 20.0, 21.0, 0.1), Drift(30, 60.0, 60.5, 0.5)], 0.05)
    assert found is not None
    assert found.perplexity_rise.value == pytest.approx(exp(81.5 / 40) / exp(80 / 40) - 1)
    assert found.kl.value == pytest.approx(0.6 / 40)
    assert found.tokens == 40


def test_the_bounds_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    below = 0
    for _ in range(600):
        tokens = rng.integers(20, 200, 60)
        moved = tokens * 0.02 + rng.normal(0, 0.05, 60) * tokens  # one shift for all tokens of a text
        texts = [Drift(int(n), 2.0 * n, 2.0 * n + float(d), 0.0) for n, d in zip(tokens, moved, strict=True)]
        found = drifted(texts, 0.05)
        assert found is not None
        below += found.perplexity_rise.high < exp(0.02) - 1
    assert 0.02 < below / 600 < 0.09


def test_few_texts_and_broken_models_never_pass() -> None:
    few = drifted([Drift(10, 20.0, 20.0, 0.0)] * 5, 0.05)
    assert few is not None
    assert {one.verdict for one in findings(few, 0.05, 0.1)} == {Verdict.INCONCLUSIVE}
    broken = drifted([Drift(10, 20.0, float("inf"), float("inf"))] * 50, 0.05)
    assert broken is not None
    assert {one.verdict for one in findings(broken, 0.05, 0.1)} == {Verdict.FAIL}
    assert drifted([Drift(0, 0.0, 0.0, 0.0)], 0.05) is None
