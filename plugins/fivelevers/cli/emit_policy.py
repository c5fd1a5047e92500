"""`fivelevers audit --emit-policy`: the levers that may save, in shadow."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from fivelevers.audit.audit import Audit
from fivelevers.audit.groups import By
from fivelevers.audit.proposal import policy_text, proposed
from fivelevers.audit.steps import Steps, steps
from fivelevers.cli.logs import Pass
from fivelevers.errors import AuditError
from fivelevers.order import Mode
from fivelevers.policy import load
from fivelevers.policy.editing import EditError, edited
from fivelevers.policy.reading import parse


def refuse_to_emit(file: Path, by: By) -> None:
    """Before the logs are read. Raises AuditError."""
    if by is not By.ROUTE:
        raise AuditError.of("--emit-policy", str(file), f"needs routes, and this is by {by}", "leave --by out")
    if file.exists():
        raise AuditError.of("--emit-policy", str(file), "is there already", "name a new file")


def emit(made: Audit, done: Pass, by: By, policy: str, file: Path) -> None:
    """``policy``: the file that sorted the calls into routes, whose text is kept; empty: routes are model aliases.

    Raises AuditError, OSError.
    """
    refuse_to_emit(file, by)
    lines = made.lines()
    by_cost = sorted({line.route for line in lines}, key=lambda route: -_cost(made, route))
    routes = {route: steps((one for one in lines if one.route == route), made.projections()) for route in by_cost}
    text = _changed(policy, routes, done.month) if policy else policy_text(routes, _about(done), done.month)
    parse(text, str(file))
    file.write_text(text, encoding="utf-8")


def _cost(made: Audit, route: str) -> Decimal:
    return sum((line.cost_usd for line in made.lines() if line.route == route), Decimal(0))


def _about(done: Pass) -> str:
    if not done.account.calls:
        return "a log without calls"
    first, last = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (done.first, done.last))
    return f"{done.account.calls:,} calls from {first} to {last} UTC"


def _changed(policy: str, routes: dict[str, Steps], month: Decimal | None) -> str:
    """The policy's own text with the levers in shadow that are off and may save."""
    text, before = Path(policy).read_text(encoding="utf-8"), load(Path(policy))
    known = {route.name: route for route in before.routes}
    for name, found in routes.items():
        for step in found.steps:
            lever = step.lever.name
            off = name in known and known[name].levers.of(lever).mode is Mode.OFF
            if off and proposed(step, month).mode is Mode.SHADOW:
                try:
                    text = edited(text, policy, name, lever, {"mode": Mode.SHADOW})
                except EditError as error:
                    raise AuditError.of("--emit-policy", None, str(error), "leave --policy out") from error
    return text
