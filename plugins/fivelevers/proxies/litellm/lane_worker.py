"""A worker of the lane in each of the proxy's processes, in the event loop that serves its requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Final

from fivelevers import metrics
from fivelevers.lane.worker import Worker
from fivelevers.levers.batch.lifecycle import Pace
from fivelevers.proxies.litellm import batch_accounts
from fivelevers.proxies.litellm.batch_results import BatchResults
from fivelevers.proxies.litellm.state import State
from fivelevers.stores.lane import Lane

WORKS_HERE: Final = "FIVELEVERS_LANE_WORKER"
POLL_S: Final = "FIVELEVERS_LANE_POLL_S"


def start(lane: Lane, state: State) -> None:
    """In the loop that loads the plugin. FIVELEVERS_LANE_WORKER=0: the work is left to others, and only looked at."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # an import outside a proxy that serves
        return
    state.hold(loop.create_task(state.lane.run(lane)))
    if os.environ.get(WORKS_HERE) != "0":
        state.hold(loop.create_task(_run(lane, state)))


def pace(environment: Mapping[str, str]) -> Pace:
    """FIVELEVERS_LANE_POLL_S: seconds after which a batch is asked about for the first time. Raises ValueError."""
    first_s = environment.get(POLL_S)
    return Pace() if first_s is None else Pace(poll_first_s=float(first_s))


async def _run(lane: Lane, state: State) -> None:
    results = BatchResults(state)
    try:
        worker = Worker(
            lane,
            batch_accounts.of_group,
            results.ended,
            results.rescue,
            on_late=results.late,
            standing=results.keys.standing,
            pace=pace(os.environ),
        )
        await worker.run()
    except Exception as error:  # its loops live through anything, so this is a fault of ours
        metrics.count_bypass("batch", "worker", error)
