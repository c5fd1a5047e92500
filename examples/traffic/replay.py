"""Sends traffic through a proxy, checks the answers that have a truth, and tells the proxy how they came out."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from examples.traffic.client import Caller, Reply
from examples.traffic.problems import TrafficError
from examples.traffic.schedule import in_turn
from examples.traffic.workload import Request, in_order

OUTCOMES = "/fivelevers/v1/outcomes"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no answer, after the SDK's retries. `status` is None when there was no HTTP answer at all."""

    source: str
    tenant: str
    status: int | None
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """`requests` were sent; `successes` and `wrong` are the answers that could be checked; `wall_s` is in seconds."""

    requests: int
    failures: tuple[Failure, ...]
    successes: int
    wrong: int
    outcomes_posted: int
    outcomes_refused: int
    wall_s: float

    @property
    def failure_counts(self) -> Counter[tuple[int | None, str]]:
        """How many requests failed with each status and type."""
        return Counter((failure.status, failure.kind) for failure in self.failures)


OnProgress = Callable[[ReplayResult], None]


async def replay(
    base_url: str,
    keys: Mapping[str, str],
    requests: Sequence[Request],
    *,
    speed: float = 60.0,
    concurrency: int = 32,
    patient: Collection[str] = (),
    on_progress: OnProgress | None = None,
) -> ReplayResult:
    """Replays the requests against `base_url` (without /v1); `keys` has each tenant's key.

    ``patient``: workloads whose requests say that they can wait for hours, and do.

    A request that fails is counted and the run goes on. Raises TrafficError when a tenant has no key, ValueError when
    speed or concurrency make no sense.
    """
    if not speed >= 0 or concurrency < 1:
        raise ValueError(f"speed {speed} must be 0 or more, concurrency {concurrency} 1 or more")
    missing = {request.tenant for request in requests} - keys.keys()
    if missing:
        raise TrafficError(f"keys: none for tenant {', '.join(sorted(missing))}; add it to the key file")
    run = _Run(base_url.rstrip("/"), keys, patient, on_progress)
    try:
        await in_turn(in_order(requests), speed=speed, concurrency=concurrency, send=run.send, patient=patient)
    finally:
        await run.close()
    return run.result()


@dataclass(slots=True)
class _Run:
    """What one replay holds open and has counted so far."""

    base_url: str
    keys: Mapping[str, str]
    patient: Collection[str]
    on_progress: OnProgress | None
    callers: dict[str, Caller] = field(default_factory=dict)
    outcomes: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=10.0))
    counted: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    async def send(self, request: Request) -> None:
        """One request from beginning to end; nothing that goes wrong with it leaves this method."""
        try:
            reply = await self._caller(request.tenant).send(request)
        except Exception as error:  # SDKs, HTTP, parsing: whatever it is, it is this request's failure
            self.failures.append(_failure(request, error))
        else:
            await self._judge(request, reply)
        self.counted["requests"] += 1
        if self.on_progress:
            self.on_progress(self.result())

    async def _judge(self, request: Request, reply: Reply) -> None:
        if request.truth is None:
            return
        right = request.truth.holds(reply.text)
        self.counted["successes" if right else "wrong"] += 1
        if reply.request_id is not None:
            posted = await self._post(self.keys[request.tenant], reply.request_id, right=right)
            self.counted["posted" if posted else "refused"] += 1

    async def _post(self, key: str, request_id: str, *, right: bool) -> bool:
        body = {"request_id": request_id, "outcome": "success" if right else "failure"}
        try:
            answer = await self.outcomes.post(
                self.base_url + OUTCOMES, json=body, headers={"Authorization": f"Bearer {key}"}
            )
        except httpx.HTTPError:
            return False
        return answer.is_success

    def _caller(self, tenant: str) -> Caller:
        if tenant not in self.callers:
            self.callers[tenant] = Caller(self.base_url, self.keys[tenant], self.patient)
        return self.callers[tenant]

    def result(self) -> ReplayResult:
        return ReplayResult(
            requests=self.counted["requests"],
            failures=tuple(self.failures),
            successes=self.counted["successes"],
            wrong=self.counted["wrong"],
            outcomes_posted=self.counted["posted"],
            outcomes_refused=self.counted["refused"],
            wall_s=time.monotonic() - self.started,
        )

    async def close(self) -> None:
        for caller in self.callers.values():
            await caller.close()
        await self.outcomes.aclose()


def _failure(request: Request, error: Exception) -> Failure:
    status = getattr(error, "status_code", None)
    kind = _kind(getattr(error, "body", None)) or type(error).__name__
    return Failure(request.source, request.tenant, status, kind, str(error)[:300])


def _kind(body: Any) -> str | None:
    """The provider's own name for an error; OpenAI's SDK hands out the inner object, Anthropic's the outer one."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    kind = inner.get("type") if isinstance(inner, dict) else None
    return kind if isinstance(kind, str) else None
