"""The made-up entries of the look-up benchmark are what its figures are stated for."""

from __future__ import annotations

import numpy as np

from benchmarks.rig.lookups import ANSWER_BYTES, DIMENSION, made, scope_names
from fivelevers.stores.answer_keys import bucket_of


def test_every_query_has_its_own_question_near_and_no_other() -> None:
    entries = made(200, scope_names(10, seed=1), seed=1)
    assert entries.vectors.shape == (200, DIMENSION)
    cosines = entries.queries @ entries.vectors.T
    assert np.diagonal(cosines).min() > 0.9  # what RedisVL and LiteLLM are set to take for a hit
    assert (cosines - np.eye(200)).max() < 0.5
    assert {len(answer) for answer in entries.answers} == {ANSWER_BYTES}


def test_scopes_are_taken_in_turn_and_can_be_of_one_bucket() -> None:
    scopes = scope_names(10, seed=1)
    assert len(set(scopes)) == 10
    assert [made(25, scopes, seed=1).scopes.count(scope) for scope in scopes] == [3] * 5 + [2] * 5
    assert {bucket_of(scope) for scope in scope_names(20, seed=2, bucket="{g3}")} == {"{g3}"}
