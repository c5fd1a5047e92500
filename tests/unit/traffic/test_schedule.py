import asyncio
import selectors
from collections.abc import Awaitable, Callable, Sequence

import pytest

from examples.traffic.schedule import in_turn, predecessors
from examples.traffic.workload import Request
from tests.unit.traffic.lines import request

Send = Callable[[Request], Awaitable[None]]


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer: hours pass in no time, and exactly."""

    def __init__(self) -> None:
        self.now = 0.0
        loop = self

        class Selector(selectors.DefaultSelector):
            def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
                loop.now += timeout or 0.0
                found: list[tuple[selectors.SelectorKey, int]] = super().select(0)
                return found

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


def play(
    requests: Sequence[Request], *, speed: float, concurrency: int, takes_s: float
) -> list[tuple[str, float, float]]:
    """(source, when it was sent, when it was done) in the order of sending."""
    found: list[tuple[str, float, float]] = []

    async def send(one: Request) -> None:
        started = asyncio.get_running_loop().time()
        found.append((one.source, started, started + takes_s))
        await asyncio.sleep(takes_s)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(in_turn(requests, speed=speed, concurrency=concurrency, send=send))
    return found


def test_arrival_times_are_kept_and_scaled() -> None:
    requests = [request(at_s, str(at_s)) for at_s in (30.0, 60.0, 330.0)]
    sent = [started for _, started, _ in play(requests, speed=60, concurrency=8, takes_s=0.1)]
    assert sent == pytest.approx([0.0, 0.5, 5.0])


def test_without_speed_nobody_waits() -> None:
    requests = [request(at_s, str(at_s)) for at_s in (0.0, 3_600.0)]
    assert [started for _, started, _ in play(requests, speed=0, concurrency=2, takes_s=1)] == [0.0, 0.0]


@pytest.mark.parametrize("speed", [0.0, 60.0])
def test_a_session_waits_for_its_earlier_request(speed: float) -> None:
    requests = [request(at_s, "one", text=str(at_s)) for at_s in (0.0, 1.0, 2.0)]
    played = play(requests, speed=speed, concurrency=8, takes_s=10)
    assert [started for _, started, _ in played] == pytest.approx([0.0, 10.0, 20.0])


def test_sessions_of_two_tenants_are_two_sessions() -> None:
    requests = [request(session="one"), request(session="one", tenant="sales"), request(session="one")]
    assert predecessors(requests) == [None, None, 0]


def test_never_more_than_allowed_are_under_way() -> None:
    requests = [request(0.0, str(number)) for number in range(10)]
    played = play(requests, speed=0, concurrency=3, takes_s=1)
    assert [started for _, started, _ in played] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_when_slots_are_few_the_earliest_goes_first() -> None:
    requests = [request(0, "a", text="a1"), request(1, "a", text="a2"), request(2, "b", text="b1")]
    played = play(requests, speed=0, concurrency=1, takes_s=1)
    assert [source for source, _, _ in played] == ["t.jsonl:a1", "t.jsonl:b1", "t.jsonl:a2"]


def test_no_requests_are_no_problem() -> None:
    assert play([], speed=60, concurrency=4, takes_s=1) == []


def test_a_fault_in_the_sender_ends_the_run() -> None:
    async def send(_: Request) -> None:
        raise KeyError("a bug")

    with pytest.raises(ExceptionGroup):
        asyncio.run(in_turn([request()], speed=0, concurrency=1, send=send))
