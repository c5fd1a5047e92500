"""The calls of a benchmark: each is paid for once, whatever was killed, and tried again where the way failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import orjson

from fivelevers.charge import HEADER as CHARGE_HEADER
from fivelevers.errors import CalibrationError, ProxyError, ProxyUnreachableError
from fivelevers.levers.routing.needs import LIMITS
from fivelevers.order import LEVER_NAMES
from fivelevers.providers.proxy_calls import ProxyCalls
from fivelevers.request import Api, canonical_json
from fivelevers.route_benchmark.budget import ZERO, Budget
from fivelevers.route_benchmark.cases import PATHS, Candidate
from fivelevers.route_benchmark.replies import LANE_HEADER, Ended, Heard, Reply, reply_of
from fivelevers.switch import SKIP_HEADER

LANE: Final = "/fivelevers/lane"
_AGAIN: Final = frozenset({408, 409, 425, 429, 499})
_TIMED_OUT: Final = frozenset({408, 499, 504, 524})  # of a gateway: what it gave up may be answered, and billed
_GONE: Final = 410  # of a poll: cancelled, or its answer is kept no longer
_NO_LOOK: Final = frozenset({401, 403, 404})  # of a poll: not with this key
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
    """``slots``: how many are on their way at once. ``waits_s``: before each further try of what may work yet.

    ``charge``: the header by which an operator's calls are charged to the lever; ``uncharged`` is how many were not.
    """

    proxy: ProxyCalls
    key: str
    budget: Budget
    slots: asyncio.Semaphore
    timeout_s: float = 120.0
    waits_s: Sequence[float] = (1.0, 4.0, 15.0)
    poll_s: float = 60.0
    charge: str = ""
    asked: int = 0
    uncharged: int = 0
    _known: dict[str, tuple[Reply, int | None]] = field(default_factory=dict)
    _running: dict[str, asyncio.Future[Reply]] = field(default_factory=dict)
    _failures: Counter[str] = field(default_factory=Counter)
    _tries: int = 0
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def replay(self, records: list[dict[str, Any]]) -> None:
        """What earlier runs asked and heard."""
        self._tries = len(records)
        self.budget.replay(records)
        for record in records:
            if "call" in record:
                reply = Reply.of_record(record)
                self._known[record["call"]] = reply, record.get("limit")
                self._failures[record["call"]] += reply.ended is Ended.LEFT_OUT
            elif "failed" in record:
                self._failures[record["failed"]] += 1

    def known(self, call: Call) -> Reply | None:
        """What is known of it already. One that was left out is not; nor one cut off at a lower limit."""
        reply, limit = self._known.get(call.name, (None, None))
        if reply is None or reply.ended is Ended.LEFT_OUT:
            return None
        cut_short = reply.ended is Ended.CUT and (call.limit is None or call.limit > (limit or 0))
        return None if cut_short else reply

    async def ask(self, call: Call, *, batch: bool = False) -> Reply:
        """The same call asked again while it is on its way is one call.

        Raises BudgetSpentError; ProxyError where the proxy is not there, CalibrationError where it refuses all.
        """
        reply = self.known(call)
        if reply is not None:
            return reply
        running = self._running.get(call.name)
        return await (self._first(call, batch=batch) if running is None else asyncio.shield(running))

    async def _first(self, call: Call, *, batch: bool) -> Reply:
        running = self._running[call.name] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._asked(call, batch=batch)
        except Exception as error:
            running.set_exception(error)
            running.exception()  # it is heard of here, whoever else waits
            raise
        else:
            running.set_result(reply)
            return reply
        finally:
            running.cancel()
            del self._running[call.name]

    async def _asked(self, call: Call, *, batch: bool) -> Reply:
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
        async with self._taken(name, call.most_usd, batch=batch):
            try:
                heard = await self._sent(call, batch=batch)
            except TimeoutError:
                return None, 0.0
            except ProxyError as error:
                if isinstance(error, ProxyUnreachableError):  # so nothing was asked
                    self.budget.heard(name, ZERO, {})
                if last:
                    raise
                return None, 0.0
            if last or not (heard.status in _AGAIN or heard.status >= 500):
                return self._reply(name, call, heard), 0.0
            if not _unheard(heard):
                self._failed(name, call, heard)
            return None, _retry_after_s(heard)

    def _failed(self, name: str, call: Call, heard: Heard) -> None:
        self._failures[call.name] += 1
        self.budget.heard(name, call.most_usd if heard.status in _TIMED_OUT else ZERO, {"failed": call.name})

    def _reply(self, name: str, call: Call, heard: Heard) -> Reply:
        if _unheard(heard):
            return Reply(Ended.LEFT_OUT, why=f"HTTP {heard.status}: timed out on the way")
        try:
            reply = reply_of(heard, call.candidate, own_limit=call.limit is None, most_usd=call.most_usd)
        except CalibrationError:
            self._failed(name, call, heard)
            raise
        self._failures[call.name] += reply.ended is Ended.LEFT_OUT
        record = {"call": call.name, "model": call.candidate.name, "limit": call.limit, **reply.record()}
        self.budget.heard(name, reply.usd, record)
        return reply

    @asynccontextmanager
    async def _taken(self, name: str, most_usd: Decimal, *, batch: bool) -> AsyncIterator[None]:
        """Money and a slot. Money is waited for without one: the calls that hold it may need a slot to end."""
        while True:
            await self._affordable(most_usd)
            async with self._slot(batch=batch):
                if self._has_to_wait(most_usd):  # others took it while this one waited for its slot
                    continue
                with self._told_when_over(), self.budget.hold(name, most_usd):
                    yield
                return

    def _slot(self, *, batch: bool) -> AbstractAsyncContextManager[None]:
        """What waits in the lane takes no slot: money is held for it, but no connection."""
        return nullcontext() if batch else self.slots

    def _has_to_wait(self, most_usd: Decimal) -> bool:
        """For calls on their way, as long as what they may cost is what is in the way."""
        return self.budget.busy and not self.budget.affords(most_usd)

    async def _affordable(self, most_usd: Decimal) -> None:
        while self._has_to_wait(most_usd):
            self._over.clear()
            await self._over.wait()

    @contextmanager
    def _told_when_over(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._over.set()

    async def _sent(self, call: Call, *, batch: bool) -> Heard:
        charge = {CHARGE_HEADER: self.charge} if self.charge else {}
        if not batch:
            return self._told(await self._exchange("POST", PATHS[call.api], {SKIP_HEADER: "all", **charge}, call.sent))
        others = ",".join(name for name in LEVER_NAMES if name != "batch")
        wish = {SKIP_HEADER: others, "prefer": "respond-async", "idempotency-key": self._lane_key(call), **charge}
        async with self.slots:
            heard = self._told(await self._exchange("POST", LANE + PATHS[call.api], wish, call.sent))
        return await self._waited(call, heard) if heard.status == 202 else heard

    def _told(self, heard: Heard) -> Heard:
        self.uncharged += heard.status < 300 and CHARGE_HEADER not in heard.headers
        return heard

    def _lane_key(self, call: Call) -> str:
        """Another one once a try has failed: of a key that it knows the lane has the ended work again."""
        return f"{call.name}-{call.limit}-{self._failures[call.name]}"

    async def _waited(self, call: Call, accepted: Heard) -> Heard:
        """The lane keeps it, so that a look that fails loses nothing. Without its header nothing is said of the row."""
        place, pause_s = f"{accepted.headers.get('location', '')}/result", self.poll_s
        while True:
            await asyncio.sleep(pause_s)
            try:
                async with self.slots:
                    heard = await self._exchange("GET", place, {}, b"")
            except (TimeoutError, ProxyError):
                heard = accepted
            if heard.status != 202 and (LANE_HEADER in heard.headers or heard.status == _GONE):
                return heard
            if heard.status in _NO_LOOK:
                raise CalibrationError(f"{call.candidate.alias}: the proxy answers {heard.status} to a look at {place}")
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


def _unheard(heard: Heard) -> bool:
    """A gateway gave up, and the lane says nothing of it: it may be billed yet, and its answer is lost."""
    return heard.status in _TIMED_OUT and LANE_HEADER not in heard.headers


def _retry_after_s(heard: Heard) -> float:
    text = heard.headers.get("retry-after", "")
    return min(float(text), _LONGEST_WAIT_S) if text.isdigit() else 0.0
