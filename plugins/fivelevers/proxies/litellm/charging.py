"""Who may charge calls to a lever: whoever may switch levers (authentication.py), so that nobody falsifies their costs.

All else that says so is traffic like any other, and counted.
"""

from __future__ import annotations

from typing import Any, Final

from fivelevers import metrics
from fivelevers.charge import HEADER, charge_of
from fivelevers.engine import Plan, charged
from fivelevers.policy import Policy

_ADMIN: Final = "proxy_admin"  # LiteLLM's word


def charging(plan: Plan, key: Any, policy: Policy) -> Plan:
    """The plan as a lever's own, where an operator says so; about the plan's own route where the policy has no such."""
    header = plan.caller.headers.get(HEADER)
    if header is None:
        return plan
    found = charge_of(header) if _is_operators(key) else None
    if found is None:
        metrics.requests.labels("routing", "charge-refused").inc()
        return plan
    lever, route = found
    known = any(one.name == route for one in policy.routes)  # it becomes a label of metrics
    return charged(plan, lever, route if known else plan.route.name)


def _is_operators(key: Any) -> bool:
    """LiteLLM's ``UserAPIKeyAuth``: an admin's key that is not limited to some paths."""
    return getattr(key, "user_role", None) == _ADMIN and not getattr(key, "allowed_routes", None)
