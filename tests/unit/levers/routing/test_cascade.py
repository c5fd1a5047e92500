"""An answer that cuts off, reckons wrongly or doubts is trusted less."""

from __future__ import annotations

import time
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.routing.answer_features import ANSWER_SURFACE, answer_features
from fivelevers.levers.routing.cascade import affordable
from fivelevers.levers.routing.chances import Chances, chances_in, chances_of
from fivelevers.levers.routing.features import SURFACE, features_of
from fivelevers.levers.routing.fit import fit
from fivelevers.levers.routing.scorer import cascaded, looked_at
from tests.unit.levers.routing.made_up import examples


def surface(answer: str, prompt: str = "How many are 12 and 30?", **more: object) -> dict[str, float]:
    found = answer_features(prompt, answer, **more)  # type: ignore[arg-type]
    return dict(zip(ANSWER_SURFACE, found.surface, strict=True))


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("12 + 30 = 42", 0),
        ("12 + 30 = 41.", 1),
        ("2 + 3 * 4 = 14", 0),
        ("2 + 3 * 4 = 20", 1),
        ("$1,200 x 3 = $3,600", 0),
        ("60% * 50 = 30", 0),
        ("10 / 3 = 3.33", 0),
        ("10 - 2 - 3 = 5; 8 / 2 / 2 = 2", 0),
        ("5 / 0 = 0", 0),  # no sum: nobody can say
    ],
)
def test_sums_are_checked(answer: str, wrong: int) -> None:
    assert surface(answer)["wrong_sums"] == wrong
    assert surface(answer)["sums"] > 0


def test_how_it_ends_and_what_it_takes_up() -> None:
    assert surface("The sum is 42.")["cut"] == 0
    assert surface("First we add 12 and the")["cut"] == 1
    assert surface("The sum is 42.", cut=True)["cut"] == 1
    assert surface("12 and 30 make 42")["numbers_of_prompt"] == 1
    assert surface("It can't be known.")["doubt"] == 1


def test_chances_of_its_tokens() -> None:
    found = surface("42", chances=chances_of([log(0.5), log(0.5), log(0.125)]))
    assert found["mean_chance"] == pytest.approx((0.5 * 0.5 * 0.125) ** (1 / 3))
    assert found["least_chance"] == pytest.approx(0.125)
    assert found["no_chances"] == 0
    assert surface("42")["no_chances"] == 1


def test_a_choice_tells_how_sure_its_tokens_were() -> None:
    tokens = [{"token": "4", "logprob": log(0.5)}, {"token": "2", "logprob": log(0.125)}]
    assert chances_in({"logprobs": {"content": tokens}}) == pytest.approx(Chances(0.25, 0.125))
    assert chances_in({"logprobs": {"content": [{"token": "4", "logprob": -float("inf")}]}}) == pytest.approx((0, 0))
    silent: tuple[object, ...] = (None, {}, {"content": None}, {"content": []}, {"content": [{"token": "4"}]})
    assert [chances_in({"logprobs": one}) for one in silent] == [None] * len(silent)
    assert chances_in(None) is None


@given(st.text(max_size=500), st.text(alphabet="0123456789+-*/x=.,$% ", max_size=500))
def test_any_answer_is_read(prompt: str, answer: str) -> None:
    assert np.isfinite(answer_features(prompt, answer).surface).all()


@pytest.mark.parametrize("text", ["1", "1+", "1,", "1.", "1 + ", "1% + ", "$1 x "])
def test_no_answer_takes_long(text: str) -> None:
    before = time.process_time()
    answer_features("", text * 20_000)
    assert time.process_time() - before < 2


def test_a_cascade_pays_the_cheap_answer_in_any_case() -> None:
    pair = examples(300, seed=1)
    rng = np.random.default_rng(2)
    answers = ["It is done." if right or rng.random() < 0.2 else "I am sorry" for right in pair.success[:, 0]]
    looks = [looked_at(one, "", answer) for one, answer in zip(pair.features, answers, strict=True)]
    made = cascaded(pair, looks, verify_usd=0.001)
    assert made.cost_usd[:, 0] == pytest.approx(pair.cost_usd[:, 0] + 0.001)
    assert made.cost_usd[:, 1] == pytest.approx(pair.cost_usd.sum(axis=1) + 0.001)
    assert len(looks[0].surface) == len(SURFACE) + len(ANSWER_SURFACE)
    model = fit(made)
    sure, sorry = (
        model.success(looked_at(features_of("court"), "", text), "law") for text in ("It is done.", "I am sorry")
    )
    assert sure is not None
    assert sorry is not None
    assert sure[0] > sorry[0] + 0.2


def test_a_cascade_is_affordable_only_where_the_first_answer_is_cheap() -> None:
    assert affordable(0.08, 0.01, 1.0)
    assert not affordable(0.08, 0.05, 1.0)
    assert not affordable(0.25, 0.0, 1.0)
