"""The LiteLLM provider `fivelevers`, whose one model is `cascade`:

    litellm_settings:
      custom_provider_map: [{provider: fivelevers, custom_handler: fivelevers.proxies.litellm.cascade.handler}]

Where the weak model is asked, a stream is the whole answer at once: it can not be looked at before it is there.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import litellm
from litellm.constants import LITTELM_INTERNAL_HEALTH_SERVICE_ACCOUNT_NAME as HEALTH_CHECK
from litellm.llms.base_llm.base_model_iterator import convert_model_response_to_streaming
from litellm.llms.custom_llm import CustomLLM, CustomLLMError

from fivelevers import metrics
from fivelevers.levers.routing.deployments import CASCADE, STRONG
from fivelevers.proxies.litellm.cascading import PROVIDER, STREAMED, Begun, Call, Cascading
from fivelevers.proxies.litellm.flight import current
from fivelevers.proxies.litellm.own_calls import router
from fivelevers.proxies.litellm.reading import mapping
from fivelevers.proxies.litellm.tried import LEVER

_UNKNOWN: Final = (
    "fivelevers/cascade: the route of this request has no `levers.routing.cascade`, and the deployment no "
    f"`model_info.{STRONG}`; write one in the policy, or name the alias in the `match` of a route that has one"
)


class Cascade(CustomLLM):  # type: ignore[misc]  # LiteLLM is not followed by mypy (pyproject.toml)
    async def acompletion(self, model: str, messages: list[Any], **given: Any) -> Any:
        call, cascading = _call(messages, given), _planned()
        if HEALTH_CHECK in (call.metadata.get("tags") or ()):
            return litellm.mock_completion(model, messages, mock_response="both models have checks of their own")
        if cascading is None:
            return _given(await router().acompletion(**call.to(_strong(call))))
        return await _answer(cascading, cascading.begin(call))

    def astreaming(self, model: str, messages: list[Any], **given: Any) -> AsyncIterator[Any]:
        """LiteLLM makes the headers before it reads the stream, and after this."""
        call, cascading = _call(messages, given), _planned()
        if cascading is None:
            return _in_order(_streamed(call, _strong(call)))
        return _stream(cascading, cascading.begin(call))


def _call(messages: list[Any], given: Mapping[str, Any]) -> Call:
    params = mapping(given.get("litellm_params"))
    # LiteLLM has it in one of two places, by the API that the caller speaks.
    metadata = {**mapping(params.get("metadata")), **mapping(params.get("litellm_metadata"))}
    return Call(messages, mapping(given.get("optional_params")), metadata)


def _planned() -> Cascading | None:
    """None where nobody says how: no such policy, or a fault of ours before."""
    flight = current.get()
    return None if flight is None else flight.cascading


def _strong(call: Call) -> str:
    """Who answers where nobody says how, so that traffic passes. Raises CustomLLMError where nobody says that."""
    strong = mapping(call.metadata.get("model_info")).get(STRONG)
    if not isinstance(strong, str):
        raise CustomLLMError(status_code=400, message=_UNKNOWN)
    metrics.requests.labels(LEVER, "cascade-unplanned").inc()
    return strong


async def _answer(cascading: Cascading, begun: Begun) -> Any:
    found = _given(await cascading.answer(begun))
    if begun.what.by_chances and not begun.call.params.get("logprobs"):
        for choice in found.choices:
            choice.logprobs = None  # which the caller did not ask for
    _tell(cascading)
    return found


def _given(answer: Any) -> Any:
    """A copy, since LiteLLM writes into what it is given, and the call that it is from is still to be logged."""
    found = copy.deepcopy(answer)
    found._hidden_params = {"response_cost": 0.0}
    return found


async def _stream(cascading: Cascading, begun: Begun) -> AsyncIterator[Any]:
    if begun.strong is not None:
        yield convert_model_response_to_streaming(await _answer(cascading, begun))
        return
    async for piece in _in_order(cascading.stream(begun)):
        _tell(cascading)
        yield piece


async def _streamed(call: Call, strong: str) -> AsyncIterator[Any]:
    async for piece in await router().acompletion(**call.to(strong), **STREAMED):
        yield piece


async def _in_order(pieces: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The end last: LiteLLM takes nothing after it, and providers tell the usage then."""
    last = None
    async for piece in pieces:
        copied = copy.deepcopy(piece)
        if copied.choices and copied.choices[0].finish_reason:
            last = copied
        else:
            yield copied
    if last is not None:
        yield last


def _tell(cascading: Cascading) -> None:
    """Who answers, for the headers."""
    flight = current.get()
    if flight is not None and cascading.gave is not None:
        flight.asked = cascading.gave.asked


handler = Cascade()
# Both of its calls are billed by themselves.
litellm.register_model(
    {
        CASCADE: {
            "litellm_provider": PROVIDER,
            "mode": "chat",
            "input_cost_per_token": 0.0,
            "output_cost_per_token": 0.0,
            "cache_read_input_token_cost": 0.0,
            "cache_creation_input_token_cost": 0.0,
        }
    }
)
