"""Forks workers of the batch lane that have imported everything: a kill hits their work and not their start.

    python -m benchmarks.rig.lane_zygote SETTINGS    a JSON object, see `Settings`

Each line "spawn" on its input forks one worker; "ready PID" on its output says that one is at work. All die with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from fivelevers.lane.worker import Worker
from fivelevers.levers.batch.lifecycle import Batch, Pace
from fivelevers.levers.batch.work import Group, Result, View, Work
from fivelevers.providers.anthropic_batches import AnthropicBatches
from fivelevers.providers.batches import Account, Answered, BatchProvider
from fivelevers.providers.openai_batches import OpenAIBatches
from fivelevers.stores.lane import Lane

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """``base_url``: of the provider, as its SDK wants it. ``told``: a file that each ended request is appended to.

    ``flaws``: what is broken on purpose, to see whether it is found: "retries" sends a create again, as SDKs do,
    "mixed" takes each row's answer for the next one's.
    """

    redis_url: str
    provider: str
    base_url: str
    live_url: str
    key: str
    told: str
    pace: dict[str, Any]
    flaws: tuple[str, ...] = ()

    def account(self, group: Group) -> Account:
        return Account(group.account, self.provider, self.key, base_url=self.base_url)


def main() -> None:
    values = json.loads(sys.argv[1])
    settings = Settings(**{**values, "flaws": tuple(values["flaws"])})
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are nobody's to bury
    for line in sys.stdin:
        if line.strip() == "spawn" and os.fork() == 0:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            sys.stdin.close()
            asyncio.run(_work(settings))
            os._exit(0)


async def _work(settings: Settings) -> None:
    lane, told = Lane(settings.redis_url, {}), os.open(settings.told, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    async def on_result(view: View) -> None:
        os.write(told, f"{view.work.id} {view.state}\n".encode())

    async def rescue(work: Work) -> Result:
        async with httpx.AsyncClient(timeout=30) as client:
            url = settings.live_url + work.group.endpoint.value
            headers = {"authorization": f"Bearer {settings.key}", "x-api-key": settings.key}
            headers |= {"anthropic-version": "2023-06-01", "content-type": "application/json"}
            answer = await client.post(url, content=work.body, headers=headers)
        return Result(work.id, answer.status_code, answer.content, time.time(), live=True)

    def opened(account: Account) -> BatchProvider:
        provider: Any = (AnthropicBatches if account.provider == "anthropic" else OpenAIBatches)(account)
        if "retries" in settings.flaws:
            provider._client = provider._client.with_options(max_retries=2)
        if "mixed" in settings.flaws:
            provider.results = _mixed(provider.results)
        return provider  # type: ignore[no-any-return]

    worker = Worker(lane, settings.account, on_result, rescue, pace=Pace(**settings.pace), open_provider=opened)
    running = asyncio.create_task(worker.run())
    await lane.stats()
    print(f"ready {os.getpid()}", flush=True)
    await running


def _mixed(results: Callable[[Batch], AsyncIterator[Answered]]) -> Callable[[Batch], AsyncIterator[Answered]]:
    async def mixed(batch: Batch) -> AsyncIterator[Answered]:
        async for row in results(batch):
            yield replace(row, row_id=batch.row_id(((batch.seq(row.row_id) or 0) + 1) % batch.rows))

    return mixed


if __name__ == "__main__":
    main()
