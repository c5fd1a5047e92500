"""A worker of the batch lane: packs what waits, brings batches through their lives, asks live what comes late, tells.

Any number of workers share one lane: each batch is under one's lease, and whoever is killed leaves nothing that the
next can not go on with. A loop never ends by an error: it counts it, says so once, and tries again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import orjson

from fivelevers import metrics
from fivelevers.errors import BatchError, StoreError
from fivelevers.lane.steps import Clock, OnLate, Steps
from fivelevers.levers.batch.lifecycle import Batch, BatchState, Failure, Pace, backoff, is_late
from fivelevers.levers.batch.packaging import Queue, Row, cut, is_due
from fivelevers.levers.batch.work import Group, Result, View, Work
from fivelevers.providers.batch_apis import Open, open_provider
from fivelevers.providers.batches import Account, BatchProvider, worth_asking_again
from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches, Waiting

_BATCHES_AT_ONCE: Final = 4
_LIVE_AT_ONCE: Final = 16
_TOLD_AT_ONCE: Final = 100
_LIVE_LIMIT_S: Final = 600.0
_STEP_LIMIT_S: Final = 3600.0  # of all that is done with a batch at a time; the longest is to send a large file
_LIVE_TRIES: Final = 5
_PUT_OFF_S: Final = (
    600.0  # what may not be sent now: longer than others wait for company, so that it is not before them
)

OnResult = Callable[[View], Awaitable[None]]
"""Called at least once for each ended request, and until it returns: what it records must carry the request's id."""
Rescue = Callable[[Work], Awaitable[Result]]
"""Asks a request live, in its caller's name."""
Standing = Callable[[Work], Awaitable[Literal["good", "wait", "revoked"]]]
"""Whether a request may be sent now. One that has to wait is looked at again, and handed to ``rescue`` in time, which
says how it ends; so is one whose caller may send nothing any more, at once.
"""
Accounts = Callable[[Group], Account | None]
"""Credentials for a group, None where there are none now."""


async def _nobody(_view: View, _result: Result) -> None:
    """Late answers that nobody wants to know of."""


