"""A parsed request and an API's way of writing answers: what stands between the wire and the simulated model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from examples.provider_simulator.answer import Answer
from examples.provider_simulator.bill import Usage
from examples.provider_simulator.conversation import Conversation
from examples.provider_simulator.errors import ApiError, Provider, invalid
from examples.provider_simulator.fields import Json
from examples.provider_simulator.prices import Catalogue, Model


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `cache_key`, `keep_a_day` and `marks_alone` are OpenAI's cache settings; `choices` is chat's `n`;
    `mistaken` is the fault of a wrong answer.
    """

    api: str
    model: Model
    body: Json
    conversation: Conversation
    stream: bool = False
    max_tokens: int | None = None
    choices: int = 1
    cache_key: str = ""
    keep_a_day: bool = False
    marks_alone: bool = False
    mistaken: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a stream: its bytes, the output tokens in it, and whether it tells the final usage."""

    data: bytes
    tokens: int = 0
    has_usage: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """All that an API needs to write an answer. `show_usage` False: the fault of a stream without usage."""

    call: Call
    id: str
    created: int
    usage: Usage
    answers: tuple[Answer, ...]
    show_usage: bool = True

    @property
    def answer(self) -> Answer:
        return self.answers[0]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What parsing may look at beyond the body: headers, the models, and the stored items of earlier responses."""

    headers: Mapping[str, str]
    catalogue: Catalogue
    earlier_items: Callable[[str], list[Any]]


@dataclass(frozen=True, slots=True)
class Api:
    name: str
    provider: Provider
    id_prefix: str
    parse: Callable[[Json, Surroundings], Call]
    whole: Callable[[Reply], Json]
    stream: Callable[[Reply], Iterator[Chunk]]
    extra_headers: Mapping[str, str] = field(default_factory=dict)


def check_limits(call: Call) -> Call:
    """The 400s of a prompt or an output limit that the model does not take."""
    tokens, model = call.conversation.tokens, call.model
    if tokens > model.context:
        raise ApiError(400, _too_long(model, tokens), param="messages", code="context_length_exceeded")
    if call.max_tokens and call.max_tokens > model.max_output:
        raise invalid("max_tokens", f"{call.max_tokens} > {model.max_output}, the maximum for {model.name}")
    return call


def _too_long(model: Model, tokens: int) -> str:
    """Each provider's words: clients tell this error by them."""
    if model.provider == "anthropic":
        return f"prompt is too long: {tokens} tokens > {model.context} maximum"
    return f"This model's maximum context length is {model.context} tokens. However, your messages are {tokens} tokens."
