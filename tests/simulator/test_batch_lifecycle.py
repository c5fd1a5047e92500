"""However a batch goes its way, each row ends once, in one of the files, and the bill has those that ran."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from examples.provider_simulator.batch import WINDOW_S, Batch, row_of
from examples.provider_simulator.openai_batch_output import Job
from examples.provider_simulator.simulator import Simulator

SIM = Simulator()


def lines(sim: Simulator, file_id: str | None) -> list[str]:
    if file_id is None:
        return []
    content = sim.files.find(file_id, "k", 0.0).content
    return [orjson.loads(line)["custom_id"] for line in content.splitlines()]


@given(
    st.permutations(range(9)),
    st.floats(0, 3 * WINDOW_S),
    st.none() | st.integers(0, 9),
    st.none() | st.integers(0, 14),
    st.sets(st.integers(0, 8)),
)
def test_each_row_ends_once(
    order: list[int], takes_s: float, stops_after: int | None, cancel_at_step: int | None, wrong: set[int]
) -> None:
    sim = SIM
    sim.reset()
    bodies = [{"model": "gpt-4.1"} if number in wrong else {"model": "gpt-4.1", "input": "hi"} for number in order]
    rows = [row_of(str(number), body) for number, body in enumerate(bodies)]
    job = Job(sim, "/v1/responses", "file", None, 3600, [], "")
    batch = Batch("b", "openai", "k", "gpt-4.1", 1000.0, takes_s, rows=rows, order=order, does=job)
    if stops_after is not None:
        batch.stops_after, batch.stops_as = stops_after, "cancelled"
    at, steps = batch.created_at, 0
    while batch.phase != "ended":
        if steps == cancel_at_step and batch.phase != "cancelling":
            batch.cancel(at, 5.0)
        assert batch.next_at() >= at
        at, steps = batch.next_at(), steps + 1
        batch.step()
    done, failed = lines(sim, job.output_file_id), lines(sim, job.error_file_id)
    assert sorted(done + failed) == [str(number) for number in range(9)]
    assert len(done) == batch.succeeded == sim.bill.requests
    assert batch.ran == len(rows) or batch.ending != "completed"
    assert at <= batch.expires_at + 5 or batch.ending == "completed"
    assert list(batch.entered.values()) == sorted(batch.entered.values())
    assert not any(row.body for row in rows)
    assert not any(row.state == "waiting" for row in rows)
