"""When each request is sent: at its time, after the one before it in its session, never more than so many at once.

What may wait for hours takes no place from the others and waits for none of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from examples.traffic.workload import Request


async def in_turn(
    requests: Sequence[Request],
    *,
    speed: float,
    concurrency: int,
    send: Callable[[Request], Awaitable[None]],
    patient: Collection[str] = (),
) -> None:
    """Sends every request.

    `requests` are in order of arrival, the first one is due at once. `speed` 60 turns an hour into a minute, 0 waits
    for nothing. When more requests are due than may be under way, the earliest goes first. ``patient`` are workloads
    whose requests may wait for hours.
    """
    ready: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()
    done = [asyncio.Event() for _ in requests]
    start = asyncio.get_running_loop().time()

    async def admit(index: int, before: int | None) -> None:
        if speed:
            due = start + (requests[index].at_s - requests[0].at_s) / speed
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        if requests[index].workload in patient:
            await send(requests[index])
            done[index].set()
            return
        if before is not None:
            await done[before].wait()
        ready.put_nowait(index)

    async def work() -> None:
        while True:
            index = await ready.get()
            await send(requests[index])
            done[index].set()

    async with asyncio.TaskGroup() as group:
        for index, before in enumerate(predecessors(requests)):
            group.create_task(admit(index, before))
        workers = [group.create_task(work()) for _ in range(min(concurrency, len(requests)))]
        for event in done:
            await event.wait()
        for worker in workers:
            worker.cancel()


def predecessors(requests: Sequence[Request]) -> list[int | None]:
    """For each request the index of the one before it in its tenant's session."""
    last: dict[tuple[str, str], int] = {}
    found = []
    for index, request in enumerate(requests):
        session = (request.tenant, request.session)
        found.append(last.get(session))
        last[session] = index
    return found
