"""The endpoints under /sim: bill, batches, recorded requests, clock, faults, reset, prices."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from examples.provider_simulator.batch_report import report
from examples.provider_simulator.simulator import Simulator


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _sim(request: Request) -> Simulator:
    sim: Simulator = request.app.state.sim
    return sim


async def health(request: Request) -> Response:
    return _json({"status": "ok", "models": len(_sim(request).catalogue.models), "now": _sim(request).clock.now()})


async def bill(request: Request) -> Response:
    return _json(_sim(request).bill.as_json(detail=_detail(request)))


async def batches(request: Request) -> Response:
    """What became of every batch and row; POST changes the settings of those that come."""
    batches = _sim(request).batches
    if request.method == "POST":
        try:
            batches.settings = batches.settings.changed(orjson.loads(await request.body()))
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return _json({"settings": batches.settings.as_json()})
    return _json(report(batches, detail=_detail(request)))


def _detail(request: Request) -> bool:
    return request.query_params.get("detail", "") not in {"", "0", "false"}


async def requests(request: Request) -> Response:
    last = request.query_params.get("last", "20")
    if not last.isdecimal():
        return _json({"error": f"last: {last!r} is not a number; give how many requests to show"}, 400)
    return _json({"requests": _sim(request).recorder.last(int(last))})


async def clock(request: Request) -> Response:
    try:
        body = orjson.loads(await request.body())
        _sim(request).clock.advance(float(body["advance_s"]))
    except (ValueError, TypeError, KeyError) as error:
        return _json({"error": f'{error}; send {{"advance_s": seconds}}'}, 400)
    await _sim(request).batches.caught_up()
    return _json({"now": _sim(request).clock.now()})


async def faults(request: Request) -> Response:
    rules = _sim(request).faults
    if request.method == "DELETE":
        rules.clear()
    elif request.method == "POST":
        try:
            rules.add(orjson.loads(await request.body()))
        except ValueError as error:
            return _json({"error": str(error)}, 400)
    return _json({"rules": [rule.as_json() for rule in rules.rules]})


async def reset(request: Request) -> Response:
    _sim(request).reset()
    return _json({"status": "ok"})


async def prices(request: Request) -> Response:
    return Response(orjson.dumps(_sim(request).catalogue.table), media_type="application/json")
