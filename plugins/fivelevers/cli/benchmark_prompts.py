"""The prompts of a benchmark: lines of a file, or what a route's traffic asked."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fivelevers.cli.json_lines import lines_of
from fivelevers.errors import CalibrationError
from fivelevers.levers.batch.packaging import without_marks
from fivelevers.levers.routing.needs import exceeds_its_bytes
from fivelevers.levers.routing.prompt import Tie, prompt_of, tie_of
from fivelevers.metering.content import KEPT
from fivelevers.policy import Route
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import PATHS, Case

if TYPE_CHECKING:
    from fivelevers.stores.content import StoredContent

_DROPPED = frozenset({
    "model", "stream", "stream_options", "prompt",
    # What makes a call dearer than its tokens at the plain price.
    "n", "service_tier", "prediction", "cache_control", "prompt_cache_key", "prompt_cache_options",
    "prompt_cache_retention",
})  # fmt: skip
_FIX = 'write {"prompt": "..."} or a request {"messages": [...]} in each line'
_DAY_S = 86_400.0


def of_file(path: Path, route: str) -> tuple[list[Case], int]:
    """Lines of ``{"prompt"}`` or of a request's body; ``answer``: the right one, ``route``: a part of the route,
    ``api``: chat, messages or responses. The same line counts once. Beside them how many can not be priced by their
    text: those with images, files, what a provider keeps, or tools that it runs. Raises CalibrationError, OSError.
    """
    found = [_of_line(place, text, route) for place, text in lines_of(path)]
    return _once(case for case in found if case is not None), found.count(None)


def _of_line(place: str, text: str, route: str) -> Case | None:
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CalibrationError(f"{place}: is no JSON ({error}); {_FIX}") from error
    if not isinstance(line, dict) or not _sendable(line):
        raise CalibrationError(f"{place}: is no JSON object, or is nested too deep; {_FIX}")
    if isinstance(line.get("prompt"), str):
        line = {"messages": [{"role": "user", "content": line["prompt"]}], **line}
    api = _api(place, line)
    expected = line.get("answer")
    if expected is not None and not isinstance(expected, str):
        raise CalibrationError(f"{place}: answer: {expected!r} is no text; write it in quotes")
    prompt = prompt_of(api, line)
    if prompt is None:
        raise CalibrationError(f"{place}: has no text of a user's; {_FIX}")
    if _hidden(api, line):
        return None
    return Case(api, _sent(line), prompt, str(line.get("route") or route), expected, line)


def _hidden(api: Api, request: Mapping[str, Any]) -> bool:
    """Whether its answer hangs on, or costs, more than its text tells."""
    return tie_of(api, request) is Tie.STORED or exceeds_its_bytes(api, request)


def _sendable(value: object) -> bool:
    """Not: a lone surrogate, a number beyond 64 bits, 255 levels."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _sent(request: Mapping[str, Any]) -> dict[str, Any]:
    """What of a request is asked again: one answer, at the plain price."""
    body = {name: value for name, value in request.items() if name in KEPT - _DROPPED}
    return {name: without_marks(value) for name, value in body.items()}


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
            case = _of_stored(stored, route.name)
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


def _of_stored(stored: StoredContent, route: str) -> Case | None:
    """None: no prompt of a user's, or one that can not be asked again as it was."""
    kind = Api(stored.api)
    prompt = prompt_of(kind, stored.request) if kind in PATHS else None
    # What was left out of the content may be what ties it to a conversation that the provider keeps.
    if prompt is None or _hidden(kind, {**dict.fromkeys(stored.left_out, True), **stored.request}):
        return None
    if not _sendable(stored.request):
        return None
    return Case(kind, _sent(stored.request), prompt, route, answer_chars=len(stored.answer.text))


def drawn(asked: Mapping[str, Any], cases: Iterable[Case]) -> dict[str, Any]:
    """What traffic asked, as the journal keeps it: drawn once, by what was ``asked`` for, and whole or not at all."""
    return {"drawn": asked, "cases": [_fields(case) for case in cases]}


def _fields(case: Case) -> dict[str, Any]:
    fields = {"body": case.body, "prompt": case.prompt, "route": case.route, "answer_chars": case.answer_chars}
    return {"api": case.api.value, **fields}


def of_records(records: Iterable[Mapping[str, Any]], asked: Mapping[str, Any]) -> list[Case]:
    """What an earlier run drew. Raises CalibrationError where that was asked for otherwise."""
    for record in records:
        if "drawn" in record and record["drawn"] != asked:
            before = ", ".join(f"--{name} {value}" for name, value in record["drawn"].items())
            raise CalibrationError(f"--from-ledger: --out goes on with what {before} drew; write that, or another")
    found = (one for record in records if "drawn" in record for one in record["cases"])
    return [
        Case(Api(one["api"]), one["body"], one["prompt"], one["route"], answer_chars=one["answer_chars"])
        for one in found
    ]


def _once(cases: Iterable[Case]) -> list[Case]:
    return list({case.key: case for case in cases}.values())
