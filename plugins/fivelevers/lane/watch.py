"""What the lane holds, looked at now and then: for health and metrics."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.stores.lane import Lane, LaneStats

EVERY_S: Final = 15.0

LaneState = Literal["up", "down", "not configured", "not asked yet"]


@dataclass(slots=True)
class LaneWatch:
    """``state`` of the lane's Redis; ``stats`` as they were when it last answered."""

    state: LaneState = "not configured"
    stats: LaneStats | None = None

    async def run(self, lane: Lane) -> None:
        """Until it is cancelled."""
        self.state = "not asked yet"
        while True:
            await self.look(lane)
            await asyncio.sleep(EVERY_S)

    async def look(self, lane: Lane) -> None:
        try:
            self.stats = await lane.stats()
        except StoreError as error:
            self.state = "down"
            metrics.count_bypass("batch", "stats", error)
            return
        self.state = "up"
        metrics.show_lane(
            _queued(self.stats),
            overdue_s=max((group.overdue_s or 0.0 for group in self.stats.groups), default=0.0),
            at_providers=sum(self.stats.open_requests.values()),
            asked_live=self.stats.live,
            untold=self.stats.untold,
        )


def _queued(stats: LaneStats) -> dict[str, int]:
    by_model: dict[str, int] = {}
    for group in stats.groups:
        by_model[group.group.model] = by_model.get(group.group.model, 0) + group.queued
    return by_model
