"""What the audit projects from a log, by route and lever: `fivelevers audit --json`, without similar questions."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from fivelevers.audit.audit import Audit
from fivelevers.audit.groups import By
from fivelevers.cli.audit_tables import Found, audit_record
from fivelevers.cli.logs import go_through
from fivelevers.prices import PriceBook

Ends = tuple[Decimal, Decimal]


def projected(log: Path, prices: PriceBook) -> dict[tuple[str, str], Ends]:
    """USD over the log, (low, high), by route and the lever's name, its models together; only where there is one."""
    found: dict[tuple[str, str], Ends] = {}
    for line in recorded(log, prices)["lines"]:
        for lever, told in line["projections"].items():
            if told["saving_usd"] is not None:
                before = found.get((line["route"], lever), (Decimal(0), Decimal(0)))
                low, high = map(Decimal, told["saving_usd"])
                found[line["route"], lever] = before[0] + low, before[1] + high
    return found


def recorded(log: Path, prices: PriceBook) -> dict[str, Any]:
    """Its JSON."""
    made = Audit(prices, similar=False)
    done = go_through([str(log)], By.ROUTE, None, made.see)
    return audit_record(Found(made, done, By.ROUTE), show_text=False)
