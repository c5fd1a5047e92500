"""`fivelevers calibrate semantic-cache` on questions in a real Redis, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator
from math import sqrt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fivelevers.answer import StoredAnswer, subject_tag
from fivelevers.cli import app
from fivelevers.levers.semantic_cache.calibration import Calibration
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.prices import Usage
from fivelevers.providers.minilm import DIMENSION
from fivelevers.stores.answers import Answers
from fivelevers.stores.calibrations import latest
from fivelevers.stores.ledger import Ledger
from tests.redis_server import Server

SCOPE, ROUTE = "5c" * 16, "support"
TOPICS, EACH = 40, 25


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"), vectors=True)
    asyncio.run(fill(server.url))
    yield server
    server.close()


async def fill(url: str) -> None:
    """Questions about some topics, each with the answer of its topic; as the proxies store them."""
    store, rng, until = Answers(url), random.Random(3), time.time() + 600
    tags = (subject_tag(f"route:{ROUTE}"),)
    centres = [[rng.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(TOPICS)]
    for number in range(TOPICS * EACH):
        topic = number % TOPICS
        vector = unit([value + rng.gauss(0, 0.8) for value in centres[topic]])
        new = StoredAnswer(f"answer {topic}", "gpt-4.1", "openai", None, Usage(input=9), time.time(), until, tags)
        first = number < TOPICS
        stored = await store.store(
            SCOPE, f"{number:032x}", vector, signature_of(f"word{topic} other{number}"), answer=f"a{topic}",
            new=new if first else None, judged=True, tags=tags, expires_at=until,
        )  # fmt: skip
        assert stored == f"a{topic}"
    await store.close()


def unit(vector: list[float]) -> list[float]:
    norm = sqrt(sum(value * value for value in vector))
    return [value / norm for value in vector]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    lever = "{mode: shadow, guards: [], min_similarity: 0.5}"
    file.write_text(f"routes: [{{name: {ROUTE}, match: {{model: s*}}, levers: {{semantic_cache: {lever}}}}}]\n")
    return file


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["calibrate", "semantic-cache", *arguments], env={"COLUMNS": "100"})
    return done.exit_code, done.output


def test_what_the_store_proves_is_kept_and_told(redis: Server, policy: Path, tmp_path: Path) -> None:
    url, svg = f"sqlite:///{tmp_path}/ledger.db", tmp_path / "curve.svg"
    where = ("--route", ROUTE, "--policy", str(policy), "--redis", redis.url, "--ledger", url, "--svg", str(svg))
    code, told = run(*where)
    assert code == 0, told
    assert "support serves" in told
    assert "1,000 questions, " in told
    assert svg.read_text().startswith("<svg")
    ledger = Ledger(url)
    made = Calibration.from_json(latest(ledger, "semantic_cache")[ROUTE].detail)
    ledger.close()
    assert made.serves
    assert made.chosen is not None
    code, dry = run(*where, "--dry-run", "--json")
    assert code == 0
    assert Calibration.from_json(json.loads(dry)) == made


def test_a_route_without_questions_is_told_what_is_missing(redis: Server, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("routes: [{name: coding, match: {model: coding-*}}]\n")
    code, told = run(
        "--route", "coding", "--policy", str(file), "--redis", redis.url, "--ledger", f"sqlite:///{tmp_path}/l.db"
    )
    assert code == 1
    assert "Missing:" in told


def test_bad_input_is_named(policy: Path, tmp_path: Path) -> None:
    code, told = run("--route", "nobody", "--policy", str(policy))
    assert (code, "'nobody' is no route" in told) == (2, True)
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"a": "x", "b": "y"}\n')
    code, told = run("--route", ROUTE, "--policy", str(policy), "--pairs", str(pairs))
    assert code == 2
    assert "pairs.jsonl:1" in told.replace("\n", "")
