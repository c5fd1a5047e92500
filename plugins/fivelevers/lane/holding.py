"""A caller that holds its connection: it gets a plain answer, from the batch or, where that takes too long, live."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fivelevers import metrics
from fivelevers.errors import StoreError
from fivelevers.lane.asgi import ClientGoneError, Message, Receive, Send, again, unless_gone
from fivelevers.lane.call import Call, Live
from fivelevers.lane.delivery import deliver
from fivelevers.levers.batch.work import Result, View
from fivelevers.providers.batches import worth_asking_again
from fivelevers.stores.lane import Lane

LIVE_MARGIN_S: Final = 330.0
"""What a live call may take at the end of the caller's patience. More than a worker's margin before the deadline: where
both end together, the caller's own call is the first, and then the only one.
"""
_AGAIN_S: Final = 5.0  # between two looks at a Redis that does not answer


@dataclass(frozen=True, slots=True)
class Holding:
    """One such caller, and the request that it waits for. A caller that leaves finds it here when it comes back."""

    lane: Lane
    host: Live
    call: Call
    work_id: str
    receive: Receive
    send: Send

    async def answer(self, patience_s: float, headers: Mapping[str, str]) -> None:
        until = time.monotonic() + max(patience_s - LIVE_MARGIN_S, 0.0)
        try:
            view = await unless_gone(_ended(self.lane, self.work_id, until), self.receive)
        except ClientGoneError:
            metrics.count_in_lane("left")
            return
        if view is None:
            await self._rescue()
        else:
            await deliver(view, self.call.path, headers).send(self.send)

    async def _rescue(self) -> None:
        """Asked live. Out of the lane where the provider does not have it; else both are paid."""
        try:
            taken = await self.lane.take(self.work_id)
        except StoreError:
            taken = False
        metrics.count_in_lane("taken" if taken else "rescued")
        heard = _Heard(self.send)
        again_read = again(self.call.body, self.receive)
        await self.host.live(self.call, "patience", again_read, heard, work_id=self.work_id)
        if heard.whole and not worth_asking_again(heard.status):  # else its caller, or a worker, asks once more
            result = Result(self.work_id, heard.status, b"".join(heard.parts), time.time(), live=True)
            with contextlib.suppress(StoreError):  # then a worker asks again, or its batch answers it, to nobody
                await self.lane.finish(result)


async def _ended(lane: Lane, work_id: str, until: float) -> View | None:
    """None: the caller's patience is over. A Redis that is away is waited for."""
    while (left_s := until - time.monotonic()) > 0:
        try:
            view = await lane.wait(work_id, within_s=left_s)
        except StoreError:
            await asyncio.sleep(min(_AGAIN_S, left_s))
            continue
        if view is not None and view.state.ended:
            return view
        if view is None:
            break
    return None


class _Heard:
    """Sends on, and remembers what was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.parts: list[bytes] = []
        self.whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.parts.append(message.get("body", b""))
            self.whole = not message.get("more_body")
        await self._send(message)
