"""One answered request's way into the ledger: made a document, packed with the key, handed to the meter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fivelevers import metrics
from fivelevers.engine import Plan
from fivelevers.errors import ContentError
from fivelevers.meter import Meter
from fivelevers.metering.content import document
from fivelevers.metering.event import ContentKept
from fivelevers.output import Output
from fivelevers.policy import end_user_digest
from fivelevers.stores.content_key import Sealer

LONGEST_BYTES = 4 << 20  # of one request and its answer as JSON
_DAY_S = 86400.0


def keep(plan: Plan, sent: Mapping[str, Any], answer: Output, *, at: float, sealer: Sealer, meter: Meter) -> None:
    """Keep what was sent and answered; counted where that can not be. Raises what `document` raises."""
    packed = document(plan.request.api.value, sent, answer)
    if len(packed) > LONGEST_BYTES:
        metrics.count_bypass("metering", "content_size")
        return
    try:
        key_id, blob = sealer.seal(packed, plan.request_id)
    except ContentError as error:
        metrics.count_bypass("metering", "content_key", error)
        return
    end_user = plan.caller.end_user
    meter.record(
        ContentKept(
            request_id=plan.request_id,
            at=at,
            route=plan.route.name,
            tenant=plan.tenant,
            end_user=end_user_digest(end_user) if end_user else None,
            expires_at=at + plan.route.retention_days * _DAY_S,
            key_id=key_id,
            blob=blob,
        )
    )
