"""A weak answer is given where such answers were as good as the strong model's; what that saves counts both calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fivelevers.levers.routing.artifact import Artifact
from fivelevers.levers.routing.calibrate import calibrate, judged, recertify
from fivelevers.levers.routing.certify import Promise, Verdict
from fivelevers.levers.routing.overview import overview
from fivelevers.levers.routing.scorer import Scorer
from fivelevers.levers.routing.split import Split
from fivelevers.stores import route_artifact
from tests.unit.levers.routing.made_up import CERTAIN, SORRY, SURE, TORN, cascade_examples, chancy_examples

EXAMPLES = cascade_examples(4000, seed=3)
EVERY = np.arange(4000)
SPLIT = Split(EVERY[:1600], EVERY[1600:3600], EVERY[3600:])
PROMPT, CELL = "court appeal clause", "law"


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    return calibrate(EXAMPLES, SPLIT, Promise(epsilon=0.03))


def test_what_was_certified_counts_the_weak_answer_in_any_case(artifact: Artifact) -> None:
    made = artifact.certificate
    assert (made.verdict, made.models, made.strong, artifact.cascade) == (
        Verdict.ROUTE, ("weak", "strong"), "strong", True,
    )  # fmt: skip
    assert made.chosen is not None
    assert artifact.report is not None
    for point in (made.chosen, artifact.report):
        # The weak model costs a fiftieth, and is asked every time.
        assert point.saving == pytest.approx(point.routed - 0.02, abs=0.02)
    assert artifact.report.pairs.loss <= 0.03


def test_a_strong_model_that_answers_all_costs_more_than_without_a_cascade(artifact: Artifact) -> None:
    first = artifact.certificate.curve[0]
    held = judged(artifact.model, EXAMPLES.take(SPLIT.calibration), "strong")
    assert held.without_usd == pytest.approx(held.examples.plain.cost_usd[:, 1])
    assert first.saving < first.routed


def test_the_answer_decides(artifact: Artifact) -> None:
    scorer = Scorer.of(artifact, PROMPT, CELL)
    assert scorer.takes(SURE)
    assert not scorer.takes(SORRY)


def test_how_sure_it_was_decides_where_nothing_else_shows(artifact: Artifact) -> None:
    made = calibrate(chancy_examples(4000, seed=3), SPLIT, Promise(epsilon=0.03))
    assert made.certificate.verdict is Verdict.ROUTE
    scorer = Scorer.of(made, PROMPT, CELL)
    assert scorer.by_chances
    assert scorer.takes(SURE, CERTAIN)
    assert not scorer.takes(SURE, TORN)
    assert not scorer.takes(SURE)  # it does not tell
    plain = Scorer.of(artifact, PROMPT, CELL)
    assert not plain.by_chances
    assert plain.takes(SURE, TORN)  # nothing was learned of that


def test_an_unknown_route_or_a_certificate_that_says_no_takes_nothing(artifact: Artifact) -> None:
    assert not Scorer.of(artifact, PROMPT, "taxes").takes(SURE)
    never = replace(artifact, certificate=replace(artifact.certificate, verdict=Verdict.NEED_MORE))
    assert not Scorer.of(never, PROMPT, CELL).takes(SURE)


def test_the_file_says_whose_it_is(artifact: Artifact, tmp_path: Path) -> None:
    route_artifact.write(tmp_path / "a", artifact)
    again = route_artifact.read(tmp_path / "a")
    assert (again.cascade, again.certificate) == (True, artifact.certificate)
    assert Scorer.of(again, PROMPT, CELL).takes(SURE)


def test_it_is_proven_anew_on_other_prompts_whatever_is_answered_to_them(artifact: Artifact) -> None:
    again = recertify(artifact, cascade_examples(2000, seed=17), Promise(epsilon=0.03))
    assert (again.certificate.verdict, again.cascade) == (Verdict.ROUTE, True)
    seen = recertify(artifact, EXAMPLES, Promise(epsilon=0.03)).certificate.tested
    assert seen <= 2400  # none of those that it was fitted to, though their answers are like all others


def test_the_models_are_shown_at_what_each_costs_alone(artifact: Artifact) -> None:
    shown = overview(judged(artifact.model, EXAMPLES.take(SPLIT.calibration), "strong"), "strong")
    assert {spot.name: round(spot.cost, 2) for spot in shown.spots if spot.name != "oracle"} == {
        "weak": 0.02, "strong": 1.0,
    }  # fmt: skip
