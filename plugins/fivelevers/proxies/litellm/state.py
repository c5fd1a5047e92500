"""What the plugin holds for as long as its process lives: policy, prices, meter."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from fivelevers import metrics
from fivelevers.errors import PriceError
from fivelevers.meter import Meter
from fivelevers.price_overrides import load_overrides
from fivelevers.prices import PriceBook, find_litellm_map
from fivelevers.stores.policy_file import PolicyFile

_log = logging.getLogger("fivelevers")


class Unsettled(Protocol):
    """A served request with attempts whose end is not told yet."""

    def give_up(self) -> None: ...


@dataclass(frozen=True, slots=True)
class State:
    policy: PolicyFile
    prices: PriceBook
    meter: Meter
    unsettled: set[Unsettled] = field(default_factory=set)  # bounded by the requests of a few seconds

    @classmethod
    def from_environment(cls) -> Self:
        """FIVELEVERS_POLICY, FIVELEVERS_PRICES, FIVELEVERS_STATE_DIR and FIVELEVERS_LEDGER_URL; never raises."""
        policy = os.environ.get("FIVELEVERS_POLICY")
        if not policy:
            _log.warning("FIVELEVERS_POLICY is not set: every request is on the default route, with every lever off")
        file = PolicyFile(Path(policy) if policy else None, lambda _: metrics.bypass.labels("all", "policy").inc())
        return cls(file, _prices(), Meter.from_environment())


def _prices() -> PriceBook:
    overrides = os.environ.get("FIVELEVERS_PRICES")
    try:
        book = PriceBook.from_litellm_map(find_litellm_map())
    except PriceError as error:
        _log.error("no price is known, tokens are metered all the same: %s", error)
        return PriceBook({})
    if not overrides:
        return book
    try:
        return PriceBook(book.rows, load_overrides(Path(overrides)))
    except PriceError as error:
        _log.error("price overrides refused, list prices are used:\n%s", error)
        return book
