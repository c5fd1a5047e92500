"""Pydantic's errors in our words: the rule that a value breaks, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from fivelevers.order import Mode

Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """One error: where in the value that was validated, what stands there, which rule it breaks, what to write."""

    where: Where
    value: object
    rule: str
    fix: str


def explain(error: ValidationError, model: type[BaseModel], also: Sequence[str] = ()) -> list[Wrong]:
    """Every error of ``model``; ``also`` names keys that are known at its top beside its own."""
    return [_explain(detail, model, also) for detail in error.errors()]


def _explain(detail: Mapping[str, Any], model: type[BaseModel], also: Sequence[str]) -> Wrong:
    where: Where = tuple(detail["loc"])
    value, kind = detail["input"], str(detail["type"])
    if kind == "extra_forbidden":
        own = _model_at(model, where[:-1])
        return Wrong(where, value, "is not a known key", unknown(where[-1], [*own.model_fields, *also]))
    if kind == "missing":
        return Wrong(where[:-1], value, f"has no `{where[-1]}`", f"add `{where[-1]}`, which has no default")
    if kind == "invalid_key" or where[-1:] == ("[key]",):
        there = tuple(str(part) for part in where if part != "[key]")
        return Wrong(there, value, "is a key that is not text", f'write it in quotes: "{value}":')
    if kind == "wrong":
        return Wrong(where, value, detail["ctx"]["rule"], detail["ctx"]["fix"])
    field = _field_at(model, where)
    rule, fix = _of_field(kind, value, str(where[-1]), field) if field else (str(detail["msg"]), "correct it")
    return Wrong(where, value, rule, fix)


def unknown(key: object, known: Sequence[str]) -> str:
    """What to write instead of a key that nobody knows."""
    near = difflib.get_close_matches(str(key), known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"


def _of_field(kind: str, value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    for kinds, say in _SAYINGS:
        if kind in kinds:
            return say(value, name, field)
    return f"is not accepted ({kind})", "see the table of keys in the README"


def _no_number(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    rule = "is not a whole number" if field.annotation is int else "is not a number"
    try:
        return rule, f"write {float(value):g}, without quotes" if isinstance(value, str) else _bounds(field)[1]
    except ValueError:
        return rule, _bounds(field)[1]


def _out_of_range(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    return _bounds(field)


def _bounds(field: FieldInfo) -> tuple[str, str]:
    limits = {key: getattr(m, key) for m in field.metadata for key in ("ge", "gt", "le") if hasattr(m, key)}
    low, high = limits.get("ge"), limits.get("le")
    if "gt" in limits:
        return f"is not above {limits['gt']:g}", f"write a number above {limits['gt']:g}"
    if high is None:
        return f"is below {low:g}" if low is not None else "is out of range", f"write a number from {low or 0:g} up"
    return f"is not in {low:g}..{high:g}", f"write a number from {low:g} to {high:g}"


def _no_choice(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    known = _choices(field.annotation)
    if len(known) == 1:
        return f"is not {known[0]}", f"write `{name}: {known[0]}`, or leave it out"
    near = difflib.get_close_matches(str(value), known, n=1)
    return f"is none of {', '.join(known)}", f"did you mean `{near[0]}`?" if near else "write one of them"


def _choices(annotation: Any) -> list[str]:
    if annotation is Mode:
        return [mode.value for mode in Mode]
    if get_origin(annotation) is Literal:
        return [str(choice).lower() for choice in get_args(annotation)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]


def _no_boolean(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    return "is neither true nor false", f"write `{name}: true`, or leave it out"


def _no_text(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    scalar = isinstance(value, bool | int | float)
    return "is not text", f'write it in quotes: {name}: "{value}"' if scalar else "write one text"


def _no_mapping(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    model = _model_in(field.annotation)
    keys = f" with keys among {', '.join(model.model_fields)}" if model else ""
    return "is not a mapping", f"leave `{name}` out, or write a mapping{keys}"


def _no_list(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    return "is not a list", f"write a list: `{name}: [...]`"


def _no_match(value: object, name: str, field: FieldInfo) -> tuple[str, str]:
    if name == "name":
        return "is not a route's name", "use up to 63 lower-case letters, digits, - and _, a letter or digit first"
    return "is not an entry point", "write package.module:callable"


_Say = Callable[[object, str, FieldInfo], tuple[str, str]]
_SAYINGS: tuple[tuple[tuple[str, ...], _Say], ...] = (
    (("greater_than", "greater_than_equal", "less_than_equal"), _out_of_range),
    (("finite_number",), lambda value, name, field: ("is not a finite number", _bounds(field)[1])),
    (("float_type", "int_type"), _no_number),
    (("enum", "literal_error"), _no_choice),
    (("bool_type",), _no_boolean),
    (("string_type",), _no_text),
    (("string_pattern_mismatch",), _no_match),
    (("dict_type", "model_type", "model_attributes_type"), _no_mapping),
    (("tuple_type",), _no_list),
)


def _model_at(model: type[BaseModel], where: Where) -> type[BaseModel]:
    for part in where:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        model = (_model_in(field.annotation) if field else None) or model
    return model


def _field_at(model: type[BaseModel], where: Where) -> FieldInfo | None:
    names = [part for part in where if isinstance(part, str)]
    for depth in range(len(names), 0, -1):  # the innermost part that is a field: below it stand free keys (`header`)
        field = _model_at(model, tuple(names[: depth - 1])).model_fields.get(names[depth - 1])
        if field is not None:
            return field
    return None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
