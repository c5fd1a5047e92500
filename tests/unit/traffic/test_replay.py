import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.traffic import __main__ as command
from examples.traffic.problems import TrafficError
from examples.traffic.replay import ReplayResult, replay
from tests.unit.traffic import fake_proxy
from tests.unit.traffic.lines import contains, request

KEYS = {"people": "sk-demo-people", "sales": "sk-demo-sales"}


@pytest.fixture
def fake() -> Iterator[fake_proxy.FakeProxy]:
    with fake_proxy.running() as fake:
        yield fake


async def test_each_request_goes_out_with_its_tenants_key_and_session(fake: fake_proxy.FakeProxy) -> None:
    requests = [request(1, "b", text="two", tenant="sales"), request(0, "a", text="one")]
    result = await replay(fake.url, KEYS, requests, speed=0, concurrency=1)
    assert fake.chats == [("Bearer sk-demo-people", "a", "one"), ("Bearer sk-demo-sales", "b", "two")]
    assert (result.requests, result.failures, result.successes, result.wrong) == (2, (), 0, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_are_checked_and_their_outcome_posted(fake: fake_proxy.FakeProxy, stream: bool) -> None:
    requests = [
        request(0, "a", text="$49", truth=contains("$49"), body={"stream": stream}),
        request(1, "b", text="$470", truth=contains("$49"), body={"stream": stream}, tenant="sales"),
        request(2, "c", text="anonymous", truth=contains("anonymous"), body={"stream": stream}),
        request(3, "d", text="unchecked", body={"stream": stream}),
    ]
    result = await replay(fake.url + "/", KEYS, requests, speed=0, concurrency=1)
    assert (result.successes, result.wrong, result.outcomes_posted, result.outcomes_refused) == (2, 1, 2, 0)
    assert fake.outcomes == [
        ("Bearer sk-demo-people", {"request_id": "id-$49", "outcome": "success"}),
        ("Bearer sk-demo-sales", {"request_id": "id-$470", "outcome": "failure"}),
    ]


async def test_a_refused_outcome_is_counted(fake: fake_proxy.FakeProxy) -> None:
    result = await replay(fake.url, KEYS, [request(text="unknown", truth=contains("unknown"))], speed=0)
    assert (result.successes, result.outcomes_posted, result.outcomes_refused) == (1, 0, 1)


async def test_failures_are_listed_and_the_run_goes_on(fake: fake_proxy.FakeProxy) -> None:
    requests = [
        request(0, "a", text="refuse"),
        request(1, "b", text="refuse"),
        request(2, "c", text="cut", body={"stream": True}),
        request(3, "d", text="fine", truth=contains("fine")),
    ]
    result = await replay(fake.url, KEYS, requests, speed=0, concurrency=1)
    assert result.failure_counts == {(400, "invalid_request_error"): 2, (None, "StreamCutError"): 1}
    assert [failure.source for failure in result.failures] == ["t.jsonl:refuse", "t.jsonl:refuse", "t.jsonl:cut"]
    assert (result.requests, result.successes) == (4, 1)


async def test_no_more_than_the_concurrency_is_under_way(fake: fake_proxy.FakeProxy) -> None:
    requests = [request(0, str(number), text=str(number)) for number in range(12)]
    await replay(fake.url, KEYS, requests, speed=0, concurrency=3)
    assert fake.most_under_way <= 3
    assert len(fake.chats) == 12


async def test_patient_requests_say_so_and_take_no_place(fake: fake_proxy.FakeProxy) -> None:
    requests = [request(0, "t", text=str(number), workload="tickets") for number in range(6)]
    await replay(fake.url, KEYS, [*requests, request(0, "s", text="now")], speed=0, concurrency=1, patient=["tickets"])
    assert fake.most_under_way > 3
    assert fake.patience == {str(number): ("14400", "14400") for number in range(6)} | {"now": ("", "120")}


async def test_progress_is_told_after_each_request(fake: fake_proxy.FakeProxy) -> None:
    seen: list[ReplayResult] = []
    requests = [request(0, str(number), text=str(number)) for number in range(4)]
    await replay(fake.url, KEYS, requests, speed=0, on_progress=seen.append)
    assert [result.requests for result in seen] == [1, 2, 3, 4]


async def test_a_tenant_without_a_key_stops_the_run_before_it_begins(fake: fake_proxy.FakeProxy) -> None:
    with pytest.raises(TrafficError, match="none for tenant elsewhere"):
        await replay(fake.url, KEYS, [request(), request(tenant="elsewhere")], speed=0)
    assert fake.chats == []


@pytest.mark.parametrize(("speed", "concurrency"), [(-1.0, 1), (float("nan"), 1), (1.0, 0)])
async def test_settings_without_a_sense_are_refused(speed: float, concurrency: int) -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        await replay("http://127.0.0.1:1", KEYS, [request()], speed=speed, concurrency=concurrency)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["traffic", *arguments])
    return command.main()


def test_the_command_replays_and_writes_its_result(
    fake: fake_proxy.FakeProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    options = ("--workload", "support", "--limit", "5", "--speed", "0", "--json", str(out))
    assert run(monkeypatch, "--base-url", fake.url, *options) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["requests"] == 5
    assert "5 requests" in capsys.readouterr().out


def test_the_command_says_that_requests_failed(
    fake: fake_proxy.FakeProxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The fake fake knows no embeddings: a failure with a status that no SDK retries.
    monkeypatch.setattr(command, "load_all", lambda only: [request(api="embeddings", body={"input": "x"})])
    monkeypatch.setattr(command, "load_keys", lambda _: KEYS)
    assert run(monkeypatch, "--base-url", fake.url, "--speed", "0") == 1
    assert "1 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [("--workload", "nothing"), ("--keys", "nowhere.yaml"), ("--speed", "-1"), ("--concurrency", "0")]
)
def test_the_command_says_why_it_could_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert run(monkeypatch, "--base-url", "http://127.0.0.1:1", *options) == 2
    assert "could not run" in capsys.readouterr().err


def test_a_limit_without_a_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, "--base-url", "http://127.0.0.1:1", "--limit", "-3")
    assert "--limit: -3 is not 1 or more" in capsys.readouterr().err


def test_an_interrupt_ends_the_command_with_what_is_known_so_far(fake: fake_proxy.FakeProxy) -> None:
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"  # a background job ignores it
        "from examples.traffic import __main__ as m; from tests.unit.traffic.lines import request;"
        "m.load_all = lambda only: [request(0, 'a', text='fine'), request(1, 'a', text='hang')];"
        "m.load_keys = lambda path: {'people': 'sk'}; sys.exit(m.main())"
    )
    arguments = [sys.executable, "-c", program, "--base-url", fake.url, "--speed", "0"]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=os.getcwd())
    deadline = time.monotonic() + 120
    while len(fake.chats) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=120)
    assert child.returncode == 130
    assert "interrupted" in output
    assert "1 requests" in output
    assert "Traceback" not in output
