"""Calibration serves what it can prove, and says what is missing where it can not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

import pytest

from fivelevers.errors import CalibrationError
from fivelevers.levers.semantic_cache.bound import upper
from fivelevers.levers.semantic_cache.calibrate import Entry, Promise, calibrate
from fivelevers.levers.semantic_cache.calibration import Calibration, Holds, Verdict
from fivelevers.levers.semantic_cache.serve import Settings
from fivelevers.levers.semantic_cache.signature import signature_of

HOLDS = Holds("minilm-1", ("gpt-4.1",), ("p",))
SETTINGS = Settings(min_similarity=0.5, min_margin=0.0, min_support=1, guards=frozenset())
PROMISE = Promise()
DIMENSION = 24


def entries(topics: int, each: int, *, spread: float, mixed: float = 0.0, seed: int = 1) -> list[Entry]:
    """Questions around ``topics`` points; a share of ``mixed`` has the answer of another topic nearby."""
    rng = random.Random(seed)
    centres = [unit(rng.gauss(0, 1) for _ in range(DIMENSION)) for _ in range(topics)]
    made = []
    for number in range(topics * each):
        topic = number % topics
        vector = unit(value + rng.gauss(0, spread / sqrt(DIMENSION)) for value in centres[topic])
        answer = rng.randrange(topics) if rng.random() < mixed else topic
        text = signature_of(f"word{topic} other{number}")
        made.append(Entry("scope", f"q{number}", f"a{answer}", vector, text, True, float(number)))
    return made


def unit(values: Iterator[float]) -> list[float]:
    listed = list(values)
    norm = sqrt(sum(value * value for value in listed))
    return [value / norm for value in listed]


def test_clear_topics_are_served_within_the_bound() -> None:
    known = entries(40, 25, spread=0.8, mixed=0.01)
    made = calibrate(known, SETTINGS, PROMISE, HOLDS)
    assert made.verdict is Verdict.SERVE
    assert made.chosen is not None
    assert made.proven is not None
    assert made.chosen.hits <= made.proven.hits
    assert made.proven.upper == upper(made.proven.wrong, made.proven.hits) <= PROMISE.max_wrong
    assert (made.questions, made.first_at, made.last_at) == (1000, 0.0, 999.0)
    assert made.serves
    assert made.rule.serve_at == made.chosen.threshold


def test_a_route_on_which_nothing_is_wrong_is_served() -> None:
    made = calibrate(entries(6, 60, spread=0.3), SETTINGS, PROMISE, HOLDS)
    assert made.verdict is Verdict.SERVE
    assert made.chosen is not None
    assert made.chosen.wrong == 0


def test_answers_that_are_often_wrong_are_not_served() -> None:
    made = calibrate(entries(40, 25, spread=0.8, mixed=0.3), SETTINGS, PROMISE, HOLDS)
    assert made.verdict is Verdict.DO_NOT_SERVE
    assert not made.serves


def test_too_few_questions_need_more_and_say_how_many() -> None:
    made = calibrate(entries(10, 5, spread=0.5), SETTINGS, PROMISE, HOLDS)
    assert made.verdict is Verdict.NEED_MORE
    assert made.needed is not None
    assert made.needed > 0
    assert calibrate([], SETTINGS, PROMISE, HOLDS).verdict is Verdict.NEED_MORE


def test_questions_that_nobody_judged_prove_nothing() -> None:
    unknown = [replace(entry, known=False) for entry in entries(40, 25, spread=0.8)]
    made = calibrate(unknown, SETTINGS, PROMISE, HOLDS)
    assert (made.verdict, made.tested) == (Verdict.NEED_MORE, 0)


def test_scopes_never_meet() -> None:
    known = entries(40, 25, spread=0.8)
    alone = [replace(entry, scope=entry.question) for entry in known]
    assert calibrate(alone, SETTINGS, PROMISE, HOLDS).tested == 0


def test_a_stricter_promise_serves_no_more() -> None:
    known = entries(60, 25, spread=1.1, mixed=0.01)
    loose = calibrate(known, SETTINGS, Promise(max_wrong=0.05), HOLDS)
    strict = calibrate(known, SETTINGS, Promise(max_wrong=0.025), HOLDS)
    assert loose.chosen is not None
    assert strict.chosen is None or strict.chosen.hits <= loose.chosen.hits


def test_it_comes_back_from_json_and_decides_alike() -> None:
    made = calibrate(entries(40, 25, spread=0.8, mixed=0.01), SETTINGS, PROMISE, HOLDS)
    again = Calibration.from_json(json.loads(json.dumps(made.to_json())))
    assert again == made
    with pytest.raises(CalibrationError, match="calibrate anew"):
        Calibration.from_json({**made.to_json(), "version": 99})
    with pytest.raises(CalibrationError, match="calibrate anew"):
        Calibration.from_json({"version": 1})
