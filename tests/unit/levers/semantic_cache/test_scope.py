"""Two requests share a scope when nothing but their last user text differs."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.scope import Scope, question_id

SECRET = b"secret"
PAIRS = 10_000

texts = st.text(max_size=12)
scopes = st.builds(
    Scope,
    route=texts,
    tenant=texts,
    model=texts,
    embedder=texts,
    epochs=st.dictionaries(texts, st.integers(0, 3), max_size=3),
    rest=st.binary(max_size=12),
)


@given(scopes, scopes)
def test_two_scopes_have_one_id_only_when_they_are_equal(one: Scope, other: Scope) -> None:
    assert (one.id(SECRET) == other.id(SECRET)) == (one == other)


def test_ten_thousand_pairs_that_differ_in_one_part_never_meet() -> None:
    rng = random.Random(5)
    words = ["a", "b", "ab", "", "1:a", "team:a", "a;b=1"]
    crossings = 0
    for _ in range(PAIRS):
        route, tenant, model, embedder = rng.choices(words, k=4)
        one = Scope(route, tenant, model, embedder, {"route:a": rng.randrange(3)}, rng.randbytes(16))
        part = rng.choice(["route", "tenant", "model", "embedder", "epochs", "rest"])
        change: Any = {"route:a": 7} if part == "epochs" else b"x" if part == "rest" else "other"
        other = replace(one, **{part: change})
        crossings += one.id(SECRET) == other.id(SECRET)
    assert crossings == 0


def test_ids_are_keyed() -> None:
    scope = Scope("r", "t", "m", "e", {}, b"x")
    assert scope.id(b"one") != scope.id(b"two")
    assert question_id(b"one", "hello") != question_id(b"two", "hello")
    assert question_id(b"one", "hello") != question_id(b"one", "hello ")
