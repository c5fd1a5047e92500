"""A run that has to end: by its budget, by the way, by a bug."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import log

import httpx
import pytest

from fivelevers.output import Output
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import Candidate, Case
from fivelevers.route_benchmark.run import Benchmark, Labelled
from tests.unit.route_benchmark.test_calls import MODEL, PRICE, Scene, said

OTHER = Candidate("n", "other", PRICE)


class AllRight:
    async def grade(self, case: Case, answers: Mapping[str, Output]) -> Mapping[str, bool | None]:
        return dict.fromkeys(answers, True)


def case(text: str) -> Case:
    return Case(Api.CHAT, {"messages": [{"role": "user", "content": text}]}, text, "r")


def made(scene: Scene) -> Benchmark:
    return Benchmark(scene.calls(), (MODEL, OTHER), AllRight(), max_tokens=50)


def run(benchmark: Benchmark, *prompts: str, workers: int = 2) -> list[Labelled]:
    return asyncio.run(benchmark.run([case(text) for text in prompts], workers, lambda: None))


def test_what_was_answered_before_is_labelled_when_the_budget_ends_it() -> None:
    before = Scene(said())
    run(made(before), "b", "c", "d")
    later = Scene(said(), limit_usd=str(before.budget.spent_usd + Decimal("1e-6")))
    again = made(later)
    again.calls.replay(before.written)
    done = run(again, "a", "b", "c", "d", workers=1)
    assert again.spent
    assert [one.case.prompt for one in done] == ["b", "c", "d"]
    assert later.asked == []


def test_how_sure_a_model_was_stands_beside_its_answer() -> None:
    heard = said().json()
    heard["choices"][0]["logprobs"] = {"content": [{"token": "4", "logprob": log(0.5)}, {"token": "2", "logprob": 0}]}
    scene = Scene(httpx.Response(200, json=heard))
    benchmark = made(scene)
    benchmark.logprobs = True
    (done,) = run(benchmark, "a")
    assert done.line()["chances"] == {name: pytest.approx([0.5**0.5, 0.5]) for name in (MODEL.name, OTHER.name)}
    assert all(asked["logprobs"] is True for asked in scene.asked)
    again = made(Scene(said()))
    again.logprobs = True
    again.calls.replay(scene.written)
    assert run(again, "a")[0].line() == done.line()
    assert "chances" not in run(made(Scene(said())), "a")[0].line()


@pytest.mark.parametrize("error", [OSError("no space left on the device"), TypeError("a bug")])
def test_whatever_ends_it_the_others_wait_for_what_they_have_paid_for(error: Exception) -> None:
    heard: list[str] = []

    def failing(write: Callable[[Mapping[str, object]], None]) -> Callable[[Mapping[str, object]], None]:
        def written(record: Mapping[str, object]) -> None:
            if "heard" in record and not heard:
                heard.append("lost")
                raise error
            heard.extend(["heard"] if "heard" in record else [])
            write(record)

        return written

    scene = Scene(said())
    scene.budget._write = failing(scene.budget._write)
    with pytest.raises(type(error), match=str(error)):
        run(made(scene), "a", "b", workers=2)
    assert len(scene.asked) == 4
    assert heard == ["lost", "heard", "heard", "heard"]


def test_nothing_more_is_begun_once_it_has_to_end() -> None:
    scene = Scene(httpx.Response(401, json={"error": {"message": "no"}}))
    with pytest.raises(Exception, match="the proxy refuses with 401"):
        run(made(scene), *"abcdefgh", workers=2)
    assert len(scene.asked) <= 4
