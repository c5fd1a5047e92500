"""Faults on demand: rules that say which requests go wrong and how."""

import random
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, get_args

from examples.provider_simulator.errors import ApiError, server_error

FaultKind = Literal[
    "400",
    "429",
    "500",
    "529",
    "timeout",
    "cut_stream",
    "end_stream",
    "no_stream_usage",
    "wrong",
    "commit_then_drop",
    "commit_then_500",
    "slow_commit",
    "list_lag",
    "row_error",
    "expire",
    "cancelled",
    "token_limit_exceeded",
]
_KINDS = get_args(FaultKind)
_FIELDS = {"match", "fault", "times", "times_each", "rate", "hang_s", "after_chunks", "retry_after_s", "share"}
_MATCH = {"model", "api", "call", "key", "stream", "contains"}
_NUMBERS = ("rate", "hang_s", "after_chunks", "retry_after_s", "share")
_SHARES = ("rate", "share")
_STREAM_ALONE = {"cut_stream", "end_stream", "no_stream_usage"}
_CHANGE_ALONE = {"commit_then_drop", "commit_then_500", "slow_commit"}
CALL_FAULTS = frozenset({"400", "429", "500", "529", "timeout", "wrong"} | _STREAM_ALONE | _CHANGE_ALONE)
"""How one request goes; the others say what becomes of a batch, of its rows and of lists, and are drawn apart."""
OUTCOME_FAULTS = frozenset({"expire", "cancelled", "token_limit_exceeded"})
MAX_RULES = 100
MAX_REQUESTS = 100_000
"""That a rule with `times_each` remembers; then it forgets the one it hit longest ago."""


@dataclass(frozen=True, slots=True)
class Target:
    """What of a request a rule can match. `call` names those of files and batches: "create", "retrieve", ..."""

    model: str
    api: str
    key: str
    stream: bool
    text: str
    call: str = ""
    changes: bool = False


@dataclass(slots=True)
class Rule:
    """`times_left` None: without end. `times_each`: how often it hits one and the same request, None: each time.
    `rate`: the share of matching requests that it hits.

    `share`: of a batch's rows, those that finish before it expires or is cancelled.
    """

    fault: FaultKind
    match: dict[str, Any]
    times_left: int | None = None
    times_each: int | None = None
    rate: float = 1.0
    hang_s: float = 30.0
    after_chunks: int = 3
    retry_after_s: int = 1
    share: float = 0.5
    hits: int = 0
    _hit: OrderedDict[bytes, int] = field(default_factory=OrderedDict, repr=False)

    def matches(self, target: Target) -> bool:
        if self.fault in _STREAM_ALONE and not target.stream:
            return False
        if self.fault in _CHANGE_ALONE and not target.changes:
            return False
        wanted = {name: value for name, value in self.match.items() if name != "contains"}
        same = all(getattr(target, name) == value for name, value in wanted.items())
        return same and self.match.get("contains", "") in target.text and not self._had_enough(target)

    @property
    def cut_after(self) -> int | None:
        """Chunks of a stream, after which no more come."""
        return self.after_chunks if self.fault in {"cut_stream", "end_stream"} else None

    def hit(self, target: Target) -> None:
        self.hits += 1
        if self.times_left is not None:
            self.times_left -= 1
        if self.times_each is not None:
            name = _name(target)
            self._hit[name] = self._hit.pop(name, 0) + 1
            if len(self._hit) > MAX_REQUESTS:
                self._hit.popitem(last=False)

    def _had_enough(self, target: Target) -> bool:
        return self.times_each is not None and self._hit.get(_name(target), 0) >= self.times_each

    def as_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault,
            "match": self.match,
            "times_left": self.times_left,
            "times_each": self.times_each,
            "rate": self.rate,
            "hits": self.hits,
        }


class Faults:
    """The rules in order; the first that matches and is drawn hits. Draws are repeatable by seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.clear()

    def clear(self) -> None:
        self.rules: list[Rule] = []
        self._random = random.Random(f"faults {self._seed}")

    def add(self, rows: Any) -> None:
        """Append rules from JSON: one object, a list, or {"rules": [...]}. All are read before one is added."""
        if isinstance(rows, dict):
            rows = rows.get("rules", [rows])
        if not isinstance(rows, list):
            raise ValueError("rules: give a rule or a list of rules")  # noqa: TRY004 (callers report ValueError alone)
        rules = [_rule(row, f"rules[{index}]") for index, row in enumerate(rows)]
        if len(self.rules) + len(rules) > MAX_RULES:
            raise ValueError(f"rules: more than {MAX_RULES}; DELETE /sim/faults first")
        self.rules += rules

    def draw(self, target: Target, among: frozenset[str] = CALL_FAULTS) -> Rule | None:
        """The rule that hits, if one does, of those whose fault is `among` these."""
        for rule in self.rules:
            if rule.fault not in among or rule.times_left == 0:
                continue
            if rule.matches(target) and self._random.random() < rule.rate:
                rule.hit(target)
                return rule
        return None


def raise_error(rule: Rule, provider: str) -> None:
    """Raise the error of a 400, 429, 500 or 529 rule; OpenAI, which has no 529, says the same with a 503."""
    if rule.fault == "400":
        raise ApiError(400, "Your request was refused by a fault rule", code="invalid_value")
    if rule.fault == "429":
        raise ApiError(
            429, "Rate limit reached for requests", code="rate_limit_exceeded", retry_after_s=rule.retry_after_s
        )
    if rule.fault == "500":
        raise server_error()
    if rule.fault == "529":
        raise ApiError(529 if provider == "anthropic" else 503, "Overloaded", code="server_overloaded")


def _rule(row: Any, path: str) -> Rule:
    if not isinstance(row, dict):
        raise ValueError(f"{path}: {row!r} is not an object")  # noqa: TRY004 (callers report ValueError alone)
    _only(row, _FIELDS, path)
    if row.get("fault") not in _KINDS:
        raise ValueError(f"{path}.fault: {row.get('fault')!r} is not one of {', '.join(_KINDS)}")
    match = row.get("match") or {}
    _only(match, _MATCH, f"{path}.match")
    numbers = {name: _number(row, name, path) for name in _NUMBERS if name in row}
    for name in _SHARES:
        if numbers.get(name, 0) > 1:
            raise ValueError(f"{path}.{name}: {row[name]} is not in 0..1")
    times, each = (_count(row, name, path) for name in ("times", "times_each"))
    return Rule(fault=row["fault"], match=dict(match), times_left=times, times_each=each, **numbers)


def _name(target: Target) -> bytes:
    """Of one and the same request: the same words to the same model under the same key."""
    text = "\x00".join((target.key, target.api, target.model, target.text))
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _count(row: dict[str, Any], name: str, path: str) -> int | None:
    return int(_number(row, name, path)) if row.get(name) is not None else None


def _number(row: dict[str, Any], name: str, path: str) -> Any:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{path}.{name}: {value!r} is not a number from 0 on")
    return value if name in {"rate", "hang_s", "share"} else int(value)


def _only(row: Any, known: set[str], path: str) -> None:
    unknown = set(row) - known if isinstance(row, dict) else {repr(row)}
    if unknown:
        raise ValueError(f"{path}.{min(unknown)}: unknown; known are {', '.join(sorted(known))}")
