"""The decision: hard settings hold whatever the score says, the score decides above them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.guards import Guard
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.prior import PRIOR
from fivelevers.levers.semantic_cache.score import FEATURES, features_of, probability, standings
from fivelevers.levers.semantic_cache.serve import Reason, Rule, Settings, decide
from fivelevers.levers.semantic_cache.signature import NEUTRAL, signature_of

ASKED = signature_of("How much is the Pro plan?")
EAGER = Rule(serve_at=0.0, judge_at=0.0)
OPEN = Settings(min_similarity=0.0, min_margin=-1.0, min_support=0, guards=frozenset())


def near(answer: str, similarity: float, text: str = "How much is the Pro plan") -> Neighbour:
    return Neighbour(f"{answer}-{similarity}", answer, similarity, signature_of(text))


def test_nothing_stored_is_nothing_to_serve() -> None:
    decision = decide(ASKED, [], OPEN, EAGER)
    assert (decision.served, decision.reason, decision.candidates) == (False, Reason.EMPTY, ())


def test_what_is_served_tells_why() -> None:
    around = [near("a", 0.95), near("b", 0.9), near("a", 0.85)]
    decision = decide(ASKED, around, OPEN, EAGER)
    assert decision.served
    assert (decision.answer, decision.question, decision.similarity) == ("a", "a-0.95", 0.95)
    assert decision.margin == pytest.approx(0.05)
    assert decision.support == 2


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (replace(OPEN, min_similarity=0.96), Reason.SIMILARITY),
        (replace(OPEN, min_margin=0.06), Reason.MARGIN),
        (replace(OPEN, min_support=3), Reason.SUPPORT),
        (OPEN, Reason.SERVED),
    ],
)
def test_settings_hold_above_every_score(settings: Settings, reason: Reason) -> None:
    around = [near("a", 0.95), near("b", 0.9), near("a", 0.85)]
    assert decide(ASKED, around, settings, EAGER).reason is reason


def test_a_guard_that_is_on_refuses_and_is_named() -> None:
    around = [near("a", 0.99, "How much are 2 Pro plans?")]
    decision = decide(ASKED, around, replace(OPEN, guards=frozenset({Guard.NUMBERS})), EAGER)
    assert (decision.reason, decision.refused_by, decision.why) == (Reason.GUARD, (Guard.NUMBERS,), "numbers")
    assert decide(ASKED, around, OPEN, EAGER).served


def test_below_the_threshold_it_is_a_candidate_for_the_judge() -> None:
    around = [near("a", 0.9), near("b", 0.7, "What else is there?")]
    score = decide(ASKED, around, OPEN, EAGER).score
    above = decide(ASKED, around, OPEN, Rule(serve_at=score + 1e-9, judge_at=score))
    assert (above.served, above.reason, above.candidates) == (False, Reason.SCORE, ("a",))
    assert decide(ASKED, around, OPEN, Rule(serve_at=score, judge_at=score)).served


def test_agreement_raises_the_score_and_a_near_rival_lowers_it() -> None:
    far = near("b", 0.5)
    one = decide(ASKED, [near("a", 0.85), far], OPEN, EAGER).score
    agreed = decide(ASKED, [near("a", 0.85), near("a", 0.84), near("a", 0.83), far], OPEN, EAGER).score
    contested = decide(ASKED, [near("a", 0.85), near("b", 0.84), near("a", 0.83), far], OPEN, EAGER).score
    assert contested < one < agreed


def test_a_rivals_word_in_the_place_of_this_answers_own_lowers_the_score() -> None:
    around = [near("a", 0.95, "refund of a monthly plan"), near("b", 0.9, "refund of an annual plan")]
    scores = [decide(signature_of(text), around, OPEN, EAGER).score for text in ("annual plan refund", "plan refund")]
    assert scores[0] < scores[1]
    contrast = features_of(signature_of("annual plan refund"), standings(around)[0], around)[FEATURES.index("contrast")]
    assert contrast == 1.0


def test_a_neutral_signature_can_still_be_scored() -> None:
    assert 0 < decide(NEUTRAL, [replace(near("a", 0.9), signature=NEUTRAL)], OPEN, EAGER).score < 1


_SIMILARITIES = st.lists(st.floats(0, 1), min_size=1, max_size=16)


@given(_SIMILARITIES, st.randoms(use_true_random=False))
def test_any_neighbourhood_gives_a_score_and_features_for_every_weight(
    similarities: list[float], draws: Random
) -> None:
    answers = [draws.choice("abcd") for _ in similarities]
    around = [near(answer, s) for answer, s in zip(answers, sorted(similarities, reverse=True), strict=True)]
    for standing in standings(around):
        features = features_of(ASKED, standing, around)
        assert len(features) == len(FEATURES) == len(PRIOR) - 1
        assert 0 <= probability(features, PRIOR) <= 1
    decision = decide(ASKED, around, OPEN, EAGER)
    assert decision.answer in answers
    assert decision.served
