"""What a benchmark may spend, and what it can have spent at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

Write = Callable[[Mapping[str, Any]], None]
ZERO = Decimal(0)


class BudgetSpentError(Exception):
    """One more call might cost more than is left."""


class Budget:
    """Kept over all runs: what was asked and never heard of counts with the most that it can have cost.

    ``write`` puts a record on the disk, before money can be spent and when it was.
    """

    def __init__(self, limit_usd: Decimal, write: Write) -> None:
        self.limit_usd, self.spent_usd, self.unheard_usd = limit_usd, ZERO, ZERO
        self._write = write
        self._open: dict[str, Decimal] = {}

    def replay(self, records: list[dict[str, Any]]) -> None:
        """What earlier runs spent."""
        for record in records:
            if "asking" in record:
                self._open[record["asking"]] = Decimal(record["most_usd"])
            elif "heard" in record:
                self._close(record["heard"], Decimal(record["usd"]))
        self.unheard_usd += sum(self._open.values(), ZERO)
        self._open.clear()

    @contextmanager
    def hold(self, name: str, most_usd: Decimal) -> Iterator[None]:
        """A call that is on its way; ``heard`` ends it. Raises BudgetSpentError before anything is asked."""
        if not self.affords(most_usd):
            raise BudgetSpentError
        self._write({"asking": name, "most_usd": str(most_usd)})
        self._open[name] = most_usd
        try:
            yield
        finally:
            self.unheard_usd += self._open.pop(name, ZERO)

    def heard(self, name: str, usd: Decimal, record: Mapping[str, Any]) -> None:
        """What a call cost, and what is to be known of it: one line, so that both are there or neither."""
        self._write({"heard": name, "usd": str(usd), **record})
        self._close(name, usd)

    def affords(self, most_usd: Decimal) -> bool:
        return self.taken_usd + most_usd <= self.limit_usd

    @property
    def busy(self) -> bool:
        """Calls are on their way: most of them cost far less than the most."""
        return bool(self._open)

    @property
    def taken_usd(self) -> Decimal:
        """Spent, and the most of the calls that are on their way or were never heard of."""
        return self.spent_usd + self.unheard_usd + sum(self._open.values(), ZERO)

    def _close(self, name: str, usd: Decimal) -> None:
        self._open.pop(name, None)
        self.spent_usd += usd
