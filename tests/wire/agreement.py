"""The ledger beside the simulated providers' bill, from a moment on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Self

import httpx

from fivelevers.embedded import bill
from fivelevers.metering.reconcile import Reconciliation
from fivelevers.stores.ledger import Ledger
from tests.wire.proxy import Proxy, wait_for


@dataclass(frozen=True)
class Books:
    proxy: Proxy
    since: float

    @classmethod
    def opened(cls, proxy: Proxy) -> Self:
        """Both sides start here: other tests forget subjects, which the bill does not."""
        httpx.post(f"{proxy.stack.simulator_url}/sim/reset").raise_for_status()
        return cls(proxy, time.time())

    def compare(self, ledger_url: str | None = None, **options: Any) -> Reconciliation:
        ledger = Ledger(ledger_url or self.proxy.stack.ledger_url)
        try:
            return bill.compare(ledger, bill.fetch(self.proxy.stack.simulator_url), since=self.since, **options)
        finally:
            ledger.close()

    def settled(self, **options: Any) -> Reconciliation:
        """The comparison once the last events are drained; LiteLLM logs a while after it has answered."""
        return wait_for(lambda: self.compare(**options), lambda told: judged(told) == ([], []))


def judged(told: Reconciliation) -> tuple[list[Any], list[Any]]:
    """(rows that differ, calls that nothing explains), without the alias whose price no map knows on purpose."""
    unpriced = bill.key_name("sk-simulated-unpriced")
    rows = [row for row in told.rows if row.verdict.value != "agreed" and row.key != unpriced]
    return rows, [alone for alone in told.unexplained if alone.entry.key != unpriced]
