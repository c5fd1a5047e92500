"""The proxy's list of models: when there is none, and whose a deployment is."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from fivelevers.errors import ProxyError
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.providers.proxy_calls import ProxyCalls
from fivelevers.route_benchmark.candidates import candidates_of
from fivelevers.route_benchmark.cases import Candidate

BOOK = PriceBook.from_litellm_map(find_litellm_map())


def found(proxy: ProxyCalls) -> list[Candidate]:
    return asyncio.run(candidates_of(["small"], proxy, "sk", BOOK, timeout_s=0.05))


def test_a_proxy_that_never_answers_is_named() -> None:
    async def silent(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        raise AssertionError

    with pytest.raises(ProxyError, match=r"--proxy: no answer to /v1/model/info within 0\.05 s"):
        found(ProxyCalls("http://proxy", httpx.MockTransport(silent)))


def test_a_deployment_says_itself_which_model_it_is() -> None:
    row = {
        "model_name": "small",
        "litellm_params": {"model": "azure/ours"},
        "model_info": {"fivelevers_model": "openai/gpt-4.1-nano"},
    }
    answer = httpx.Response(200, json={"data": [row]})

    def told(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(answer.content))

    assert found(ProxyCalls("http://proxy", httpx.MockTransport(told)))[0].name == "openai/gpt-4.1-nano"
