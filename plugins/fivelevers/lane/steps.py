"""What a worker does with the batch that it holds, one step after the other: `lifecycle` says which."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import IO, Final

from fivelevers import metrics
from fivelevers.errors import BatchError, StoreError
from fivelevers.levers.batch.lifecycle import (
    BEFORE_CREATING,
    Batch,
    BatchState,
    Failure,
    Next,
    Pace,
    Step,
    adoption,
    after_create,
    after_upload,
    at_rescue,
    backoff,
    first_deadline,
    grown,
    halved,
    is_late,
    next_step,
    poll_in,
)
from fivelevers.levers.batch.work import Group, Result, View
from fivelevers.providers.batches import Answered, BatchProvider
from fivelevers.stores.lane import Lane
from fivelevers.stores.lane_batches import Batches

_log = logging.getLogger("fivelevers.batch")
_CLEANS: Final = 3
_READS: Final = 5  # of results that the provider says it does not have
_OLDEST_S: Final = 3 * 86_400.0  # a batch that no provider knows the end of
_AT_ONCE: Final = 50

Clock = Callable[[], float]
OnLate = Callable[[View, Result], Awaitable[None]]
"""A paid answer that came after its request had ended otherwise. May come again for the same row."""


class Steps:
    """``clock``: seconds of the epoch. ``on_late`` must not raise for long: the batch is applied again then."""

    def __init__(self, lane: Lane, batches: Batches, on_late: OnLate, pace: Pace, clock: Clock) -> None:
        self._lane, self._batches, self._on_late = lane, batches, on_late
        self._pace, self._clock = pace, clock
        self._acts = {
            Step.UPLOAD: self._upload,
            Step.CREATE: self._create,
            Step.WAIT: self._wait,
            Step.RECONCILE: self._reconcile,
            Step.POLL: self._poll,
            Step.APPLY: self._apply,
            Step.CLEAN: self._clean,
        }

    async def go_on(self, batch: Batch, provider: BatchProvider) -> None:
        """Until it has to wait, or is another's. Raises StoreError."""
        now: Batch | None = batch
        if batch.state in BEFORE_CREATING and (late := await self._rescued(batch)):
            now = await self._advance(batch, batch.state, self._pace.lease_s, **late)
        while now is not None:
            now = await self._acts[next_step(now, self._pace)](now, provider)

    async def put_off(self, batch: Batch) -> None:
        """Nobody can ask its provider now. Raises StoreError."""
        if not await self._lost(batch, None):
            await self._later(batch, self._pace.retry_most_s)

    async def _rescued(self, batch: Batch) -> dict[str, float]:
        """Rows whose deadline comes near are asked live, whatever their batch does; the first deadline that is left."""
        if not is_late(batch.rescue_at, self._clock(), self._pace):
            return {}
        rows = await self._batches.open_rows(batch)
        late = [row for row in rows if is_late(row.deadline_at, self._clock(), self._pace)]
        if late:
            _log.warning("fivelevers: %d of %s are asked live: their deadline is near", len(late), batch.name)
            await self._batches.ask_live([row.name for row in late])
        return {"rescue_at": first_deadline([row.deadline_at for row in rows if row not in late])}

    async def _upload(self, batch: Batch, provider: BatchProvider) -> Batch | None:
        started = await self._advance(batch, BatchState.UPLOADING, self._pace.lease_s, tries=batch.tries)
        if started is None or provider.inline:
            return started and await self._advance(started, BatchState.UPLOADED, self._pace.lease_s, tries=batch.tries)
        packed, rows = await self._packed(started, provider)
        with packed:
            if not rows:
                return await self._advance(started, BatchState.APPLIED, 0.0)
            try:
                file = await provider.upload(started, packed)
            except BatchError as error:
                return await self._failed(started, after_upload(started, Failure(error.failure), self._pace), error)
        return await self._advance(started, BatchState.UPLOADED, self._pace.lease_s, file=file)

    async def _create(self, batch: Batch, provider: BatchProvider) -> Batch | None:
        packed: IO[bytes] | None = None
        if provider.inline:
            packed, rows = await self._packed(batch, provider)
            if not rows:
                return await self._advance(batch, BatchState.APPLIED, 0.0)
        creating: Batch | None = None
        try:
            # The limit covers the step before: who was stopped in between sends nothing when it goes on.
            async with asyncio.timeout(self._pace.create_limit_s):
                creating = await self._advance(batch, BatchState.CREATING, self._pace.grace_s, tries=batch.tries)
                if creating is None:
                    return None
                provider_id = await provider.create(creating, packed)
        except (BatchError, TimeoutError) as error:
            return await self._not_created(creating, error)
        finally:
            if packed is not None:
                packed.close()
        if not await self._submitted(creating, provider_id):
            await self._one_too_many(creating, provider_id, provider)
        return None

    async def _not_created(self, batch: Batch | None, error: BatchError | TimeoutError) -> Batch | None:
        if batch is None:
            raise StoreError("redis: no answer while a batch was to be created") from error
        failure = Failure(error.failure) if isinstance(error, BatchError) else Failure.UNKNOWN
        if failure is Failure.TOO_MUCH:
            return await self._back(batch, error)
        return await self._failed(batch, after_create(batch, failure, self._pace), error)

    async def _submitted(self, batch: Batch, provider_id: str) -> bool:
        """Whether it was still ours to say so."""
        first_s = self._pace.poll_first_s
        return await self._advance(batch, BatchState.SUBMITTED, first_s, provider_id=provider_id) is not None

    async def _one_too_many(self, batch: Batch, provider_id: str, provider: BatchProvider) -> None:
        """Another worker took over while we were away: ours goes, unless it is the one that was found and adopted."""
        for _ in range(20):
            there = await self._batches.read(batch.id)
            if there is None or there.provider_id:
                break
            await asyncio.sleep(self._pace.grace_s / 10)
        if there is not None and there.provider_id != provider_id:
            metrics.count_bypass("batch", "one-too-many", BatchError(f"{provider_id} is cancelled", Failure.UNKNOWN))
            await provider.cancel(provider_id)

    async def _wait(self, batch: Batch, provider: BatchProvider) -> Batch | None:
        return await self._later(batch, max(self._pace.grace_s - batch.age_s, 0.0) + 0.01)

    async def _reconcile(self, batch: Batch, provider: BatchProvider) -> Batch | None:
        try:
            found = adoption(await provider.find(batch))
        except BatchError as error:
            return await self._retry(batch, error)
        for extra in found.cancel:
            await self._cancel(extra, provider)
        if found.adopt:
            await self._submitted(batch, found.adopt)
            return None
        if found.wait:
            return await self._retry(batch, None)
        return await self._advance(batch, BatchState.UPLOADED, self._pace.lease_s, tries=batch.tries)

    async def _poll(self, batch: Batch, provider: BatchProvider) -> Batch | None:
        try:
            if batch.left == 0 and batch.tries == 0:  # all are answered otherwise: what has not run need not
                await self._cancel(batch.provider_id, provider)
            polled = await provider.poll(batch)
        except BatchError as error:
            return await self._retry(batch, error)
        if not polled.ended:
            tries = batch.tries + 1 if batch.left == 0 else 0
            return await self._later(batch, poll_in(batch, self._pace), tries=tries)
        if polled.failure is not None or polled.why.startswith("failed"):
            _log.warning("fivelevers: %s (%s) failed: %s", batch.name, batch.provider_id, polled.why)
        if polled.failure is Failure.TOO_MUCH:
            return await self._back(batch, BatchError(polled.why, Failure.TOO_MUCH))
        return await self._advance(batch, BatchState.TERMINAL, self._pace.lease_s)

    async def _apply(self, batch: Batch, provider: BatchProvider) -> Batch | None:
        names = await self._batches.rows(batch)
        try:
            taken: list[Answered] = []
            async for answered in provider.results(batch):
                taken.append(answered)
                if len(taken) >= _AT_ONCE:
                    await self._take(batch, names, taken)
                    taken = []
            await self._take(batch, names, taken)
        except BatchError as error:
            if error.failure != Failure.REFUSED or batch.tries < _READS:
                return await self._retry(batch, error)
            metrics.count_bypass("batch", "results", error)
        moved = await self._batches.requeue(batch, due_at=self._clock(), most=self._pace.missing_most)
        if moved is None:
            return None
        if sum(moved):
            _log.warning("fivelevers: %s came back without %d rows: %d again, %d live", batch.name, sum(moved), *moved)
        await self._grow(batch.group)
        return await self._advance(batch, BatchState.APPLIED, 0.0)

    async def _take(self, batch: Batch, names: list[str], rows: list[Answered]) -> None:
        await asyncio.gather(*(self._take_one(batch, names, row) for row in rows if row.status))

    async def _take_one(self, batch: Batch, names: list[str], row: Answered) -> None:
        seq = batch.seq(row.row_id)
        if seq is None:
            metrics.count_bypass("batch", "foreign-row")
            return
        request_id = f"flr_{names[seq]}"
        request = row.request_id or None
        result = Result(
            request_id, row.status, row.body, self._clock(), provider_batch=batch.provider_id, provider_request=request
        )
        if await self._lane.finish(result, batch=batch.id) == "late":
            view = await self._lane.view(request_id, deleted=True)
            if view is not None:
                await self._on_late(view, result)
                if await self._lane.view(request_id) is None:  # it was kept for this alone
                    await self._lane.delete(request_id, metered=True)

    async def _clean(self, batch: Batch, provider: BatchProvider) -> Batch | None:
        try:
            await provider.clean(batch)
        except BatchError as error:
            if batch.tries < _CLEANS:
                return await self._retry(batch, error)
            metrics.count_bypass("batch", "clean", error)
        await self._advance(batch, BatchState.GONE, 0.0)
        return None

    async def _back(self, batch: Batch, error: BaseException) -> Batch | None:
        """More tokens than may wait at the provider: half as many from now on, a little later."""
        cap, later_s = halved(batch.tokens), backoff(3, self._pace)
        _log.warning("fivelevers: %s is too much, %d tokens at once from now on: %s", batch.name, cap, error)
        await self._batches.hold_back(batch.group, token_cap=cap, until=self._clock() + later_s)
        if await self._batches.requeue(batch, due_at=self._clock(), most=None) is None:
            return None
        return await self._advance(batch, BatchState.APPLIED, 0.0)

    async def _grow(self, group: Group) -> None:
        cap = next((w.queue.token_cap for w in await self._batches.waiting() if w.group == group), None)
        if cap is not None:
            await self._batches.hold_back(group, token_cap=grown(cap))

    async def _failed(self, batch: Batch, then: Next, error: BaseException) -> Batch | None:
        if not then.give_up:
            _log.info("fivelevers: %s: %s; again in %.0f s", batch.name, error, then.in_s)
            return await self._later(batch, then.in_s, to=then.state, tries=batch.tries + 1)
        metrics.count_bypass("batch", "refused", error)
        if await self._batches.requeue(batch, due_at=self._clock(), most=-1) is None:
            return None
        return await self._advance(batch, BatchState.APPLIED, 0.0)

    async def _retry(self, batch: Batch, error: BatchError | None) -> Batch | None:
        """The same step later."""
        if error is not None:
            _log.info("fivelevers: %s: %s", batch.name, error)
        if await self._lost(batch, error):
            return None
        return await self._later(batch, backoff(batch.tries, self._pace), tries=batch.tries + 1)

    async def _lost(self, batch: Batch, error: BatchError | None) -> bool:
        """Whether it was given up, since no provider can know of it any more."""
        if self._clock() - batch.made_at <= _OLDEST_S:
            return False
        metrics.count_bypass("batch", "lost", error)
        await self._batches.requeue(batch, due_at=self._clock(), most=-1)
        await self._advance(batch, BatchState.GONE, 0.0)
        return True

    async def _cancel(self, provider_id: str, provider: BatchProvider) -> None:
        try:
            await provider.cancel(provider_id)
        except BatchError as error:  # it has ended, or goes on: both are found out
            _log.info("fivelevers: %s is not cancelled: %s", provider_id, error)

    async def _packed(self, batch: Batch, provider: BatchProvider) -> tuple[IO[bytes], int]:
        size = sum(row.body_bytes for row in await self._batches.open_rows(batch))
        return await provider.pack(batch, self._batches.bodies(batch), size_bytes=size)

    async def _later(self, batch: Batch, in_s: float, to: BatchState | None = None, **fields: object) -> Batch | None:
        """Let go of it, at most until the next of its rows has to be asked live."""
        late = await self._rescued(batch)
        rescue_at = late.get("rescue_at", batch.rescue_at)
        in_s = at_rescue(in_s, rescue_at, self._clock(), self._pace)
        await self._advance(batch, to or batch.state, in_s, **fields, **late)
        return None

    async def _advance(self, batch: Batch, to: BatchState, in_s: float, **fields: object) -> Batch | None:
        return await self._batches.advance(batch, to, in_s=in_s, **fields)
