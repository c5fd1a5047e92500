"""Callers who look at an answer, tell the proxy whether it was right, and ask again where it was not."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from examples.traffic.truth import Truth

OUTCOMES = "/fivelevers/v1/outcomes"
SESSION_HEADER, REQUEST_HEADER = "x-fivelevers-session", "x-fivelevers-request"
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Task:
    """What one caller wants to know, as the body of a chat completion, in a session of its own."""

    session: str
    body: Mapping[str, Any]
    truth: Truth


@dataclass(slots=True)
class Callers:
    """Of one proxy with one key. ``tries``: how often each asks the same, at most.

    They stop, but for what is on its way, as soon as the lever is back in shadow: ``header`` says so. ``said`` counts
    the calls by its first word, ``wrong`` those of them whose answer was. ``last``: what it said last.
    """

    base_url: str
    key: str
    header: str
    tries: int = 1
    concurrency: int = 8
    stops: bool = True
    retreated: bool = False
    said: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    last: str = ""

    async def run(self, tasks: Iterable[Task]) -> None:
        """Raises httpx.HTTPError where the proxy does not answer."""
        waiting = iter(tasks)
        async with (
            httpx.AsyncClient(base_url=self.base_url, timeout=_TIMEOUT_S) as http,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self.concurrency):
                group.create_task(self._one_after_another(http, waiting))

    async def _one_after_another(self, http: httpx.AsyncClient, tasks: Iterator[Task]) -> None:
        for task in tasks:
            self.sessions += 1
            await self._asked(http, task)
            if self.retreated and self.stops:
                return

    async def _asked(self, http: httpx.AsyncClient, task: Task) -> None:
        for _ in range(self.tries):
            if await self._answered(http, task):
                return

    async def _answered(self, http: httpx.AsyncClient, task: Task) -> bool:
        """Whether it was right."""
        headers = {"authorization": f"Bearer {self.key}", SESSION_HEADER: task.session}
        answer = await http.post("/v1/chat/completions", json=dict(task.body), headers=headers)
        text = answer.raise_for_status().json()["choices"][0]["message"]["content"]
        self.last, right = answer.headers.get(self.header, ""), task.truth.holds(text)
        word = re.split(r"\W", self.last, maxsplit=1)[0]
        self.said[word] += 1
        self.wrong[word] += not right
        self.retreated = self.retreated or word == "shadow"
        outcome = {"request_id": answer.headers[REQUEST_HEADER], "outcome": "success" if right else "failure"}
        del headers[SESSION_HEADER]
        (await http.post(OUTCOMES, json=outcome, headers=headers)).raise_for_status()
        return right
