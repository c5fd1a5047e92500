"""A line of LiteLLM's logging callbacks: its StandardLoggingPayload, alone or as ``standard_logging_object``.

Source: `class StandardLoggingPayload` in litellm/types/utils.py of 1.106.2. ``messages`` holds the system prompt too
where it was text; the other parameters, tools among them, are in ``model_parameters``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers.audit import fields, litellm_row
from fivelevers.audit.calls import LoggedCall
from fivelevers.request import Api


def call(place: str, row: Mapping[str, Any]) -> LoggedCall:
    """Raises LeftOutError."""
    log = fields.part(row, "standard_logging_object") or row
    return litellm_row.call(place, log, _body(log), None, "response_cost")


def _body(log: Mapping[str, Any]) -> Mapping[str, Any]:
    said = fields.unpacked(log.get("messages"))
    if said is None or said == {}:
        return {}
    api = litellm_row.API_OF_CALL.get(str(log.get("call_type")))
    name = "input" if api in (Api.RESPONSES, Api.EMBEDDINGS) else "messages"
    return {**fields.part(log, "model_parameters"), "model": log.get("model_group"), name: said}
