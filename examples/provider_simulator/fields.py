"""Reading fields out of a parsed JSON body; a wrong one becomes the provider's 400 that names it."""

from typing import Any

import orjson

from examples.provider_simulator.errors import ApiError, invalid, missing

Json = dict[str, Any]


def parse_object(raw: bytes) -> Json:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"We could not parse the JSON body of your request: {error}") from None
    if not isinstance(body, dict):
        raise ApiError(400, f"The body must be a JSON object, not {type(body).__name__}")
    return body


def text_field(body: Json, name: str, path: str = "") -> str:
    value = body.get(name)
    if value is None:
        raise missing(path + name)
    if not isinstance(value, str):
        raise invalid(path + name, f"expected a string, but got {_kind(value)}")
    return value


def list_field(body: Json, name: str, path: str = "") -> list[Any]:
    value = body.get(name)
    if value is None:
        raise missing(path + name)
    if not isinstance(value, list):
        raise invalid(path + name, f"expected an array, but got {_kind(value)}")
    return value


def optional_list(body: Json, name: str) -> list[Any]:
    return [] if body.get(name) is None else list_field(body, name)


def optional_object(body: Json, name: str) -> Json:
    value = body.get(name)
    return {} if value is None else as_object(value, name)


def as_object(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise invalid(path, f"expected an object, but got {_kind(value)}")
    return value


def flag(body: Json, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(name, f"expected a boolean, but got {_kind(value)}")
    return bool(value)


def whole_number(body: Json, name: str, *, at_least: int = 1) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(name, f"expected an integer, but got {_kind(value)}")
    if value < at_least:
        raise invalid(name, f"{value} is below the minimum of {at_least}")
    return value


def number_in(body: Json, name: str, low: float, high: float) -> None:
    value = body.get(name)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise invalid(name, f"expected a number in {low}..{high}, but got {value!r}")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
    return names.get(type(value), "null" if value is None else "a number")
