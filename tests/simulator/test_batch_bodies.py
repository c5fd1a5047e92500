"""Nothing that comes in breaks a batch: junk anywhere is refused, or told in the row's own error."""

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from examples.provider_simulator.anthropic_batch_results import Results
from examples.provider_simulator.app import create_app
from examples.provider_simulator.batch import Batch, Provides, Row, row_of
from examples.provider_simulator.errors import Provider
from examples.provider_simulator.openai_batch_input import read
from examples.provider_simulator.openai_batch_output import Job
from examples.provider_simulator.simulator import Simulator
from tests.simulator.test_errors import WHOLE, spoiled

HEADERS = {"x-api-key": "k", "anthropic-version": "x"}


def run(sim: Simulator, provider: Provider, does: Provides, rows: list[Row]) -> Batch:
    """From creation to the end, without waiting."""
    now = sim.clock.now()
    batch = Batch("b", provider, "k", "", now, 0.0, rows=rows, order=range(len(rows)), does=does)
    while batch.phase != "ended":
        batch.step()
    return batch


@pytest.mark.parametrize("path", ["chat/completions", "responses", "embeddings"])
def test_no_line_breaks_a_batch_of_openais(path: str) -> None:
    sim, url = Simulator(), f"/v1/{path}"
    lines = list(spoiled({"custom_id": "a", "method": "POST", "url": url, "body": WHOLE[path]}))
    for line in lines:
        read(orjson.dumps(line), url, sim.catalogue)
    bodies = [body for body in spoiled(WHOLE[path]) if isinstance(body, dict)]
    job = Job(sim, url, "file", None, 3600, [], "")
    run(sim, "openai", job, [row_of(str(number), body) for number, body in enumerate(bodies)])
    assert job.error_file_id is not None
    wrong = sim.files.find(job.error_file_id, "k", sim.clock.now()).content.splitlines()
    assert {orjson.loads(line)["response"]["status_code"] for line in wrong} == {400, 404}


def test_no_params_break_a_batch_of_anthropics() -> None:
    sim = Simulator()
    results = Results(sim)
    bodies = [body for body in spoiled(WHOLE["messages"]) if isinstance(body, dict)]
    batch = run(sim, "anthropic", results, [row_of(str(number), body) for number, body in enumerate(bodies)])
    found = [orjson.loads(line)["result"] for line in results.lines]
    assert 0 < batch.succeeded < len(bodies) == len(found)
    wrong = {result["error"]["error"]["type"] for result in found if result["type"] == "errored"}
    assert wrong == {"invalid_request_error", "not_found_error"}


def openai_create(sim: Simulator) -> Any:
    file = sim.files.add("k", "rows.jsonl", "batch", b"{}", now=sim.clock.now())
    return {
        "input_file_id": file.id,
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "metadata": {"a": "b"},
        "output_expires_after": {"anchor": "created_at", "seconds": 4000},
    }


def anthropic_create(sim: Simulator) -> Any:
    return {"requests": [{"custom_id": "a", "params": {"model": "claude-haiku-4-5"}}]}


@pytest.mark.parametrize(("path", "whole"), [("batches", openai_create), ("messages/batches", anthropic_create)])
async def test_no_create_breaks_the_simulator(path: str, whole: Callable[[Simulator], Any]) -> None:
    sim = Simulator(latency_scale=0)
    body = whole(sim)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(sim)), base_url="http://sim", headers=HEADERS
    ) as client:
        assert (await client.post(f"/v1/{path}", json=body)).status_code == 200
        for junk in spoiled(body):
            assert (await client.post(f"/v1/{path}", json=junk)).status_code in {200, 400}, junk
    sim.batches.close()
