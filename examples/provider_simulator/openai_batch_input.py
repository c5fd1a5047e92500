"""The input file of a batch: its rows, or what is wrong with its lines.

https://developers.openai.com/api/docs/guides/batch; the codes are those that users have posted.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from examples.provider_simulator.batch import Row, row_of
from examples.provider_simulator.errors import ApiError
from examples.provider_simulator.fields import Json
from examples.provider_simulator.prices import Catalogue

EMBEDDINGS = "/v1/embeddings"
ENDPOINTS = ("/v1/chat/completions", "/v1/responses", EMBEDDINGS)
MAX_ROWS = 50_000
MAX_ERRORS = 100


@dataclass(slots=True)
class Input:
    """What was read. `model` is the plain name, "" while no line has named one that exists."""

    rows: list[Row] = field(default_factory=list)
    errors: list[Json] = field(default_factory=list)
    model: str = ""
    snapshot: str = ""


@dataclass(frozen=True, slots=True)
class _WrongLine(Exception):  # noqa: N818 (not an error of the simulator)
    code: str
    message: str
    param: str | None = None


def read(content: bytes, endpoint: str, catalogue: Catalogue) -> Input:
    lines = [(number, line) for number, line in enumerate(content.split(b"\n"), start=1) if line.strip()]
    found = Input()
    if not lines:
        found.errors.append(error_json("empty_file", "The input file is empty: a batch holds at least one request."))
    if len(lines) > MAX_ROWS:
        found.errors.append(
            error_json("too_many_tasks", f"The input file has {len(lines)} requests; a batch holds up to {MAX_ROWS}.")
        )
        return found
    seen: set[str] = set()
    inputs = 0
    for number, line in lines:
        try:
            row, body = _row(line, endpoint, seen)
            _check_model(body, endpoint, catalogue, found)
        except _WrongLine as wrong:
            found.errors.append(error_json(wrong.code, wrong.message, wrong.param, number))
            if len(found.errors) >= MAX_ERRORS:
                break
        else:
            found.rows.append(row)
            inputs += _inputs(body) if endpoint == EMBEDDINGS else 0
    if inputs > MAX_ROWS:
        found.errors.append(error_json("too_many_inputs", f"{inputs} embedding inputs; a batch holds {MAX_ROWS}."))
    return found


def error_json(code: str, message: str, param: str | None = None, line: int | None = None) -> Json:
    return {"code": code, "message": message, "param": param, "line": line}


def _row(line: bytes, endpoint: str, seen: set[str]) -> tuple[Row, Json]:
    try:
        task = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _WrongLine("invalid_json_line", "This line is not parseable as valid JSON.") from None
    if not isinstance(task, dict):
        raise _WrongLine("invalid_json_line", "This line is not a JSON object.")
    custom_id, body = task.get("custom_id"), task.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        raise _WrongLine("missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id")
    if custom_id in seen:
        raise _WrongLine(
            "duplicate_custom_id", f"The custom_id '{custom_id}' is not unique in this batch.", "custom_id"
        )
    if task.get("method") != "POST":
        raise _WrongLine("invalid_method", f"The method {task.get('method')!r} is not 'POST'.", "method")
    if task.get("url") != endpoint:
        raise _WrongLine("mismatched_url", f"The URL {task.get('url')!r} is not the batch's, '{endpoint}'.", "url")
    if not isinstance(body, dict):
        raise _WrongLine("missing_required_parameter", "Missing required parameter: 'body'.", "body")
    seen.add(custom_id)
    return row_of(custom_id, body), body


def _check_model(body: Json, endpoint: str, catalogue: Catalogue, found: Input) -> None:
    name: Any = body.get("model")
    if not isinstance(name, str):
        raise _WrongLine("missing_required_parameter", "Missing required parameter: 'body.model'.", "body.model")
    if name in (found.model, found.snapshot):
        return
    try:
        model = catalogue.find(name, "openai", embeddings=endpoint == EMBEDDINGS)
    except ApiError:
        raise _WrongLine(
            "model_not_found", f"The provided model '{name}' is not supported by the Batch API.", "body.model"
        ) from None
    if found.model:
        raise _WrongLine(
            "mismatched_model", f"The model '{name}' is another than '{found.model}', the batch's.", "body.model"
        )
    found.model, found.snapshot = model.name, model.snapshot


def _inputs(body: Json) -> int:
    given = body.get("input")
    return len(given) if isinstance(given, list) and not all(isinstance(item, int) for item in given) else 1
