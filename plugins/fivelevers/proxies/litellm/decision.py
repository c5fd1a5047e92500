"""What lever 4 did with a request, as the ledger keeps it for `fivelevers explain route`."""

from __future__ import annotations

import time
import uuid

from fivelevers.engine import Plan
from fivelevers.metering.event import Routed
from fivelevers.policy import end_user_digest


def decision(plan: Plan, reason: str, model: str, strong: str, task: str = "") -> Routed:
    """``model`` answers, for a ``reason`` of docs/routing.md. ``task``: empty where no artifact knows such a one."""
    return Routed(
        event_id=uuid.uuid4().hex,
        request_id=plan.request_id,
        at=time.time(),
        route=plan.route.name,
        tenant=plan.tenant,
        end_user=end_user_digest(plan.caller.end_user) if plan.caller.end_user else None,
        mode=plan.mode("routing").value,
        reason=reason,
        model=model,
        strong=strong,
        task=task,
    )
