"""The cache hands out one answer, to the call that it was found for, and gives every other call nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from fivelevers.answer import StoredAnswer
from fivelevers.prices import Usage
from fivelevers.request import Api

if TYPE_CHECKING:
    from fivelevers.proxies.litellm.answer_cache import Hit

pytestmark = pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning")  # of LiteLLM's own types
ANSWER = StoredAnswer("A cat.", "gpt-4.1", "openai", "d1", Usage(input=11, output=5), created_at=1.0, expires_at=2.0)


@pytest.fixture
def litellm(proxy_server: ModuleType) -> Iterator[Any]:
    module: Any = import_module("litellm")
    standing, module.cache = module.cache, None
    yield module
    module.cache = standing


def hit(api: Api = Api.CHAT) -> Hit:
    from fivelevers.proxies.litellm.answer_cache import Hit

    return Hit(api, "call-1", ANSWER, "answer-1")


def cache(current: Callable[[], Any]) -> Any:
    from fivelevers.proxies.litellm.answer_cache import AnswerCache

    return AnswerCache(current)


def call(call_type: str = "acompletion", call_id: str = "call-1", **fields: Any) -> dict[str, Any]:
    return {"litellm_call_id": call_id, "litellm_logging_obj": SimpleNamespace(call_type=call_type), **fields}


async def test_the_call_that_it_was_found_for_gets_it(litellm: Any) -> None:
    found = hit()
    given = await cache(lambda: found).async_get_cache(cache_key="k", **call())
    assert found.given
    assert given.choices[0].message.content == "A cat."
    given = await cache(lambda: hit(Api.MESSAGES)).async_get_cache(**call("anthropic_messages"))
    assert given["content"][0]["text"] == "A cat."
    given = await cache(lambda: hit(Api.RESPONSES)).async_get_cache(**call("aresponses"))
    assert given.output[0].content[0].text == "A cat."


@pytest.mark.parametrize(
    "other",
    [
        call(call_id="call-2"),  # a guardrail's own
        call("aresponses"),  # a bridge's inner one
        call("aembedding", input=["text"]),
        {"cache_key": "k"},  # one text of several to embed
    ],
)
async def test_every_other_call_gets_nothing(litellm: Any, other: dict[str, Any]) -> None:
    found = hit()
    assert await cache(lambda: found).async_get_cache(**other) is None
    assert not found.given


async def test_without_a_hit_litellm_is_told_that_nothing_is_cached(litellm: Any) -> None:
    empty = cache(lambda: None)
    assert empty.supported_call_types is None
    assert await empty.async_get_cache(**call()) is None
    assert cache(hit).supported_call_types == ("acompletion", "anthropic_messages", "aresponses")
    assert (empty.get_cache_key(), cache(hit).get_cache_key(model="m")) == ("", "answer-1")


async def test_nothing_is_stored(litellm: Any) -> None:
    ours = cache(hit)
    await ours.async_add_cache("result", **call())
    await ours.async_add_cache_pipeline("result", **call())
    ours.add_cache("result", **call())
    assert ours.get_cache(**call()) is None
    assert not ours.cache.cache_dict
    await ours.disconnect()


async def test_it_never_raises(litellm: Any) -> None:
    def broken() -> Any:
        raise RuntimeError("no flight")

    torn: Any = hit()
    torn.answer = None
    assert await cache(lambda: torn).async_get_cache(**call()) is None
    assert not torn.given
    assert await cache(broken).async_get_cache(**call()) is None
    assert cache(broken).supported_call_types is None


def test_it_has_every_part_of_litellm_s_own(litellm: Any) -> None:
    before = [list(callbacks) for callbacks in (litellm.input_callback, litellm.success_callback)]
    ours = cache(hit)
    assert [litellm.input_callback, litellm.success_callback] == before
    theirs = litellm.Cache(type="local", max_messages=None)
    assert set(vars(theirs)) <= set(vars(ours)) | {"supported_call_types"}
    for callbacks in (litellm.input_callback, litellm.success_callback, litellm._async_success_callback):
        callbacks[:] = [callback for callback in callbacks if callback != "cache"]


def test_it_takes_its_place_once_and_again_when_it_is_removed(litellm: Any) -> None:
    from fivelevers.proxies.litellm.answer_cache import AnswerCache, install

    assert install(hit) is None
    first = litellm.cache
    assert isinstance(first, AnswerCache)
    assert install(hit) is None
    assert litellm.cache is first
    litellm.cache = None
    assert install(hit) is None
    assert isinstance(litellm.cache, AnswerCache)


def test_a_cache_of_the_host_s_own_stays(litellm: Any) -> None:
    from fivelevers.proxies.litellm.answer_cache import HOST_CACHE, install

    litellm.cache = theirs = object()
    assert install(hit) == HOST_CACHE
    assert litellm.cache is theirs


@pytest.mark.parametrize(("sent", "left"), [({}, {}), (None, {}), ("x", {}), ({"ttl": 5}, {"ttl": 5})])
def test_litellm_is_made_to_ask(litellm: Any, sent: Any, left: dict[str, Any]) -> None:
    from fivelevers.proxies.litellm.answer_cache import ask

    data: dict[str, Any] = {"model": "m", "caching": False, "cache": sent}
    ask(data)
    assert data == {"model": "m", "caching": True, "cache": left}
