"""/v1/files (https://developers.openai.com/api/reference/resources/files)."""

from functools import partial

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from examples.provider_simulator.commit import act
from examples.provider_simulator.errors import ApiError, invalid, missing
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.fields import Json
from examples.provider_simulator.files import KEPT_S, StoredFile
from examples.provider_simulator.pages import page

MAX_BATCH_BYTES = 200 * 1024 * 1024
_PURPOSES = {"assistants", "batch", "fine-tune", "vision", "user_data", "evals"}


class Upload(Exchange):
    """A multipart body. It is not recorded: `GET /v1/files/{id}/content` has it."""

    form: FormData
    content = b""

    async def read(self) -> bytes:
        try:
            self.form = await self.request.form()
        except HTTPException as error:
            raise ApiError(400, f"We could not parse the multipart form: {error.detail}") from None
        given = self.form.get("file")
        if isinstance(given, UploadFile):
            self.content = await given.read()
        await self.form.close()
        return b""


def create(exchange: Exchange) -> ASGIApp:
    if not isinstance(exchange, Upload):
        raise TypeError("uploads are read as a form")
    given, purpose = exchange.form.get("file"), exchange.form.get("purpose")
    if not isinstance(given, UploadFile):
        raise missing("file")
    if not purpose:
        raise missing("purpose")
    if purpose not in _PURPOSES:
        raise invalid("purpose", f"{purpose!r} is not one of {', '.join(sorted(_PURPOSES))}")
    if purpose == "batch" and len(exchange.content) > MAX_BATCH_BYTES:
        raise ApiError(413, f"Batch input files hold at most {MAX_BATCH_BYTES} bytes", param="file")
    name, kept_s = given.filename or "upload", _kept_s(exchange.form)
    return act(
        exchange, "files", "create", lambda: _keep(exchange, name, str(purpose), exchange.content, kept_s), changes=True
    )


def _kept_s(form: FormData) -> float:
    seconds = form.get("expires_after[seconds]")
    if seconds is None:
        return KEPT_S
    if not (isinstance(seconds, str) and seconds.isdecimal() and 3600 <= int(seconds) <= 2_592_000):
        raise invalid("expires_after.seconds", f"{seconds!r} is not in 3600..2592000")
    return float(seconds)


def _keep(exchange: Exchange, name: str, purpose: str, content: bytes, kept_s: float) -> Response:
    now = exchange.sim.clock.now()
    file = exchange.sim.files.add(exchange.workspace, name, purpose, content, now=now, kept_s=kept_s)
    return exchange.json(file_json(file))


def file_json(file: StoredFile) -> Json:
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(file.content),
        "created_at": int(file.created_at),
        "expires_at": int(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def retrieve(exchange: Exchange) -> ASGIApp:
    file = _asked_for(exchange)
    return act(exchange, "files", "retrieve", lambda: exchange.json(file_json(file)))


def content(exchange: Exchange) -> ASGIApp:
    file = _asked_for(exchange)
    body = partial(Response, file.content, headers=exchange.headers, media_type="application/octet-stream")
    return act(exchange, "files", "content", body)


def delete(exchange: Exchange) -> ASGIApp:
    file = _asked_for(exchange)

    def work() -> Response:
        exchange.sim.files.delete(file)
        return exchange.json({"id": file.id, "object": "file", "deleted": True})

    return act(exchange, "files", "delete", work, changes=True)


def index(exchange: Exchange) -> ASGIApp:
    purpose = exchange.request.query_params.get("purpose")
    every = exchange.sim.files.newest_first(exchange.workspace, exchange.started)
    files = [file for file in every if purpose in (None, file.purpose)]
    if exchange.request.query_params.get("order", "desc") == "asc":
        files.reverse()
    shown = partial(page, files, file_json, exchange, limit=10_000, most=10_000)
    return act(exchange, "files", "list", lambda: exchange.json(shown()))


def _asked_for(exchange: Exchange) -> StoredFile:
    return exchange.sim.files.find(exchange.request.path_params["id"], exchange.workspace, exchange.started)
