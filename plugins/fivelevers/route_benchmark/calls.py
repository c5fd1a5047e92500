"""The calls of a benchmark: each is paid for once, whatever was killed, and tried again where the way failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import orjson

from fivelevers.errors import CalibrationError, ProxyError
from fivelevers.order import LEVER_NAMES
from fivelevers.providers.proxy_calls import ProxyCalls
from fivelevers.request import Api, canonical_json
from fivelevers.route_benchmark.budget import ZERO, Budget
from fivelevers.route_benchmark.cases import LIMITS, PATHS, Candidate
from fivelevers.route_benchmark.replies import LANE_HEADER, Ended, Heard, Reply, reply_of
from fivelevers.switch import SKIP_HEADER

LANE: Final = "/fivelevers/lane"
_AGAIN: Final = frozenset({408, 409, 425, 429})
_LONGEST_POLL_S: Final = 300.0
_LONGEST_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """``limit``: tokens of the answer, where the request does not say; None: it does."""

    candidate: Candidate
    api: Api
    body: Mapping[str, Any]
    most_usd: Decimal
    limit: int | None

    @property
    def name(self) -> str:
        """The same, whatever limit is written into it: 32 hex digits."""
        whole = [self.candidate.name, self.candidate.alias, self.api.value, self.body]
        return sha256(canonical_json(whole)).hexdigest()[:32]

    @property
    def sent(self) -> bytes:
        limit = {} if self.limit is None else {LIMITS[self.api][0]: self.limit}
        return orjson.dumps({**self.body, **limit, "model": self.candidate.alias})


@dataclass
class Calls:
    """``slots``: how many are on their way at once. ``waits_s``: before each further try of what may work yet."""

    proxy: ProxyCalls
    key: str
    budget: Budget
    slots: asyncio.Semaphore
    timeout_s: float = 120.0
    waits_s: Sequence[float] = (1.0, 4.0, 15.0)
    poll_s: float = 60.0
    asked: int = 0
    _known: dict[str, tuple[Reply, int | None]] = field(default_factory=dict)
    _tries: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def replay(self, records: list[dict[str, Any]]) -> None:
        """What earlier runs asked and heard."""
        self._tries = len(records)
        self.budget.replay(records)
        for record in records:
            if "call" in record:
                self._known[record["call"]] = Reply.of_record(record), record.get("limit")

    def known(self, call: Call) -> Reply | None:
        """What is known of it already. One that was left out is not; nor one cut off at a lower limit."""
        reply, limit = self._known.get(call.name, (None, None))
        if reply is None or reply.ended is Ended.LEFT_OUT:
            return None
        cut_short = reply.ended is Ended.CUT and (call.limit is None or call.limit > (limit or 0))
        return None if cut_short else reply

    async def ask(self, call: Call, *, batch: bool = False) -> Reply:
        """Raises BudgetSpentError; ProxyError where the proxy is not there, CalibrationError where it refuses all."""
        reply = self.known(call)
        if reply is None:
            self.asked += 1
            for wait_s in self.waits_s:
                reply, pause_s = await self._try(call, batch=batch, last=False)
                if reply is not None:
                    break
                await asyncio.sleep(max(wait_s, pause_s))
            else:
                reply, _ = await self._try(call, batch=batch, last=True)
            reply = reply or Reply(Ended.LEFT_OUT, why=f"no answer within {self.timeout_s:.0f} s")
            self._known[call.name] = reply, call.limit
        return reply

    async def _try(self, call: Call, *, batch: bool, last: bool) -> tuple[Reply | None, float]:
        """None: not answered, and worth another try, after so many seconds at least."""
        self._tries += 1
        name = f"{call.name}.{self._tries}"
        async with self._within_slot(batch=batch):
            await self._affordable(call.most_usd)
            with self._told_when_over(), self.budget.hold(name, call.most_usd):
                try:
                    heard = await self._sent(call, batch=batch)
                except TimeoutError:
                    return None, 0.0
                except ProxyError as error:
                    if "Connect" in str(error):  # so nothing was asked
                        self.budget.heard(name, ZERO, {})
                    if last:
                        raise
                    return None, 0.0
                if not last and (heard.status in _AGAIN or heard.status >= 500):
                    self.budget.heard(name, ZERO, {})
                    return None, _retry_after_s(heard)
                return self._reply(name, call, heard), 0.0

    def _reply(self, name: str, call: Call, heard: Heard) -> Reply:
        try:
            reply = reply_of(heard, call.candidate, own_limit=call.limit is None, most_usd=call.most_usd)
        except CalibrationError:
            self.budget.heard(name, ZERO, {})
            raise
        record = {"call": call.name, "model": call.candidate.name, "limit": call.limit, **reply.record()}
        self.budget.heard(name, reply.usd, record)
        return reply

    async def _affordable(self, most_usd: Decimal) -> None:
        """Wait for calls on their way, as long as what they may cost is what is in the way."""
        while self.budget.busy and not self.budget.affords(most_usd):
            self._over.clear()
            await self._over.wait()

    @contextmanager
    def _told_when_over(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._over.set()

    @asynccontextmanager
    async def _within_slot(self, *, batch: bool) -> AsyncIterator[None]:
        """What waits in the lane takes no slot: money is held for it, but no connection."""
        if batch:
            yield
            return
        async with self.slots:
            yield

    async def _sent(self, call: Call, *, batch: bool) -> Heard:
        if not batch:
            return await self._exchange("POST", PATHS[call.api], {SKIP_HEADER: "all"}, call.sent)
        others = ",".join(name for name in LEVER_NAMES if name != "batch")
        wish = {SKIP_HEADER: others, "prefer": "respond-async", "idempotency-key": f"{call.name}-{call.limit}"}
        async with self.slots:
            heard = await self._exchange("POST", LANE + PATHS[call.api], wish, call.sent)
        return await self._waited(heard) if heard.status == 202 else heard

    async def _waited(self, accepted: Heard) -> Heard:
        """The lane keeps it, so that a poll that fails loses nothing."""
        place, pause_s = f"{accepted.headers.get('location', '')}/result", self.poll_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                async with self.slots:
                    heard = await self._exchange("GET", place, {}, b"")
            except (TimeoutError, ProxyError):
                heard = accepted
            there = heard.status != 202 and (heard.status < 500 or LANE_HEADER in heard.headers)
            if there:
                return heard
            pause_s = min(1.5 * pause_s, max(self.poll_s, _LONGEST_POLL_S))

    async def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Heard:
        sent = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **headers}
        async with asyncio.timeout(self.timeout_s), self.proxy.asked(method, target, sent.items(), body) as answer:
            text = b"".join([part async for part in answer.parts()])
            return Heard(answer.status, answer.text_headers, object_of(text))


def object_of(text: bytes) -> Mapping[str, Any]:
    """Empty where it is no JSON object."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after_s(heard: Heard) -> float:
    text = heard.headers.get("retry-after", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isdigit() else 0.0
