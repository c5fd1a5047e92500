"""A batch comes into being; fault rules may have settled what becomes of it."""

import math
from collections.abc import Sequence

from examples.provider_simulator.batch import Batch, Provides, Row
from examples.provider_simulator.commit import target
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.faults import OUTCOME_FAULTS

LIST_FAULTS = frozenset({"list_lag"})


def start(exchange: Exchange, batch_id: str, model: str, rows: Sequence[Row], does: Provides) -> Batch:
    """Add it to those of the simulator: from now on it goes its way by the clock."""
    batches, now = exchange.sim.batches, exchange.sim.clock.now()
    order = list(range(len(rows)))
    batches.random.shuffle(order)
    batch = Batch(
        id=batch_id,
        provider=exchange.provider,
        workspace=exchange.workspace,
        model=model,
        created_at=now,
        takes_s=batches.settings.draw_s(batches.random),
        rows=rows,
        order=order,
        does=does,
    )
    _apply_rules(exchange, batch)
    batches.add(batch)
    return batch


def _apply_rules(exchange: Exchange, batch: Batch) -> None:
    faults, what = exchange.sim.faults, target(exchange, "batches", "create", batch.model)
    foreign = {"token_limit_exceeded"} if exchange.provider == "anthropic" else set()
    lag, outcome = faults.draw(what, LIST_FAULTS), faults.draw(what, OUTCOME_FAULTS - foreign)
    if lag:
        batch.listed_at = batch.created_at + lag.hang_s
    if outcome and outcome.fault == "token_limit_exceeded":
        batch.over_limit = True
    elif outcome:
        batch.stops_after = math.floor(outcome.share * len(batch.rows))
        batch.stops_as = "expired" if outcome.fault == "expire" else "cancelled"
    batch.faults = [rule.fault for rule in (lag, outcome) if rule]
