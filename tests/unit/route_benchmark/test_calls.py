"""Calls against a proxy that fails in every way it can, and a judge that is asked in both orders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import httpx
import pytest

from fivelevers.errors import CalibrationError, ProxyError
from fivelevers.output import Output
from fivelevers.prices import Kind, Price, Tier
from fivelevers.providers.proxy_calls import ProxyCalls
from fivelevers.request import Api
from fivelevers.route_benchmark.agreement import Graded, agreement
from fivelevers.route_benchmark.budget import Budget, BudgetSpentError
from fivelevers.route_benchmark.calls import Call, Calls
from fivelevers.route_benchmark.cases import Candidate, Case
from fivelevers.route_benchmark.labels import Judge
from fivelevers.route_benchmark.replies import Ended, Reply

PRICE = Price("m", "test", (Tier(0, {Kind.INPUT: Decimal("1e-6"), Kind.OUTPUT: Decimal("1e-5")}),))
MODEL = Candidate("m", "alias", PRICE)
USAGE = {"prompt_tokens": 100, "completion_tokens": 10}
Answer = Callable[[httpx.Request], httpx.Response]


def said(text: str = "4", reason: str = "stop") -> httpx.Response:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return httpx.Response(200, json={"choices": [choice], "usage": USAGE})


def refused(status: int, message: str = "no", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message}}, headers=headers)


class Scene:
    """A proxy that answers as it is told, one after the other; the last answer stays."""

    def __init__(self, *answers: httpx.Response | Exception, limit_usd: str = "1", ask: Answer | None = None) -> None:
        self.answers, self.asked, self.ask = list(answers), list[dict[str, Any]](), ask
        self.written: list[dict[str, Any]] = []
        self.budget = Budget(Decimal(limit_usd), lambda record: self.written.append(dict(record)))

    def calls(self) -> Calls:
        proxy = ProxyCalls("http://proxy", httpx.MockTransport(self._answer))
        return Calls(proxy, "sk", self.budget, asyncio.Semaphore(4), timeout_s=0.2, waits_s=(0.0, 0.0))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content))
        answer = self.ask(request) if self.ask is not None else self._next()
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    def _next(self) -> httpx.Response:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reply(self, *, limit: int | None = 50) -> Reply:
        return asyncio.run(self.calls().ask(call(limit=limit)))


def call(text: str = "What is 2 + 2?", *, limit: int | None = 50) -> Call:
    body = {"messages": [{"role": "user", "content": text}]}
    return Call(MODEL, Api.CHAT, body, MODEL.most_usd(60, 50), limit)


def test_an_answer_is_metered_and_written_with_its_price() -> None:
    scene = Scene(said())
    reply = scene.reply()
    assert (reply.ended, reply.output.text, reply.tokens, reply.usd) == (
        Ended.ANSWERED,
        "4",
        (100, 10),
        Decimal("2e-4"),
    )
    assert scene.asked[0]["max_tokens"] == 50
    assert [next(iter(record)) for record in scene.written] == ["asking", "heard"]
    assert Reply.of_record(scene.written[1]) == reply
    assert scene.budget.spent_usd == reply.usd


@pytest.mark.parametrize(
    ("answers", "ended"),
    [
        ((refused(429), said()), Ended.ANSWERED),
        ((refused(503), refused(500), said()), Ended.ANSWERED),
        ((httpx.ConnectError("refused"), said()), Ended.ANSWERED),
        ((httpx.ReadError("broke off"), said()), Ended.ANSWERED),
        ((refused(500),), Ended.LEFT_OUT),
        ((refused(400, "bad parameter"),), Ended.LEFT_OUT),
        ((refused(400, "litellm.ContextWindowExceededError: too long"),), Ended.FAILED),
        ((refused(400, "ContentPolicyViolationError"),), Ended.FAILED),
        ((said(reason="content_filter"),), Ended.FAILED),
        ((said(reason="length"),), Ended.CUT),
        ((httpx.Response(200, json={"choices": []}),), Ended.LEFT_OUT),
    ],
)
def test_a_model_fails_by_its_own_fault_alone(answers: Sequence[httpx.Response | Exception], ended: Ended) -> None:
    assert Scene(*answers).reply().ended is ended


def test_cut_off_by_the_request_s_own_limit_is_the_model_s_failure() -> None:
    assert Scene(said(reason="length")).reply(limit=None).ended is Ended.FAILED


def test_what_broke_off_may_be_billed_and_what_never_connected_is_not() -> None:
    broke, refused_ = Scene(httpx.ReadError("x"), said()), Scene(httpx.ConnectError("x"), said())
    broke.reply()
    refused_.reply()
    assert broke.budget.unheard_usd == call().most_usd
    assert refused_.budget.unheard_usd == 0


def test_a_proxy_that_is_not_there_or_refuses_everything_ends_it() -> None:
    with pytest.raises(ProxyError):
        Scene(httpx.ConnectError("x")).reply()
    scene = Scene(refused(401, "Authentication Error"))
    with pytest.raises(CalibrationError, match="alias: the proxy refuses with 401: Authentication Error"):
        scene.reply()
    assert scene.budget.taken_usd == 0


def test_what_was_answered_before_is_not_asked_again_unless_a_limit_cut_it() -> None:
    first = Scene(said())
    first.reply()
    cut = Scene(said(reason="length"))
    cut.reply()
    for scene, limit, again in ((first, 50, 0), (first, 99, 0), (cut, 50, 0), (cut, 99, 1)):
        later = Scene(said())
        calls = later.calls()
        calls.replay(scene.written)
        asyncio.run(calls.ask(call(limit=limit)))
        assert len(later.asked) == again


def test_calls_on_their_way_are_waited_for_before_the_budget_ends_it() -> None:
    """Each may cost ten times what it does; with the most of all of them at once there was no money for the second."""
    most = call().most_usd
    scene = Scene(said(), limit_usd=str(most * 2))

    async def all_at_once() -> list[Reply | BaseException]:
        calls = scene.calls()
        asked = (calls.ask(call(f"What is 2 + {number}?")) for number in range(9))
        return await asyncio.gather(*asked, return_exceptions=True)

    replies = asyncio.run(all_at_once())
    answered = [reply for reply in replies if isinstance(reply, Reply)]
    assert len(answered) > 2
    assert scene.budget.spent_usd <= scene.budget.limit_usd
    assert all(isinstance(reply, Reply | BudgetSpentError) for reply in replies)


def judged(ask: Callable[[list[str]], str], sample: Sequence[Graded]) -> Any:
    """``ask``: what the judge says of the answers that it is shown."""

    def answer(request: httpx.Request) -> httpx.Response:
        told = json.loads(request.content)["messages"][1]["content"].split('<answer number="')[1:]
        return said(ask([part.split("\n")[1] for part in told]))

    scene = Scene(ask=answer)

    async def run() -> Any:
        judge = Judge(scene.calls(), MODEL, "It passes if it is right.")
        case = Case(Api.CHAT, {"messages": [{"role": "user", "content": "2 + 2?"}]}, "2 + 2?", "r")
        grades = await judge.grade(case, {"small": Output("5"), "large": Output("4"), "other": Output("4")})
        return grades, await agreement(judge, sample), len(scene.asked)

    return asyncio.run(run())


SAMPLE = [Graded("2 + 2?", "4", right=True), Graded("2 + 2?", "5", right=True), Graded("1 + 1?", "3", right=False)]


def test_a_judge_is_heard_where_it_says_the_same_in_both_orders() -> None:
    def fair(answers: list[str]) -> str:
        return ", ".join(str(at) for at, text in enumerate(answers, 1) if text == "4") or "0"

    grades, found, _ = judged(fair, SAMPLE)
    assert grades == {"small": False, "large": True, "other": True}
    assert (found.asked, found.decided, found.agreed, found.lenient, found.strict) == (3, 3, 2, 0, 1)
    low, high = found.interval
    assert 0 < low < 2 / 3 < high < 1


def test_a_judge_that_prefers_the_first_decides_nothing_between_two() -> None:
    grades, found, _ = judged(lambda _: "1", SAMPLE)
    assert grades == {"small": None, "large": None, "other": None}
    assert (found.asked, found.decided, found.lenient) == (3, 1, 1)  # of the prompt with one answer alone


def test_the_same_text_is_judged_once() -> None:
    _, _, asked = judged(lambda _: "0", [])
    assert asked == 2
