"""All batches, and the one task that moves them along the simulator's clock."""

import asyncio
import heapq
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

from examples.provider_simulator.batch import Batch
from examples.provider_simulator.batch_settings import Settings
from examples.provider_simulator.clock import Clock
from examples.provider_simulator.errors import ApiError, Provider

MAX_ROWS = 500_000
SLICE_S = 0.003  # how long rows run before other requests get their turn


class Batches:
    """Every batch since the start or the last reset, in the order of creation. Belongs to one event loop."""

    def __init__(self, seed: int, clock: Clock, settings: Settings) -> None:
        self.settings = settings
        self.random = random.Random(f"batches {seed}")
        self.by_id: dict[str, Batch] = {}
        self._clock = clock
        self._due: list[tuple[float, int, Batch]] = []
        self._number = count()
        self._rows = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._closed = False

    def room_for(self, rows: int) -> None:
        """Raise where so many more rows are more than the simulator keeps: it forgets none by itself."""
        if self._rows + rows > MAX_ROWS:
            raise ApiError(400, f"The simulator keeps {MAX_ROWS} rows of batches; POST /sim/reset forgets them")

    def add(self, batch: Batch) -> None:
        self.by_id[batch.id] = batch
        self._rows += len(batch.rows)
        self._schedule(batch)

    def find(self, batch_id: str, workspace: str, provider: Provider) -> Batch:
        batch = self.by_id.get(batch_id)
        if batch is None or batch.deleted or (batch.workspace, batch.provider) != (workspace, provider):
            raise ApiError(404, f"No batch found with id '{batch_id}'.", param="batch_id")
        return batch

    def newest_first(self, workspace: str, provider: Provider) -> list[Batch]:
        """Those that a list shows by now."""
        now = self._clock.now()
        every = [batch for batch in reversed(self.by_id.values()) if batch.listed_at <= now and not batch.deleted]
        return [batch for batch in every if (batch.workspace, batch.provider) == (workspace, provider)]

    def unfinished(self, workspace: str, model: str) -> Iterator[Batch]:
        """Those of a key and model that have passed validation and not ended."""
        for batch in self.by_id.values():
            running = batch.phase not in {"validating", "ended"}
            if running and (batch.workspace, batch.model) == (workspace, model):
                yield batch

    def cancel(self, batch: Batch) -> None:
        batch.cancel(self._clock.now(), self.settings.cancel_s)
        self._schedule(batch)

    async def caught_up(self) -> None:
        """Returns once all that is due by now has happened."""
        until = self._clock.now()
        self._woken.set()
        while not self._closed and self._due and self._due[0][0] <= until:
            await asyncio.sleep(SLICE_S)

    def close(self) -> None:
        """Stop where it is; may be called from any thread."""
        self._closed = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def _schedule(self, batch: Batch) -> None:
        heapq.heappush(self._due, (batch.next_at(), next(self._number), batch))
        self._woken.set()
        if self._worker is None or self._worker.done():
            self._loop = asyncio.get_running_loop()
            self._worker = self._loop.create_task(self._work())

    async def _work(self) -> None:
        while self._due and not self._closed:
            self._woken.clear()
            wait_s = self._run_slice()
            if wait_s > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), wait_s)
            else:
                await asyncio.sleep(0)

    def _run_slice(self) -> float:
        """Let happen what is due, for at most a slice of time; seconds until the next thing is due."""
        until = time.perf_counter() + SLICE_S
        while self._due and not self._closed and time.perf_counter() < until:
            at, _, batch = self._due[0]
            wait_s = at - self._clock.now()
            if wait_s > 0:
                return wait_s
            heapq.heappop(self._due)
            if at == batch.next_at():  # a cancellation has moved the others
                batch.step()
                if batch.phase != "ended":
                    heapq.heappush(self._due, (batch.next_at(), next(self._number), batch))
        return 0.0
