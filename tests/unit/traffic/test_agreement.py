"""The truths and the simulator's answers agree, so that a wrong answer in a replay is the model's doing."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from examples.traffic.client import Caller
from examples.traffic.workload import Request, load_all

ROOT = Path(__file__).parents[3]
FRONTIER = "gpt-5"
LOOK_ALIKES = [
    ("$49", "$470"),
    ("$19", "$182"),
    ("$129", "$1,238"),
    ("$9", "$7"),
    ("14 days", "30 days"),
    ("Frankfurt", "Columbus"),
    ("Frankfurt", "Dublin"),
    ("Billing > Cancel subscription", "Billing > Pause subscription"),
    ("24 hours", "10 minutes"),
    ("12 hours", "6 hours"),
]


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    command = [sys.executable, "-m", "examples.provider_simulator", "--seed", "1", "--latency-scale", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="module")
def answers(simulator: str) -> list[tuple[Request, str]]:
    """Every request that has a truth, once, with the strongest model's answer."""
    checked = {json.dumps(request.body): request for request in load_all() if request.truth is not None}
    return asyncio.run(ask(simulator, list(checked.values())))


async def ask(url: str, requests: list[Request]) -> list[tuple[Request, str]]:
    caller, slots = Caller(url, "sk-demo-agreement"), asyncio.Semaphore(8)

    async def one(request: Request) -> tuple[Request, str]:
        async with slots:
            reply = await caller.send(replace(request, body={**request.body, "model": FRONTIER}))
        return request, reply.text

    found = await asyncio.gather(*map(one, requests))
    await caller.close()
    return found


def test_nearly_every_truth_holds_with_the_strongest_model(answers: list[tuple[Request, str]]) -> None:
    wrong = [f"{request.source}: {request.truth} but: {text}" for request, text in answers if not holds(request, text)]
    assert len(answers) > 400
    assert len(wrong) <= 0.03 * len(answers), "\n".join(wrong)


@pytest.mark.parametrize("pair", LOOK_ALIKES)
def test_the_answer_to_a_question_is_no_answer_to_its_look_alike(
    answers: list[tuple[Request, str]], pair: tuple[str, str]
) -> None:
    for asked, other in (pair, pair[::-1]):
        found = [(request, text) for request, text in answers if request.truth and request.truth.value == asked]
        right = [text for request, text in found if request.workload == "support" and holds(request, text)]
        assert right
        truth = next(request.truth for request, _ in answers if request.truth and request.truth.value == other)
        assert not any(truth.holds(text) for text in right)


def holds(request: Request, answer: str) -> bool:
    return request.truth is not None and request.truth.holds(answer)
