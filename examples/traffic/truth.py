"""What a right answer is, and whether an answer is one.

A truth is checked the way a person in a hurry would: a number may stand in a sentence, a label may end with a full
stop, JSON may be fenced. A fact must stand in the answer as a whole: "$49" is not in "$490".
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from examples.traffic.problems import TrafficError

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")
_FENCE = re.compile(r"^```\w*\n(.*)\n```$", re.S)


@dataclass(frozen=True, slots=True)
class Truth:
    """`check` is number, label, json or contains; `value` is what a right answer amounts to."""

    check: str
    value: Any

    @classmethod
    def read(cls, row: Any) -> "Truth":
        """From {"check", "value"}. Raises TrafficError with the field that is wrong."""
        if not isinstance(row, Mapping) or row.keys() != {"check", "value"}:
            raise TrafficError(f"truth: {row!r} is not null or an object with check and value")
        if row["check"] not in _CHECKS:
            raise TrafficError(f"truth.check: {row['check']!r} is not one of {', '.join(_CHECKS)}")
        wanted = _VALUES[row["check"]]
        if not isinstance(row["value"], wanted) or isinstance(row["value"], bool):
            raise TrafficError(f"truth.value: {row['value']!r} does not fit the check {row['check']!r}")
        return cls(row["check"], row["value"])

    def holds(self, answer: str) -> bool:
        return _CHECKS[self.check](self.value, answer)


def _number(value: float, answer: str) -> bool:
    """The last number of the answer, since what comes before it is the way there."""
    found = _NUMBER.findall(answer)
    return bool(found) and Decimal(found[-1].replace(",", "")) == Decimal(str(value))


def _label(value: str, answer: str) -> bool:
    return answer.strip().strip("`\"'*. ").casefold() == value.casefold()


def _contains(value: str, answer: str) -> bool:
    fact = r"\s+".join(re.escape(word) for word in value.split())
    return re.search(rf"(?<!\w)(?<!\d[.,]){fact}(?!\w|[.,]\d)", answer, re.I) is not None


def _json(value: Mapping[str, Any], answer: str) -> bool:
    """Every expected field with its value; fields beyond these are the model's own affair."""
    text = answer.strip()
    fenced = _FENCE.match(text)
    try:
        found = json.loads(fenced.group(1) if fenced else text)
    except json.JSONDecodeError:
        return False
    return isinstance(found, dict) and all(name in found and found[name] == value[name] for name in value)


_CHECKS: dict[str, Callable[[Any, str], bool]] = {
    "number": _number,
    "label": _label,
    "json": _json,
    "contains": _contains,
}
_VALUES: dict[str, tuple[type, ...]] = {"number": (int, float), "label": (str,), "json": (dict,), "contains": (str,)}
