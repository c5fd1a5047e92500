"""What an API hands to the wire: the answer's text or tool calls, independent of any API's shape."""

from dataclasses import dataclass
from typing import Literal

from examples.provider_simulator.tokens import clip, count_tokens

Finish = Literal["stop", "stop_sequence", "length", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of the tool `name`; `arguments` is a JSON object's text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    stop: str | None = None  # the stop sequence that ended the text

    @property
    def tokens(self) -> int:
        return count_tokens(self.text) + sum(call_tokens(call) for call in self.calls)


def call_tokens(call: ToolCall) -> int:
    return count_tokens(call.name) + count_tokens(call.arguments)


def bounded(answer: Answer, max_tokens: int | None, stop: tuple[str, ...]) -> Answer:
    """The answer as stop sequences and a token limit leave it; tool calls are never cut."""
    if answer.calls:
        return Answer(answer.text, answer.calls, "tool")
    found = [(answer.text.index(word), word) for word in stop if word and word in answer.text]
    if found:
        at, word = min(found)
        answer = Answer(answer.text[:at], (), "stop_sequence", word)
    if max_tokens is not None and answer.tokens > max_tokens:
        return Answer(clip(answer.text, max_tokens), (), "length")
    return answer
