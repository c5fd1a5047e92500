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
from fivelevers.levers.routing.rubric import LONGEST
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
    """A proxy that answers as it is told, one after the other; the last answer stays. ``keys``: of idempotency."""

    slots = 4

    def __init__(self, *answers: httpx.Response | Exception, limit_usd: str = "1", ask: Answer | None = None) -> None:
        self.answers, self.asked, self.ask = list(answers), list[dict[str, Any]](), ask
        self.keys: list[str] = []
        self.written: list[dict[str, Any]] = []
        self.budget = Budget(Decimal(limit_usd), lambda record: self.written.append(dict(record)))

    def calls(self) -> Calls:
        proxy = ProxyCalls("http://proxy", httpx.MockTransport(self._answer))
        slots = asyncio.Semaphore(self.slots)
        return Calls(proxy, "sk", self.budget, slots, timeout_s=0.2, waits_s=(0.0, 0.0), poll_s=0.01)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # others get their turn, as on a network
        if request.method == "POST":
            self.asked.append(json.loads(request.content))
            self.keys.append(request.headers.get("idempotency-key", ""))
        answer = self.ask(request) if self.ask is not None else self._next()
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    def _next(self) -> httpx.Response:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reply(self, *, limit: int | None = 50, batch: bool = False) -> Reply:
        return asyncio.run(self.calls().ask(call(limit=limit), batch=batch))


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


def test_a_connection_that_was_reset_may_be_billed() -> None:
    reset = Scene(httpx.ReadError("Connection reset by peer"), said())
    reset.reply()
    assert reset.budget.unheard_usd == call().most_usd


@pytest.mark.parametrize("status", [408, 499, 504])
def test_a_gateway_s_timeout_may_be_billed_at_every_try(status: int) -> None:
    scene = Scene(refused(status))
    reply = scene.reply()
    assert (reply.ended, reply.why) == (Ended.LEFT_OUT, f"HTTP {status}: timed out on the way")
    assert len(scene.asked) == 3
    assert (scene.budget.spent_usd, scene.budget.unheard_usd) == (Decimal(0), 3 * call().most_usd)


def test_the_same_call_asked_twice_at_once_is_one_call() -> None:
    scene = Scene(said())

    async def twice() -> tuple[Reply, Reply]:
        calls = scene.calls()
        return await asyncio.gather(calls.ask(call()), calls.ask(call()))

    first, second = asyncio.run(twice())
    assert first == second
    assert len(scene.asked) == 1


def test_what_ends_a_call_ends_it_for_all_who_wait() -> None:
    scene = Scene(refused(401))

    async def twice() -> tuple[Any, Any]:
        calls = scene.calls()
        return await asyncio.gather(calls.ask(call()), calls.ask(call()), return_exceptions=True)

    assert [type(one) for one in asyncio.run(twice())] == [CalibrationError, CalibrationError]
    assert len(scene.asked) == 1


ACCEPTED = httpx.Response(202, headers={"location": "/fivelevers/v1/requests/x", "x-fivelevers-lane": "batch"})


def of_lane(answer: httpx.Response, lane: str = "batch") -> httpx.Response:
    return httpx.Response(answer.status_code, headers={"x-fivelevers-lane": lane}, content=answer.content)


def test_who_waits_for_money_holds_no_slot() -> None:
    """One slot: a lane's call has the money and needs the slot for its looks, the judge's waits for the money."""
    scene = Scene(limit_usd=str(call().most_usd * Decimal("1.5")))
    scene.slots = 1
    judging = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return of_lane(said()) if judging.is_set() else ACCEPTED
        return ACCEPTED if request.url.path.startswith("/fivelevers/lane") else said()

    scene.ask = answer

    async def both() -> tuple[Reply, Reply]:
        calls = scene.calls()

        async def judge() -> Reply:
            while not scene.asked:
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_later(0.05, judging.set)
            return await calls.ask(call("Is it right?"))

        return await asyncio.wait_for(asyncio.gather(calls.ask(call(), batch=True), judge()), 10)

    assert [reply.ended for reply in asyncio.run(both())] == [Ended.ANSWERED, Ended.ANSWERED]


def test_a_row_that_failed_is_asked_again_by_another_key() -> None:
    """The lane answers a known key with its ended work."""
    scene = Scene(ACCEPTED, of_lane(refused(500)), ACCEPTED, of_lane(refused(429)), ACCEPTED, of_lane(said()))
    assert scene.reply(batch=True).ended is Ended.ANSWERED
    assert len(set(scene.keys)) == 3
    failed = Scene(ACCEPTED, of_lane(refused(500)))
    assert failed.reply(batch=True).ended is Ended.LEFT_OUT
    later = Scene(ACCEPTED, of_lane(said()))
    calls = later.calls()
    calls.replay(failed.written)
    asyncio.run(calls.ask(call(), batch=True))
    assert not set(later.keys) & set(failed.keys)


@pytest.mark.parametrize("lost", [httpx.ReadError("broke off"), refused(504), httpx.ConnectError("refused")])
def test_what_the_lane_may_have_taken_is_asked_again_by_the_same_key(lost: httpx.Response | Exception) -> None:
    scene = Scene(lost, ACCEPTED, of_lane(said()))
    assert scene.reply(batch=True).ended is Ended.ANSWERED
    assert len(scene.keys) == 2
    assert len(set(scene.keys)) == 1


def test_a_row_that_timed_out_has_another_key_and_may_be_billed() -> None:
    scene = Scene(ACCEPTED, of_lane(refused(504), "batch; why=rescued"), ACCEPTED, of_lane(said()))
    reply = scene.reply(batch=True)
    assert len(set(scene.keys)) == 2
    assert scene.budget.spent_usd == call().most_usd + reply.usd


@pytest.mark.parametrize("status", [429, 400, 500, 502])
def test_a_look_that_fails_says_nothing_of_the_row(status: int) -> None:
    scene = Scene(ACCEPTED, refused(status), httpx.ReadError("x"), of_lane(said()))
    assert scene.reply(batch=True).ended is Ended.ANSWERED
    assert len(scene.asked) == 1


def test_a_look_that_the_proxy_does_not_allow_ends_it_and_may_be_billed() -> None:
    scene = Scene(ACCEPTED, refused(401))
    with pytest.raises(CalibrationError, match="alias: the proxy answers 401 to a look at /fivelevers/v1/requests/x"):
        scene.reply(batch=True)
    assert scene.budget.unheard_usd == call().most_usd


def test_a_row_that_was_cancelled_is_left_out() -> None:
    assert Scene(ACCEPTED, refused(410, "was cancelled")).reply(batch=True).ended is Ended.LEFT_OUT


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


def test_an_answer_that_is_too_long_to_be_shown_whole_has_no_verdict() -> None:
    scene = Scene(said("1"))
    judge = Judge(scene.calls(), MODEL, "It passes if it is right.")
    case = Case(Api.CHAT, {"messages": [{"role": "user", "content": "2 + 2?"}]}, "2 + 2?", "r")
    long = Output("x" * LONGEST)
    grades = asyncio.run(judge.grade(case, {"a": Output(long.text + "!"), "b": long, "c": Output(long.text + "?")}))
    assert grades == {"a": None, "b": True, "c": None}
    assert len(scene.asked) == 1
    assert asyncio.run(judge.grade(case, {"a": Output(long.text + "!")})) == {"a": None}
    assert len(scene.asked) == 1


def test_the_same_text_is_judged_once() -> None:
    _, _, asked = judged(lambda _: "0", [])
    assert asked == 2
