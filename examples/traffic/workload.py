"""The traffic files: one request a line, in JSON.

`{"at": seconds from the start, "tenant": key alias, "session": str, "api": "chat|messages|responses|embeddings",
"workload": str, "body": the provider's body with the proxy's model alias, "truth": null or {"check", "value"}}`
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.traffic.problems import TrafficError
from examples.traffic.references import HERE, expand
from examples.traffic.truth import Truth

APIS = ("chat", "messages", "responses", "embeddings")
WORKLOADS = HERE / "workloads"


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the traffic. `at_s` counts from the start, `source` is the file and line it came from."""

    at_s: float
    tenant: str
    session: str
    api: str
    workload: str
    body: Mapping[str, Any]
    truth: Truth | None
    source: str


def load_all(folder: Path = WORKLOADS, *, only: str | None = None) -> list[Request]:
    """The requests of every file in the folder in the order of their arrival. `only` keeps one workload."""
    found = [request for path in sorted(folder.glob("*.jsonl")) for request in load(path)]
    if not found:
        raise TrafficError(f"{folder}: no *.jsonl file with requests; run python -m examples.traffic.build")
    chosen = [request for request in found if only in (None, request.workload)]
    if not chosen:
        names = ", ".join(sorted({request.workload for request in found}))
        raise TrafficError(f"workload: there is no {only!r}; choose one of {names}")
    return in_order(chosen)


def in_order(requests: Iterable[Request]) -> list[Request]:
    """Sorted by arrival; requests of one moment keep the order in which they stand."""
    return sorted(requests, key=lambda request: request.at_s)


def load(path: Path) -> Iterator[Request]:
    """The requests of one file. Raises TrafficError with file, line and field of the first that is wrong."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield parse(line, source=f"{path.name}:{number}")
        except TrafficError as problem:
            raise TrafficError(f"{path.name}:{number}: {problem}") from None


def parse(line: str, *, source: str) -> Request:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as problem:
        raise TrafficError(f"not JSON ({problem}); write one object a line") from None
    if not isinstance(row, dict):
        raise TrafficError(f"{type(row).__name__} is not an object; write one object a line")
    body = _field(row, "body", (dict,))
    _field(body, "model", (str,), where="body.")
    return Request(
        at_s=_at(row),
        tenant=_field(row, "tenant", (str,)),
        session=_field(row, "session", (str,)),
        api=_api(row),
        workload=_field(row, "workload", (str,)),
        body=expand(body),
        truth=None if row.get("truth") is None else Truth.read(row["truth"]),
        source=source,
    )


def _field(row: Mapping[str, Any], name: str, kinds: Sequence[type], where: str = "") -> Any:
    if name not in row:
        raise TrafficError(f"{where}{name}: missing")
    if not isinstance(row[name], tuple(kinds)) or isinstance(row[name], bool):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise TrafficError(f"{where}{name}: {row[name]!r} is not of type {wanted}")
    return row[name]


def _at(row: Mapping[str, Any]) -> float:
    at = float(_field(row, "at", (int, float)))
    if not at >= 0:
        raise TrafficError(f"at: {at} is not 0 or more; give seconds from the start")
    return at


def _api(row: Mapping[str, Any]) -> str:
    api: str = _field(row, "api", (str,))
    if api not in APIS:
        raise TrafficError(f"api: {api!r} is not one of {', '.join(APIS)}")
    return api
