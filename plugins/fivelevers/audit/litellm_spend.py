"""A row of LiteLLM's table LiteLLM_SpendLogs, as GET /spend/logs or an export of the table gives it.

Source: `model LiteLLM_SpendLogs` in litellm/proxy/schema.prisma of 1.106.2. ``startTime`` is when the call was sent.
The prompt is there only with `store_prompts_in_spend_logs`, as the client's body in ``proxy_server_request``. Each text
above 2,048 characters (MAX_STRING_LENGTH_PROMPT_IN_DB) is cut in its middle there: such a prompt can not be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers.audit import fields, litellm_row
from fivelevers.audit.calls import LoggedCall


def call(place: str, row: Mapping[str, Any]) -> LoggedCall:
    """Raises LeftOutError."""
    return litellm_row.call(place, row, fields.part(row, "proxy_server_request"), fields.text(row, "api_key"), "spend")