class Worker:
    """``lane``: whose Redis is shared by all workers. ``clock``: seconds of the epoch."""

    def __init__(
        self,
        lane: Lane,
        accounts: Accounts,
        on_result: OnResult,
        rescue: Rescue,
        *,
        on_late: OnLate = _nobody,
        standing: Standing | None = None,
        pace: Pace | None = None,
        clock: Clock = time.time,
        open_provider: Open = open_provider,
    ) -> None:
        self._lane, self._accounts, self._open = lane, accounts, open_provider
        self._on_result, self._rescue, self._standing = on_result, rescue, standing
        self._pace, self._clock = pace or Pace(), clock
        self._batches = Batches(lane)
        self._steps = Steps(lane, self._batches, on_late, self._pace, clock)
        self._providers: dict[tuple[str, str], tuple[Account, BatchProvider]] = {}
        self._look_at: dict[Group, float] = {}  # when a queue is looked through next
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`, or until it is cancelled."""
        self._stopping.clear()
        try:
            async with asyncio.TaskGroup() as group:
                for name, act in (("plan", self._plan), ("live", self._ask_live), ("tell", self._tell)):
                    group.create_task(self._again_and_again(name, act))
                for _ in range(_BATCHES_AT_ONCE):
                    group.create_task(self._again_and_again("batch", self._one_batch))
        finally:
            for _, provider in self._providers.values():
                with suppress(Exception):
                    await provider.close()
            self._providers.clear()

    def stop(self) -> None:
        """After the step that each loop is in."""
        self._stopping.set()

    async def _again_and_again(self, name: str, act: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """``act`` says whether there may be more to do at once."""
        troubles = 0
        while not self._stopping.is_set():
            try:
                more, troubles = await act(), 0
            except Exception as error:  # Redis is away, a provider is odd, or we are wrong: the lane goes on
                metrics.count_bypass("batch", f"worker-{name}", error)
                more, troubles = False, troubles + 1
            if not more:
                wait_s = self._pace.tick_s if not troubles else min(backoff(troubles - 1, self._pace), 30.0)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait_s * random.uniform(0.5, 1.5))  # noqa: S311

    async def _plan(self) -> bool:
        await self._lane.withdraw_doubtful()
        made = [await self._pack(waiting) for waiting in await self._batches.waiting()]
        return any(made)

    async def _pack(self, waiting: Waiting) -> bool:
        """Whether a batch was made of what waits in one group."""
        queue, group, now = waiting.queue, waiting.group, self._clock()
        provider = await self._provider(group)
        due = provider is not None and is_due(queue, provider.limits, now)
        if not due and (queue.first_due_at is None or now < queue.first_due_at):
            return False
        rows = await self._batches.queued(group, self._looked_at(group, queue))
        late = {row.name for row in rows if is_late(row.deadline_at, now, self._pace)}
        if late:
            await self._batches.ask_live(list(late))
        if not due or provider is None:
            return False
        rows = await self._allowed(group, cut([row for row in rows if row.name not in late], queue, provider.limits))
        batch = await self._batches.plan(group, rows, lease_s=self._pace.lease_s) if rows else None
        return batch is not None and await self._batches.advance(batch, BatchState.PLANNED, in_s=0.0) is not None

    def _looked_at(self, group: Group, queue: Queue) -> int:
        """Rows from the head of a queue: those of one batch; now and then all, since one whose deadline is near may
        stand behind many that its provider takes no more of for now.
        """
        now = self._clock()
        if queue.rows <= queue.flush_rows or now < self._look_at.get(group, 0.0):
            return queue.flush_rows
        self._look_at[group] = now + self._pace.live_margin_s / 10
        return queue.rows

    async def _allowed(self, group: Group, rows: Sequence[Row]) -> list[Row]:
        """Those that may be sent now."""
        if self._standing is None:
            return list(rows)
        good = []
        for row in rows:
            work = await self._batches.work(row)
            standing = "good" if work is None else await self._standing(work)
            if standing == "good":
                good.append(row)
            elif standing == "revoked":
                await self._batches.ask_live([row.name])
            else:
                until = min(self._clock() + _PUT_OFF_S, row.deadline_at - self._pace.live_margin_s)
                await self._batches.put_off(group, row, until)
        return good

    async def _one_batch(self) -> bool:
        batch = await self._batches.claim(lease_s=self._pace.lease_s)
        if batch is None:
            return False
        provider = await self._provider(batch.group)
        if provider is None:
            await self._steps.put_off(batch)
            return True
        step = asyncio.create_task(self._steps.go_on(batch, provider))
        keeping = asyncio.create_task(self._keep(batch, step))
        try:
            await asyncio.wait({step})
            if not step.cancelled():  # else the lease is lost, and with it the batch
                step.result()
        finally:
            keeping.cancel()
            step.cancel()
        return True

    async def _keep(self, batch: Batch, step: asyncio.Task[None]) -> None:
        """Renew the lease while a step takes long; end the step when the batch is another's, or it takes for ever."""
        until = time.monotonic() + _STEP_LIMIT_S
        while not step.done() and time.monotonic() < until:
            await asyncio.sleep(self._pace.lease_s / 3)
            with suppress(StoreError):
                if not await self._batches.renew(batch, lease_s=self._pace.lease_s):
                    break
        step.cancel()

    async def _ask_live(self) -> bool:
        views = await self._batches.due_live(_LIVE_AT_ONCE, lease_s=self._pace.lease_s)
        await asyncio.gather(*(self._live(view) for view in views))
        return len(views) == _LIVE_AT_ONCE

    async def _live(self, view: View) -> None:
        result = await self._asked_live(view)
        if result is None or worth_asking_again(result.status):
            tries = await self._batches.defer_live(view, backoff(view.attempts, self._pace))
            if tries < _LIVE_TRIES or (result is None and self._clock() < view.work.deadline_at and tries < 9):
                return
        await self._lane.finish(result or self._unanswered(view.work))

    async def _asked_live(self, view: View) -> Result | None:
        """None where the call gave nothing. The request stays ours meanwhile, as long as we live."""
        asking = asyncio.ensure_future(self._rescue(view.work))
        try:
            ends_at = asyncio.get_running_loop().time() + _LIVE_LIMIT_S
            while not asking.done() and asyncio.get_running_loop().time() < ends_at:
                await asyncio.wait({asking}, timeout=self._pace.lease_s / 3)
                if not asking.done():
                    await self._batches.defer_live(view, self._pace.lease_s, count=False)
            return asking.result() if asking.done() else None
        except Exception as error:
            metrics.count_bypass("batch", "rescue", error)
            return None
        finally:
            asking.cancel()

    def _unanswered(self, work: Work) -> Result:
        message = "fivelevers: neither a batch nor a live call gave an answer"
        body = orjson.dumps({"error": {"message": message, "type": "server_error", "code": "no_answer"}})
        return Result(work.id, 503, body, self._clock(), live=True)

    async def _tell(self) -> bool:
        """One after the other, each marked at once and none after the lease: telling twice may charge a key twice."""
        until = time.monotonic() + self._pace.lease_s / 2
        views = await self._batches.due_told(_TOLD_AT_ONCE, lease_s=self._pace.lease_s)
        for view in views:
            if time.monotonic() >= until:
                return True
            try:
                await self._on_result(view)
            except Exception as error:  # it comes up again when the lease is over
                metrics.count_bypass("batch", "tell", error)
            else:
                await self._batches.told([view])
        return len(views) == _TOLD_AT_ONCE

    async def _provider(self, group: Group) -> BatchProvider | None:
        """None, counted, where nobody has the credentials: what waits is asked live when its deadline comes."""
        account = self._accounts(group)
        if account is None:
            error = BatchError(f"no credentials for account {group.account} of {group.provider}", Failure.NOT_DONE)
            metrics.count_bypass("batch", "no-account", error)
            return None
        name = (account.provider, account.name)
        known, old = self._providers.get(name, (None, None))
        if known == account:
            return old
        try:
            provider = self._open(account)
        except BatchError as unusable:
            metrics.count_bypass("batch", "provider", unusable)
            return None
        self._providers[name] = account, provider
        if old is not None:  # other credentials from now on; a call that is cut off is one whose answer was not heard
            with suppress(Exception):
                await old.close()
        return provider
