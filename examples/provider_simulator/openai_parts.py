"""Fields that chat completions and Responses share."""

from collections.abc import Mapping
from typing import Any

from examples.provider_simulator.conversation import Part, Tool, object_part, text_part
from examples.provider_simulator.errors import invalid, missing
from examples.provider_simulator.fields import Json, as_object, optional_object, text_field
from examples.provider_simulator.schemas import checked_schema

_TEXT = {"text", "input_text", "output_text", "refusal"}
_MEDIA = {
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "file": "file",
    "input_file": "file",
}


def content_parts(content: Any, path: str) -> list[Part]:
    """A message's content (a string, an array of parts, or null) as blocks."""
    if content is None:
        return []
    if isinstance(content, str):
        return [text_part(content)]
    if not isinstance(content, list):
        raise invalid(path, f"expected a string or an array of parts, but got {type(content).__name__}")
    return [_part(as_object(item, f"{path}[{index}]"), f"{path}[{index}].") for index, item in enumerate(content)]


def _part(item: Json, path: str) -> Part:
    kind = text_field(item, "type", path)
    mark = "30m" if item.get("prompt_cache_breakpoint") else None
    if kind in _TEXT:
        return text_part(text_field(item, "refusal" if kind == "refusal" else "text", path), mark)
    if kind in _MEDIA:
        bare = {name: value for name, value in item.items() if name != "prompt_cache_breakpoint"}
        return object_part(_MEDIA[kind], bare, mark, text="")
    raise invalid(f"{path}type", f"'{kind}' is not one of {', '.join(sorted(_TEXT | set(_MEDIA)))}")


def function_tool(row: Json, path: str) -> Tool:
    """A function's name, description and parameters; `row` is the object that holds them."""
    schema = checked_schema(row.get("parameters") or {}, f"{path}parameters")
    part = object_part("tool", {name: row[name] for name in ("name", "description", "parameters") if name in row})
    return Tool(text_field(row, "name", path), str(row.get("description") or ""), schema, part)


def hosted_tool(row: Json) -> Tool:
    """A tool that the provider runs itself: counted, never called here."""
    return Tool("", "", {}, object_part("tool", row))


def forced_tool(choice: Any, tools: tuple[Tool, ...]) -> str | None:
    """The tool that `tool_choice` demands: a name, "*" for any, None for a free choice."""
    if choice == "required":
        return "*"
    if not isinstance(choice, dict):
        return None
    if choice.get("type") == "allowed_tools":
        allowed = choice | optional_object(choice, "allowed_tools")
        return "*" if allowed.get("mode") == "required" else None
    name = text_field(choice | optional_object(choice, "function"), "name", "tool_choice.")
    if name not in {tool.name for tool in tools}:
        raise invalid("tool_choice", f"function '{name}' is not among the tools")
    return name


def output_schema(row: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """The JSON schema that the answer must follow: {} for any JSON object, None for free text."""
    kind = row.get("type", "text")
    if kind == "text":
        return None
    if kind == "json_object":
        return {}
    if kind != "json_schema":
        raise invalid(f"{path}.type", f"'{kind}' is not one of json_object, json_schema, text")
    nested = row.get("json_schema", row)
    if not isinstance(nested, dict) or not nested.get("name"):
        raise missing(f"{path}.name")
    return checked_schema(nested.get("schema") or {}, f"{path}.schema")


def cache_options(body: Json) -> Json:
    """The `Call` fields of OpenAI's cache settings."""
    options = optional_object(body, "prompt_cache_options")
    if options.get("ttl", "30m") != "30m":
        raise invalid("prompt_cache_options.ttl", f"{options['ttl']!r} is not supported; the one value is '30m'")
    return {
        "cache_key": str(body.get("prompt_cache_key") or ""),
        "keep_a_day": body.get("prompt_cache_retention") == "24h",
        "marks_alone": options.get("mode") == "explicit",
    }
