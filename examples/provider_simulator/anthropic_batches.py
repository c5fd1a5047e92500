"""/v1/messages/batches (https://platform.claude.com/docs/en/api/messages/batches)."""

import re
from datetime import UTC, datetime
from uuid import uuid4

from starlette.responses import Response
from starlette.types import ASGIApp

from examples.provider_simulator.anthropic_batch_results import Results
from examples.provider_simulator.batch import Batch, Row, row_of
from examples.provider_simulator.batch_start import start
from examples.provider_simulator.commit import act
from examples.provider_simulator.errors import ApiError, invalid
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.fields import Json, as_object, list_field, parse_object, text_field
from examples.provider_simulator.pages import page_size
from examples.provider_simulator.prices import Catalogue

MAX_ROWS = 100_000
KEPT_S = 29 * 86_400.0
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Submission(Exchange):
    max_body_bytes = 256 * 1024 * 1024


def create(exchange: Exchange) -> ASGIApp:
    if "anthropic-version" not in exchange.request.headers:
        raise ApiError(400, "anthropic-version: header is required")
    rows, model = _requests(parse_object(exchange.raw), exchange.sim.catalogue)
    exchange.sim.batches.room_for(len(rows))
    results = Results(exchange.sim)

    def work() -> Response:
        batch = start(exchange, f"msgbatch_{uuid4().hex[:24]}", model, rows, results)
        return exchange.json(batch_json(batch, exchange))

    return act(exchange, "batches", "create", work, model=model, changes=True)


def _requests(body: Json, catalogue: Catalogue) -> tuple[list[Row], str]:
    """The rows, and the plain name of the first one's model; what is wrong with `params` shows when the row runs."""
    requests = list_field(body, "requests")
    if not 1 <= len(requests) <= MAX_ROWS:
        raise invalid("requests", f"{len(requests)} requests; a batch has 1 to {MAX_ROWS}")
    seen: set[str] = set()
    rows = [_row(as_object(request, f"requests.{i}"), f"requests.{i}.", seen) for i, request in enumerate(requests)]
    return rows, _model(requests[0]["params"], catalogue)


def _row(request: Json, path: str, seen: set[str]) -> Row:
    custom_id = text_field(request, "custom_id", path)
    if not _CUSTOM_ID.fullmatch(custom_id):
        raise invalid(f"{path}custom_id", f"String should match pattern '^{_CUSTOM_ID.pattern}$'")
    if custom_id in seen:
        raise invalid(f"{path}custom_id", f"'{custom_id}' is not unique in this batch")
    seen.add(custom_id)
    return row_of(custom_id, as_object(request.get("params"), f"{path}params"))


def _model(params: Json, catalogue: Catalogue) -> str:
    try:
        return catalogue.find(str(params.get("model")), "anthropic").name
    except ApiError:
        return ""


def retrieve(exchange: Exchange) -> ASGIApp:
    batch = _asked_for(exchange)
    return act(exchange, "batches", "retrieve", lambda: exchange.json(batch_json(batch, exchange)), model=batch.model)


def cancel(exchange: Exchange) -> ASGIApp:
    batch = _asked_for(exchange)

    def work() -> Response:
        if batch.phase == "ended":
            raise ApiError(400, f"Batch {batch.id} has ended and can not be canceled.")
        if batch.phase != "cancelling":
            exchange.sim.batches.cancel(batch)
        return exchange.json(batch_json(batch, exchange))

    return act(exchange, "batches", "cancel", work, model=batch.model, changes=True)


def delete(exchange: Exchange) -> ASGIApp:
    batch = _asked_for(exchange)

    def work() -> Response:
        if batch.phase != "ended":
            raise ApiError(400, f"Batch {batch.id} is still {_status(batch)}: cancel it first.")
        batch.deleted = True
        return exchange.json({"id": batch.id, "type": "message_batch_deleted"})

    return act(exchange, "batches", "delete", work, model=batch.model, changes=True)


def results(exchange: Exchange) -> ASGIApp:
    batch = _asked_for(exchange)
    if not isinstance(batch.does, Results):
        raise TypeError(f"{batch.id} is no batch of Anthropic's")
    if batch.phase != "ended" or _archived_at(batch, exchange):
        raise ApiError(404, f"Batch {batch.id} has no results {'any more' if batch.phase == 'ended' else 'yet'}.")
    lines = batch.does.lines

    def work() -> Response:
        return Response(b"".join(lines), headers=exchange.headers, media_type="application/x-jsonl")

    return act(exchange, "batches", "results", work, model=batch.model)


def index(exchange: Exchange) -> ASGIApp:
    return act(exchange, "batches", "list", lambda: exchange.json(_page(exchange)))


def _page(exchange: Exchange) -> Json:
    """Newest first: the batches right behind `after_id`, or right before `before_id`."""
    batches = exchange.sim.batches.newest_first(exchange.workspace, "anthropic")
    size, asked = page_size(exchange, 20, 1000), exchange.request.query_params
    before, after = asked.get("before_id"), asked.get("after_id")
    if before:
        newer = batches[: _place(batches, before, "before_id")]
        shown, more = newer[-size:], len(newer) > size
    else:
        older = batches[_place(batches, after, "after_id") + 1 :] if after else batches
        shown, more = older[:size], len(older) > size
    return {
        "data": [batch_json(batch, exchange) for batch in shown],
        "has_more": more,
        "first_id": shown[0].id if shown else None,
        "last_id": shown[-1].id if shown else None,
    }


def _place(batches: list[Batch], batch_id: str, param: str) -> int:
    for place, batch in enumerate(batches):
        if batch.id == batch_id:
            return place
    raise invalid(param, f"no batch with id '{batch_id}'")


def _asked_for(exchange: Exchange) -> Batch:
    return exchange.sim.batches.find(exchange.request.path_params["id"], exchange.workspace, "anthropic")


def batch_json(batch: Batch, exchange: Exchange) -> Json:
    ended, archived_at = batch.phase == "ended", _archived_at(batch, exchange)
    url = f"{str(exchange.request.base_url).rstrip('/')}/v1/messages/batches/{batch.id}/results"
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": _status(batch),
        "request_counts": _counts(batch),
        "created_at": _time(batch.created_at),
        "expires_at": _time(batch.expires_at),
        "ended_at": _time(batch.entered.get("ended")),
        "cancel_initiated_at": _time(batch.entered.get("cancelling")),
        "archived_at": _time(archived_at),
        "results_url": url if ended and not archived_at else None,
    }


def _status(batch: Batch) -> str:
    return {"cancelling": "canceling", "ended": "ended"}.get(batch.phase, "in_progress")


def _counts(batch: Batch) -> Json:
    """Requests count as processing until the whole batch has ended."""
    if batch.phase != "ended":
        return {"processing": len(batch.rows), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    left = len(batch.rows) - batch.ran
    return {
        "processing": 0,
        "succeeded": batch.succeeded,
        "errored": batch.errored,
        "canceled": left if batch.ending == "cancelled" else 0,
        "expired": left if batch.ending == "expired" else 0,
    }


def _archived_at(batch: Batch, exchange: Exchange) -> float | None:
    at = batch.created_at + KEPT_S
    return at if exchange.started >= at else None


def _time(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
