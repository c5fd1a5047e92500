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
from litellm.llms.base_llm.base_model_iterator import convert_model_response_to_streaming
from litellm.llms.custom_llm import CustomLLM, CustomLLMError

from fivelevers.proxies.litellm.cascading import PROVIDER, Begun, Call, Cascading
from fivelevers.proxies.litellm.flight import current
from fivelevers.proxies.litellm.reading import mapping

MODEL: Final = "cascade"
_UNKNOWN: Final = (
    "fivelevers/cascade: the route of this request has no `levers.routing.cascade`; write one in the policy, or name "
    "the alias in the `match` of a route that has one"
)


class Cascade(CustomLLM):  # type: ignore[misc]  # LiteLLM is not followed by mypy (pyproject.toml)
    async def acompletion(self, model: str, messages: list[Any], **given: Any) -> Any:
        cascading, begun = _begun(messages, given)
        return await _answer(cascading, begun)

    def astreaming(self, model: str, messages: list[Any], **given: Any) -> AsyncIterator[Any]:
        """LiteLLM makes the headers before it reads the stream, and after this."""
        return _stream(*_begun(messages, given))


def _begun(messages: list[Any], given: Mapping[str, Any]) -> tuple[Cascading, Begun]:
    flight = current.get()
    if flight is None or flight.cascading is None:
        raise CustomLLMError(status_code=400, message=_UNKNOWN)
    params = mapping(given.get("litellm_params"))
    # LiteLLM has it in one of two places, by the API that the caller speaks.
    metadata = {**mapping(params.get("metadata")), **mapping(params.get("litellm_metadata"))}
    return flight.cascading, flight.cascading.begin(Call(messages, mapping(given.get("optional_params")), metadata))


async def _answer(cascading: Cascading, begun: Begun) -> Any:
    """A copy, since LiteLLM writes into what it is given, and the call that it is from is still to be logged."""
    found = copy.deepcopy(await cascading.answer(begun))
    found._hidden_params = {"response_cost": 0.0}
    _tell(cascading)
    return found


async def _stream(cascading: Cascading, begun: Begun) -> AsyncIterator[Any]:
    if begun.strong is not None:
        yield convert_model_response_to_streaming(await _answer(cascading, begun))
        return
    last = None
    async for piece in cascading.stream(begun):
        _tell(cascading)
        copied = copy.deepcopy(piece)
        if copied.choices and copied.choices[0].finish_reason:
            last = copied  # LiteLLM takes nothing after it, and the usage comes last
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
        f"{PROVIDER}/{MODEL}": {
            "litellm_provider": PROVIDER,
            "mode": "chat",
            "input_cost_per_token": 0.0,
            "output_cost_per_token": 0.0,
            "cache_read_input_token_cost": 0.0,
            "cache_creation_input_token_cost": 0.0,
        }
    }
)
