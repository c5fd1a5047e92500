"""/v1/batches (https://developers.openai.com/api/reference/resources/batches)."""

from uuid import uuid4

from starlette.responses import Response
from starlette.types import ASGIApp

from examples.provider_simulator import openai_batch_input
from examples.provider_simulator.batch import Batch
from examples.provider_simulator.batch_start import start
from examples.provider_simulator.commit import act
from examples.provider_simulator.errors import ApiError, invalid
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.fields import Json, as_object, optional_object, parse_object, text_field, whole_number
from examples.provider_simulator.files import KEPT_S, StoredFile
from examples.provider_simulator.openai_batch_output import Job
from examples.provider_simulator.pages import page

_STATUS = {"validating": "validating", "running": "in_progress", "finalizing": "finalizing", "cancelling": "cancelling"}


def create(exchange: Exchange) -> ASGIApp:
    body = parse_object(exchange.raw)
    file = _input_file(exchange, text_field(body, "input_file_id"))
    endpoint = text_field(body, "endpoint")
    if endpoint not in openai_batch_input.ENDPOINTS:
        raise invalid("endpoint", f"'{endpoint}' is not one of {', '.join(openai_batch_input.ENDPOINTS)}")
    if text_field(body, "completion_window") != "24h":
        raise invalid("completion_window", f"'{body['completion_window']}' is not supported; the one value is '24h'")
    metadata, kept_s = _metadata(body), _kept_s(body)
    found = openai_batch_input.read(file.content, endpoint, exchange.sim.catalogue)
    exchange.sim.batches.room_for(len(found.rows))
    job = Job(exchange.sim, endpoint, file.id, metadata, kept_s, found.errors, found.snapshot)

    def work() -> Response:
        batch = start(exchange, f"batch_{uuid4().hex}", found.model, found.rows, job)
        return exchange.json(batch_json(batch))

    return act(exchange, "batches", "create", work, model=found.model, changes=True)


def _input_file(exchange: Exchange, file_id: str) -> StoredFile:
    try:
        file = exchange.sim.files.find(file_id, exchange.workspace, exchange.started)
    except ApiError:
        raise invalid("input_file_id", f"no file with id '{file_id}'") from None
    if file.purpose != "batch":
        raise invalid("input_file_id", f"the file '{file_id}' has the purpose '{file.purpose}', not 'batch'")
    return file


def _metadata(body: Json) -> Json | None:
    if body.get("metadata") is None:
        return None
    metadata = as_object(body["metadata"], "metadata")
    if len(metadata) > 16:
        raise invalid("metadata", f"{len(metadata)} pairs; at most 16 are allowed")
    for key, value in metadata.items():
        if len(key) > 64 or not isinstance(value, str) or len(value) > 512:
            raise invalid(f"metadata.{key[:64]}", "keys have up to 64 characters, values are strings of up to 512")
    return metadata


def _kept_s(body: Json) -> float:
    policy = optional_object(body, "output_expires_after")
    if not policy:
        return KEPT_S
    if policy.get("anchor") != "created_at":
        raise invalid("output_expires_after.anchor", "the one value is 'created_at'")
    seconds = whole_number(policy, "seconds", at_least=3600) or 0
    if not 3600 <= seconds <= 2_592_000:
        raise invalid("output_expires_after.seconds", f"{seconds} is not in 3600..2592000")
    return float(seconds)


def retrieve(exchange: Exchange) -> ASGIApp:
    batch = _asked_for(exchange)
    return act(exchange, "batches", "retrieve", lambda: exchange.json(batch_json(batch)), model=batch.model)


def cancel(exchange: Exchange) -> ASGIApp:
    batch = _asked_for(exchange)

    def work() -> Response:
        if batch.phase == "ended":
            raise ApiError(409, f"Cannot cancel a batch with status '{batch.ending}'.", code="invalid_status")
        if batch.phase != "cancelling":
            exchange.sim.batches.cancel(batch)
        return exchange.json(batch_json(batch))

    return act(exchange, "batches", "cancel", work, model=batch.model, changes=True)


def index(exchange: Exchange) -> ASGIApp:
    def work() -> Response:
        every = exchange.sim.batches.newest_first(exchange.workspace, "openai")
        return exchange.json(page(every, batch_json, exchange))

    return act(exchange, "batches", "list", work)


def _asked_for(exchange: Exchange) -> Batch:
    return exchange.sim.batches.find(exchange.request.path_params["id"], exchange.workspace, "openai")


def batch_json(batch: Batch) -> Json:
    job = batch.does
    if not isinstance(job, Job):
        raise TypeError(f"{batch.id} is no batch of OpenAI's")
    started = batch.phase != "validating" and batch.ending != "failed"
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "model": job.model or None,
        "errors": {"object": "list", "data": job.errors} if batch.ending == "failed" else None,
        "input_file_id": job.input_file_id,
        "completion_window": "24h",
        "status": _STATUS.get(batch.phase, batch.ending),
        "output_file_id": job.output_file_id,
        "error_file_id": job.error_file_id,
        "created_at": int(batch.created_at),
        "in_progress_at": _entered(batch, "running"),
        "expires_at": int(batch.expires_at),
        "finalizing_at": _entered(batch, "finalizing"),
        "completed_at": _ended(batch, "completed"),
        "failed_at": _ended(batch, "failed"),
        "expired_at": _ended(batch, "expired"),
        "cancelling_at": _entered(batch, "cancelling"),
        "cancelled_at": _ended(batch, "cancelled"),
        "request_counts": {
            "total": len(batch.rows) if started else 0,
            "completed": batch.succeeded,
            "failed": batch.errored,
        },
        "usage": job.usage_json(),
        "metadata": job.metadata,
    }


def _entered(batch: Batch, phase: str) -> int | None:
    at = batch.entered.get(phase)
    return None if at is None else int(at)


def _ended(batch: Batch, ending: str) -> int | None:
    return _entered(batch, "ended") if batch.ending == ending else None
