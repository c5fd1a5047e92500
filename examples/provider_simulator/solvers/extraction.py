"""Extraction: an object that follows a JSON schema, its values read from `Label: value` in the text."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from examples.provider_simulator.solvers import classification
from examples.provider_simulator.solvers.solution import Difficulty, Solution
from examples.provider_simulator.solvers.words import stems

Schema = Mapping[str, Any]
_PAIR = re.compile(
    r"(?:^|[\n;,|]|(?<=\.)\s)\s*[-*]*\s*\**([A-Za-z][\w /#'()-]{0,40}?)\**\s*:\**\s*"
    r"(.+?)(?=\s*(?:$|[\n;|]|,\s*[A-Z][\w /#-]{0,30}:|\.\s+[A-Z][\w /#-]{0,30}:))"
)
_SENTENCE_END = re.compile(r"(?<=\w\w\w)\.\s+(?=[A-Z])|(?<=\d)\.\s+(?=[A-Z])")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TRUE = {"yes", "true", "y", "1", "on"}


def solve(schema: Schema, text: str, instructions: str = "") -> Solution:
    """The object as JSON; wrong ones have one value replaced by another plausible one."""
    pairs = list(_pairs(text))
    right = _object(schema, pairs, text, instructions)
    return Solution("extraction", dump(right), tuple(_spoiled(schema, right, pairs)), _difficulty(right))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Each label and its value: the rest of a line that the label begins, else the rest of the sentence."""
    for match in _PAIR.finditer(text):
        label, value = match.groups()
        begins_line = not text[: match.start(1)].rpartition("\n")[2].strip(" -*")
        yield label.strip(), (value if begins_line else _SENTENCE_END.split(value)[0]).strip()


def dump(value: Any) -> str:
    return orjson.dumps(value).decode()


def _object(schema: Schema, pairs: list[tuple[str, str]], text: str, instructions: str) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    return {name: _value(name, rule, pairs, text, instructions) for name, rule in properties.items()}


def _value(name: str, rule: Schema, pairs: list[tuple[str, str]], text: str, instructions: str) -> Any:
    rule = _bare(rule)
    if rule.get("type") == "object":
        return _object(rule, pairs, text, instructions)
    found = _labelled(name, str(rule.get("description") or ""), pairs)
    if "const" in rule:
        return rule["const"]
    if rule.get("enum"):
        return _choice(name, rule["enum"], found, text, instructions)
    if found is None:
        return _absent(rule)
    return _typed(found, rule)


def _bare(rule: Schema) -> Schema:
    """The rule without the null of a union; `nullable` tells that it had one."""
    kind = rule.get("type")
    if isinstance(kind, list):
        real = [one for one in kind if one != "null"]
        return {**rule, "type": real[0] if real else "null", "nullable": len(real) < len(kind)}
    real = [one for one in rule.get("anyOf", ()) if one.get("type") != "null"]
    return {**rule, **real[0], "nullable": len(real) < len(rule["anyOf"])} if real else rule


def _labelled(name: str, description: str, pairs: list[tuple[str, str]]) -> str | None:
    """The value whose label says the property's name, or else shares most words with name and description."""
    wanted = stems(re.sub(r"([a-z])([A-Z])", r"\1 \2", name).replace("_", " "))
    best, best_score = None, 0.0
    for label, value in pairs:
        words = stems(label.replace("_", " "))
        common = len(set(words) & set(wanted))
        hints = len(set(words) & set(stems(description)))
        exact = 10.0 if words == wanted else 0.0
        score = exact + (3.0 * common + hints) / (len(set(words) | set(wanted)) or 1)
        if (common or hints == len(words)) and score > best_score:
            best, best_score = value, score
    return best


def _choice(name: str, options: list[Any], found: str | None, text: str, instructions: str) -> Any:
    """One of an enum: named by the labelled value, else classified by the cues in the instructions, else by name."""
    if found is not None:
        named = [option for option in options if stems(str(option)) == stems(found)]
        named += [option for option in options if option is not None and str(option).lower() in found.lower()]
        if named:
            return named[0]
    cues = classification.labels(instructions)
    known = {str(option): [*cues.get(str(option), []), str(option)] for option in options if option is not None}
    label = classification.rank(known, text).right
    return next(option for option in options if str(option) == label)


def _typed(found: str, rule: Schema) -> Any:
    kind = rule.get("type")
    if kind in {"integer", "number"}:
        number = _NUMBER.search(re.sub(r"(?<=\d),(?=\d{3}\b)", "", found))
        if number is None:
            return _absent(rule)
        value = float(number.group())
        return int(value) if kind == "integer" or value.is_integer() else value
    if kind == "boolean":
        return found.split(maxsplit=1)[0].strip(".,").lower() in _TRUE
    if kind == "array":
        items = [item.strip(" .") for item in re.split(r",|\band\b", found)]
        return [_typed(item, rule.get("items") or {}) for item in items if item]
    return found.rstrip(".").strip(" \"'`*")


def _absent(rule: Schema) -> Any:
    if rule.get("nullable"):
        return None
    return {"integer": 0, "number": 0, "boolean": False, "array": []}.get(str(rule.get("type")), "")


def _spoiled(schema: Schema, right: dict[str, Any], pairs: list[tuple[str, str]]) -> list[str]:
    """The object with one value wrong each: another enum value, a slipped number, another label's text."""
    properties, spoiled = schema.get("properties") or {}, []
    for name, value in right.items():
        options = _bare(properties[name]).get("enum") or []
        others: list[Any] = [option for option in options if option != value]
        if isinstance(value, bool):
            others = [not value]
        elif isinstance(value, int | float):
            others = [value + 1]
        elif isinstance(value, str) and not options:
            others = [text for _, text in pairs if text != value] or [""]
        if others and others[0] != value:
            spoiled.append(dump(right | {name: others[0]}))
    return spoiled


def _difficulty(right: dict[str, Any]) -> Difficulty:
    return "easy" if len(right) <= 4 else "medium" if len(right) <= 8 else "hard"
