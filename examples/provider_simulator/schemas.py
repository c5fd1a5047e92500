"""The shape of a JSON schema, checked where it enters, so that the solvers can rely on it."""

from typing import Any

from examples.provider_simulator.errors import invalid
from examples.provider_simulator.fields import Json, as_object, optional_list, optional_object


def checked_schema(value: Any, path: str) -> Json:
    """The schema, when its known keywords have the right types at every depth; 400 with the path otherwise."""
    schema = as_object(value, path)
    kinds = schema.get("type", "")
    if not isinstance(kinds, str) and not _texts(kinds):
        raise invalid(f"{path}.type", f"expected a string or an array of strings, but got {kinds!r}")
    if not _texts(optional_list(schema, "required")):
        raise invalid(f"{path}.required", "expected an array of strings")
    for name, rule in optional_object(schema, "properties").items():
        checked_schema(rule, f"{path}.properties.{name}")
    for index, rule in enumerate(optional_list(schema, "anyOf")):
        checked_schema(rule, f"{path}.anyOf[{index}]")
    optional_list(schema, "enum")
    if "items" in schema:
        checked_schema(schema["items"], f"{path}.items")
    return schema


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
