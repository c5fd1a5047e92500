"""One simulator behind a real socket for all tests here; each test starts with an empty bill and cache."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import anthropic
import httpx
import openai
import pytest
import uvicorn

from examples.provider_simulator.app import create_app
from examples.provider_simulator.simulator import Simulator


@dataclass(frozen=True, slots=True)
class Running:
    """A simulator that answers at `url`; `sim` is its memory."""

    url: str
    sim: Simulator
    http: httpx.Client

    def bill(self) -> dict[str, object]:
        body: dict[str, object] = self.http.get("/sim/bill", params={"detail": 1}).json()
        return body


def start(sim: Simulator) -> tuple[uvicorn.Server, threading.Thread, str]:
    server = uvicorn.Server(uvicorn.Config(create_app(sim), port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    return server, thread, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    sim = Simulator(seed=1, latency_scale=0)
    server, thread, url = start(sim)
    with httpx.Client(base_url=url, timeout=10) as http:
        yield Running(url, sim, http)
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def simulator(running: Running) -> Iterator[Running]:
    running.sim.reset()
    yield running
    running.sim.reset()
    running.sim.latency_scale = 0


@pytest.fixture
def oai(simulator: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="sk-team-a", max_retries=0) as client:
        yield client


@pytest.fixture
def claude(simulator: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=simulator.url, api_key="sk-team-b", max_retries=0) as client:
        yield client
