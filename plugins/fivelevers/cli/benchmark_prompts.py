"""The prompts of a benchmark: lines of a file, or what a route's traffic asked."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.prompt import prompt_of
from fivelevers.metering.content import KEPT
from fivelevers.policy import Route
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import PATHS, Case

_DROPPED = frozenset({"model", "stream", "stream_options", "prompt"})
_FIX = 'write {"prompt": "..."} or a request {"messages": [...]} in each line'
_DAY_S = 86_400.0


def of_file(path: Path, route: str) -> list[Case]:
    """Lines of ``{"prompt"}`` or of a request's body; ``answer``: the right one, ``route``: a part of the route,
    ``api``: chat, messages or responses. The same case counts once. Raises CalibrationError, OSError.
    """
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return _once(_of_line(f"{path}:{number}", line, route) for number, line in lines if line.strip())


def _of_line(place: str, text: str, route: str) -> Case:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise CalibrationError(f"{place}: is no JSON ({error}); {_FIX}") from error
    if not isinstance(line, dict):
        raise CalibrationError(f"{place}: is no JSON object; {_FIX}")
    if isinstance(line.get("prompt"), str):
        line = {"messages": [{"role": "user", "content": line["prompt"]}], **line}
    api = _api(place, line)
    expected = line.get("answer")
    if expected is not None and not isinstance(expected, str):
        raise CalibrationError(f"{place}: answer: {expected!r} is no text; write it in quotes")
    body = {name: value for name, value in line.items() if name in KEPT - _DROPPED}
    prompt = prompt_of(api, body)
    if prompt is None:
        raise CalibrationError(f"{place}: has no text of a user's; {_FIX}")
    return Case(api, body, prompt, str(line.get("route") or route), expected, line)


def _api(place: str, line: Mapping[str, Any]) -> Api:
    name = line.get("api", "responses" if "input" in line else "messages" if "system" in line else "chat")
    try:
        api = Api(name)
        PATHS[api]
    except (ValueError, KeyError):
        known = ", ".join(api.value for api in PATHS)
        raise CalibrationError(f"{place}: api: {name!r} is none of {known}") from None
    return api


def of_ledger(url: str, route: Route, *, at_most: int, days: float) -> tuple[list[Case], int]:
    """Of the requests whose content a route kept, a sample drawn by their ids; and how many were no prompt to ask.

    Raises ContentError where the route keeps none, LedgerError.
    """
    from fivelevers.stores.content import read
    from fivelevers.stores.content_key import Keys
    from fivelevers.stores.ledger import Ledger

    ledger, left = Ledger(url), 0
    ledger.create()

    def usable() -> Iterator[tuple[str, Case]]:
        nonlocal left
        for stored in read(ledger, route, time.time() - days * _DAY_S, Keys.from_environment()):
            case = _of_stored(stored.api, stored.request, route.name, len(stored.answer.text))
            left += case is None
            if case is not None:
                yield sha256(stored.request_id.encode()).hexdigest(), case

    try:
        drawn = heapq.nsmallest(at_most, usable(), key=lambda one: one[0])
    finally:
        ledger.close()
    if not drawn:
        raise CalibrationError(f"routes.{route.name}: no request of the last {days:g} days was kept; let traffic come")
    return _once(case for _, case in drawn), left


def _of_stored(api: str, request: Mapping[str, Any], route: str, answer_chars: int) -> Case | None:
    """None: no prompt of a user's, or one that goes on from what a provider stores."""
    kind = Api(api)
    body = {name: value for name, value in request.items() if name not in _DROPPED}
    prompt = prompt_of(kind, body) if kind in PATHS and "previous_response_id" not in body else None
    return None if prompt is None else Case(kind, body, prompt, route, answer_chars=answer_chars)


def record(case: Case) -> dict[str, Any]:
    """A case as it is kept in the journal: what traffic asked is drawn once, and not again when a run goes on."""
    fields = {"body": case.body, "prompt": case.prompt, "route": case.route, "answer_chars": case.answer_chars}
    return {"case": {"api": case.api.value, **fields}}


def of_records(records: Iterable[Mapping[str, Any]]) -> list[Case]:
    found = (record["case"] for record in records if "case" in record)
    return [
        Case(Api(one["api"]), one["body"], one["prompt"], one["route"], answer_chars=one["answer_chars"])
        for one in found
    ]


def _once(cases: Iterable[Case]) -> list[Case]:
    return list({case.key: case for case in cases}.values())
