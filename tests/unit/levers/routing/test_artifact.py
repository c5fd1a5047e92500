"""The artifact decides in every case, and knows what it holds for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.artifact import Artifact, Reason, TokenPrice
from fivelevers.levers.routing.calibrate import calibrate, recertify
from fivelevers.levers.routing.certify import Promise, Verdict
from fivelevers.levers.routing.features import features_of, mark_of
from fivelevers.levers.routing.split import Split, groups_of, split
from tests.unit.levers.routing.made_up import examples

PRICES = {
    "weak": TokenPrice(Decimal("0.00000015"), Decimal("0.0000006")),
    "strong": TokenPrice(Decimal("0.0000025"), Decimal("0.00001")),
}


def made(count: int = 3000, epsilon: float = 0.03) -> Artifact:
    labelled = examples(count, seed=1)
    parts = split([str(at) for at in range(count)], groups_of(labelled.features), (0.3, 0.5))
    return calibrate(labelled, parts, Promise(epsilon=epsilon), prices=PRICES, at=1_700_000_000.0)


ARTIFACT = made()


def test_easy_prompts_go_to_the_cheap_model_and_hard_ones_do_not() -> None:
    assert ARTIFACT.certificate.strong == "strong"
    assert ARTIFACT.certificate.verdict is Verdict.ROUTE
    easy = ARTIFACT.decide(features_of("hello friend nice day"), "greetings", 21)
    hard = ARTIFACT.decide(features_of("statute court appeal clause"), "law", 27)
    assert (easy.model, easy.reason) == ("weak", Reason.ROUTED)
    assert easy.saved_usd > 0
    assert (hard.model, hard.reason, hard.saved_usd) == ("strong", Reason.WORTH_IT, 0)
    assert easy.point is not None
    assert hard.point is not None
    assert easy.point < hard.point


def test_a_model_that_can_not_answer_is_not_chosen() -> None:
    easy = ARTIFACT.decide(features_of("hello friend nice day"), "greetings", 21, able={"strong"})
    assert (easy.model, easy.reason) == ("strong", Reason.WORTH_IT)
    assert ARTIFACT.decide(features_of("hello friend nice day"), "greetings", 21, able=()).model == "strong"


def test_moving_away_from_a_warm_prefix_costs() -> None:
    free = ARTIFACT.decide(features_of("hello friend nice day"), "greetings", 21)
    moving = ARTIFACT.decide(features_of("hello friend nice day"), "greetings", 21, moving_usd={"weak": 1.0})
    assert free.model == "weak"
    assert moving.model == "strong" or moving.saved_usd == pytest.approx(free.saved_usd - 1.0)
    staying = ARTIFACT.decide(features_of("statute court appeal"), "law", 20, moving_usd={"strong": 1e6})
    assert staying.model == "weak"  # no right answer is worth that


def test_what_is_not_known_or_not_certified_goes_to_the_strong_model() -> None:
    assert ARTIFACT.decide(features_of("hello"), "taxes", 5).reason is Reason.UNKNOWN_ROUTE
    refused = replace(ARTIFACT, certificate=replace(ARTIFACT.certificate, verdict=Verdict.NEED_MORE))
    decision = refused.decide(features_of("hello"), "greetings", 5)
    assert (decision.model, decision.reason) == ("strong", Reason.NOT_CERTIFIED)
    assert decision.point is not None  # its mix is watched in shadow


def test_the_report_is_of_prompts_that_decided_nothing() -> None:
    assert ARTIFACT.report is not None
    assert ARTIFACT.report.pairs.loss <= 0.03
    assert ARTIFACT.report.saving == pytest.approx(ARTIFACT.certificate.saving, abs=0.15)


def test_a_price_or_a_model_that_changes_opens_it_again() -> None:
    assert ARTIFACT.holds_for(PRICES) is None
    assert ARTIFACT.holds_for({**PRICES, "new": None}) is None
    assert ARTIFACT.holds_for({**PRICES, "weak": None}) is None  # a price that nobody knows says nothing
    assert ARTIFACT.holds_for({"weak": PRICES["weak"]}) == "strong is no model of the route any more"
    dearer = TokenPrice(Decimal("0.0000003"), Decimal("0.0000006"))
    told = ARTIFACT.holds_for({**PRICES, "weak": dearer})
    assert told == (
        "weak cost $0.15/$0.6 per million tokens when this was calibrated, and costs $0.3/$0.6 per million tokens now"
    )


def test_nothing_can_be_learnt_from_one_model_or_no_prompts() -> None:
    labelled = examples(50, seed=1)
    everything = split([str(at) for at in range(50)], groups_of(labelled.features), (0.5, 0.5))
    with pytest.raises(CalibrationError, match="two models"):
        calibrate(labelled.only(["weak"]), everything, Promise())
    with pytest.raises(CalibrationError, match="label more"):
        calibrate(labelled, Split(everything.train, everything.train[:0], everything.report), Promise())


def test_it_is_certified_anew_on_prompts_that_it_has_not_seen() -> None:
    again = recertify(ARTIFACT, examples(2000, seed=41), Promise(epsilon=0.03), prices=PRICES, at=1_800_000_000.0)
    assert again.certificate.verdict is Verdict.ROUTE
    assert again.certificate.tested > 1500
    assert [point.threshold for point in again.certificate.curve] == [
        point.threshold for point in ARTIFACT.certificate.curve
    ]
    assert again.made_at == 1_800_000_000.0
    assert again.model is ARTIFACT.model


def test_what_it_was_fitted_to_never_certifies_it() -> None:
    labelled = examples(3000, seed=1)
    again = recertify(ARTIFACT, labelled, Promise(epsilon=0.03))
    assert again.certificate.tested <= 3000 - ARTIFACT.fitted_on
    seen = [at for at, one in enumerate(labelled.features) if mark_of(one) in ARTIFACT.seen]
    with pytest.raises(CalibrationError, match="label others"):
        recertify(ARTIFACT, labelled.take(np.array(seen)), Promise())


def test_a_model_without_labels_can_not_be_certified() -> None:
    with pytest.raises(CalibrationError, match="routes to weak, which the prompts have no labels of"):
        recertify(ARTIFACT, examples(100, seed=41).only(["strong"]), Promise())
