"""The semantic caching benchmark: streams, the judge, the rules beside ours, and ours on a real Redis."""

from __future__ import annotations

import asyncio
import json
import random
from math import sqrt
from pathlib import Path

import pytest

from benchmarks.rig.answer_fivelevers import Fivelevers
from benchmarks.rig.answer_rivals import RedisVl, Static, Verified, scored
from benchmarks.rig.answer_stream import Judge, Question, read
from benchmarks.rig.answer_tally import Tally
from fivelevers.levers.semantic_cache.calibration import Verdict
from fivelevers.levers.semantic_cache.judging import Said
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.policy import SemanticCacheSwitch
from tests.redis_server import Server

DIMENSION = 16


def stream(length: int, topics: int = 12, spread: float = 0.4) -> list[Question]:
    draws = random.Random(5)
    centres = [[draws.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(topics)]
    found = []
    for number in range(length):
        topic = draws.randrange(topics)
        point = [x + spread * draws.gauss(0, 1) for x in centres[topic]]
        norm = sqrt(sum(x * x for x in point))
        vector = [x / norm for x in point]
        found.append(Question(f"{number:032x}", f"topic {topic}", vector, signature_of("the same words")))
    return found


def test_every_text_is_asked_once_and_null_is_like_no_other(tmp_path: Path) -> None:
    rows = [("a", "1"), ("b", None), ("a", "1"), ("c", None), ("d", "1")]
    path = tmp_path / "stream.jsonl"
    path.write_text("".join(json.dumps({"text": text, "answer": answer}) + "\n" for text, answer in rows))
    texts, answers = zip(*read(path), strict=True)
    assert texts == ("a", "b", "c", "d")
    assert answers[0] == answers[3]
    assert len(set(answers)) == 3


def test_a_line_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stream.jsonl"
    path.write_text('{"text": "a", "answer": "1"}\n{"prompt": "b"}\n')
    with pytest.raises(ValueError, match=r"stream\.jsonl:2:"):
        read(path)


def test_a_judge_errs_as_often_as_it_is_told_to() -> None:
    assert Judge(0.0, 1).verdict("x", ["y", "x"]).same == 1
    assert Judge(0.0, 1).verdict("x", ["y"]).said is Said.DIFFERENT
    noisy = Judge(0.2, 1)
    assert 150 < sum(not noisy.same("x", "x") for _ in range(1000)) < 250


def test_a_tally_counts_what_is_wrong_by_hits_and_by_requests() -> None:
    tally = Tally()
    for number in range(10):
        tally.add(hit=number < 4, wrong=number == 0, judged=number > 7, compared=2)
    figures = tally.figures()
    assert (figures["hit"], figures["wrong_per_hit"], figures["wrong_per_request"]) == (0.4, 0.25, 0.1)
    assert (figures["judged"], figures["compared"]) == (0.2, 2.0)
    assert figures["wrong_upper95"] > 0.25


def test_only_the_second_half_is_scored_and_a_miss_is_stored() -> None:
    questions = stream(200)
    tally = scored(Static(0.0, len(questions), DIMENSION), questions, lambda _: None)
    assert (tally.requests, tally.hits) == (100, 100)
    strict = scored(Static(1.1, len(questions), DIMENSION), questions, lambda _: None)
    assert strict.hits == 0
    again = scored(Static(0.999, 400, DIMENSION), questions + questions, lambda _: None)
    assert (again.hits, again.wrong) == (200, 0)


def test_an_entry_is_tried_until_its_risk_is_small() -> None:
    questions = stream(1500, topics=4, spread=0.2)
    tally = scored(Verified(0.03, Judge(0.0, 1), len(questions), DIMENSION, 1), questions, lambda _: None)
    assert 0 < tally.hits < tally.requests
    assert tally.wrong <= 0.03 * tally.requests
    assert tally.judged == tally.requests - tally.hits


def test_ours_and_redisvl_run_on_a_real_redis(tmp_path: Path) -> None:
    server, questions = Server(tmp_path, vectors=True), stream(1200)
    try:
        ours = Fivelevers(server.url, "5e" * 16, Judge(0.0, 1), SemanticCacheSwitch(), seed=1)
        asyncio.run(ours.run(questions, lambda _: None))
        plain = scored(RedisVl(server.url, "plain", 0.1, DIMENSION, tag="rest"), questions, lambda _: None)
    finally:
        server.close()
    assert ours.calibration is not None
    assert ours.calibration.verdict is Verdict.SERVE
    assert ours.tally.requests == plain.requests == 600
    assert ours.tally.hits > 100
    assert ours.tally.wrong <= 0.03 * ours.tally.hits
    assert ours.tally.judged <= 0.45 * ours.tally.requests
    assert plain.hits > 0
