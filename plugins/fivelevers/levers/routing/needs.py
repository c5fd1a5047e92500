"""What a request asks of a model, and what a model is known to be able to: who lacks something is no candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fivelevers.levers.semantic_cache.question import blocks_of, turns_of
from fivelevers.request import Api

LIMITS: Final = {
    Api.CHAT: ("max_tokens", "max_completion_tokens"),
    Api.MESSAGES: ("max_tokens",),
    Api.RESPONSES: ("max_output_tokens",),
}
"""The fields that bound an answer, by API."""

_IMAGES = ("image", "image_url", "input_image")
_ATTACHED = frozenset({
    *_IMAGES, "audio", "computer_screenshot", "container_upload", "document", "file", "input_audio", "input_file",
    "item_reference", "video", "video_url",
})  # fmt: skip
_CLIENTS_TOOLS = (None, "function", "custom")
_FORMATS = ("json_schema", "json_object")
_FILLED = 0.9


@dataclass(frozen=True, slots=True)
class Needs:
    """``chars`` of the whole prompt; ``output_tokens`` that the answer may have, 0 where the request sets no limit."""

    chars: int
    output_tokens: int = 0
    tools: bool = False
    vision: bool = False
    schema: bool = False

    def unmet(self, model: Mapping[str, Any], tokens_per_char: float) -> str | None:
        """What a model lacks, by its entry in LiteLLM's map, the deployment's ``model_info`` over it; None: nothing.

        What an entry does not say a model can not do. Of a window that nobody states nothing is known; tokens are an
        estimate, so a prompt that nearly fills one does not fit.
        """
        for needed, ability in (
            (self.tools, "supports_function_calling"),
            (self.vision, "supports_vision"),
            (self.schema, "supports_response_schema"),
        ):
            if needed and not model.get(ability):
                return ability.removeprefix("supports_")
        window = model.get("max_input_tokens")
        if isinstance(window, int) and self.chars * tokens_per_char > _FILLED * window:
            return "context"
        longest = model.get("max_output_tokens")
        return "output" if isinstance(longest, int) and self.output_tokens > longest else None


def needs_of(api: Api, body: Mapping[str, Any], chars: int) -> Needs:
    """``chars``: of the whole prompt, tools and system text too."""
    return Needs(
        chars=chars,
        output_tokens=answer_limit(api, body) or 0,
        tools=bool(body.get("tools") or body.get("functions")),
        vision=any(_is_image(block) for turn in turns_of(api, body) if isinstance(turn, dict) for block in _all(turn)),
        schema=_formatted(body),
    )


def answer_limit(api: Api, body: Mapping[str, Any]) -> int | None:
    """The most tokens that a request lets its answer have; None: it does not say."""
    return max((limit for name in LIMITS.get(api, ()) if isinstance(limit := body.get(name), int)), default=None)


def exceeds_its_bytes(api: Api, body: Mapping[str, Any]) -> bool:
    """Whether a model may read more than stands in the request: images, files, sound, what a provider keeps, and what
    its own tools bring.
    """
    tools = body.get("tools")
    if isinstance(tools, list) and not all(_of_the_client(tool) for tool in tools):
        return True
    rest: list[object] = list(turns_of(api, body))
    while rest:
        part = rest.pop()
        if isinstance(part, Mapping):
            kind = part.get("type")
            if isinstance(kind, str) and kind in _ATTACHED:
                return True
            rest += part.values()
        elif isinstance(part, list):
            rest += part
    return False


def _of_the_client(tool: object) -> bool:
    return isinstance(tool, Mapping) and tool.get("type") in _CLIENTS_TOOLS


def _all(turn: Mapping[str, Any]) -> list[Any]:
    """Its blocks, and those within a tool's result."""
    blocks = blocks_of(turn)
    within = [inner for block in blocks if isinstance(block, dict) for inner in blocks_of(block)]
    return [*blocks, *within]


def _is_image(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") in _IMAGES


def _formatted(body: Mapping[str, Any]) -> bool:
    """Chat: ``response_format``; Responses: ``text.format``; Messages: ``output_format``, ``output_config.format``."""
    holders = [body, body.get("text"), body.get("output_config")]
    formats = [one.get(name) for one in holders if isinstance(one, dict) for name in ("format", "output_format")]
    formats.append(body.get("response_format"))
    return any(isinstance(one, dict) and one.get("type") in _FORMATS for one in formats)
