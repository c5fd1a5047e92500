"""Where like prompts part, noticed as they pass: compared in memory, added up in Redis without a word of theirs.

A prompt whose opening was seen a moment ago costs one look into a dictionary. Another one is compared in the meter's
thread, at most ``COMPARISONS_A_SECOND`` of them in a process; each that is compared speaks for those that were not.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fivelevers import metrics
from fivelevers.engine import Plan
from fivelevers.errors import StoreError
from fivelevers.levers.prompt_cache.likeness import LastOpenings
from fivelevers.levers.prompt_cache.opening import fingerprint, opening_chars, opening_of
from fivelevers.levers.prompt_cache.tally import Parted, Place, Tally
from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.meter import Meter
from fivelevers.order import LEVERS, Mode
from fivelevers.prefix_caching import Tokenizers
from fivelevers.prices import Kind, PriceBook
from fivelevers.providers.cache_rules import TermBook
from fivelevers.proxies.litellm.reading import Deployment
from fivelevers.request import Api, Request
from fivelevers.stores.difference_hash import DifferenceHash

COMPARISONS_A_SECOND = 10
FLUSH_EVERY_S = 2.0
_KEYS_AT_MOST = 1000
_LEVER = LEVERS[0].name
_READ_BY_US = (Api.CHAT, Api.MESSAGES, Api.RESPONSES)

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A prompt to compare. ``times``: how many like it this one speaks for."""

    key: _Key
    plan: Plan
    fingerprint: bytes
    body: Mapping[str, Any]
    deployment: Deployment
    times: int


class PrefixWatch:
    """One a process. ``see`` neither waits nor raises for a Redis that is gone; what it could not take is counted."""

    def __init__(
        self, redis_url: str, meter: Meter, prices: PriceBook, terms: TermBook, tokenizers: Tokenizers
    ) -> None:
        self._redis_url, self._meter = redis_url, meter
        self._prices, self._terms, self._tokenizers = prices, terms, tokenizers
        self._openings, self._tally = LastOpenings(), Tally()
        self._passed_over: dict[_Key, int] = {}
        self._second, self._compared = 0, 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._owner = 0

    def see(self, plan: Plan, body: Mapping[str, Any], deployment: Deployment) -> None:
        """An attempt starts: ``body`` is what LiteLLM sends, ``plan.request`` the same as it was read."""
        request = plan.request
        acting = plan.route.levers.of(_LEVER).mode in (Mode.SHADOW, Mode.ON) and _LEVER not in plan.skipped
        if not acting or request.api not in _READ_BY_US or not self._cacheable(request, deployment):
            return
        key, seen = (plan.route.name, deployment.model, plan.tenant), fingerprint(request)
        if self._openings.repeats(key, seen, plan.started_at):
            return
        passed_over = self._passed_over.pop(key, 0)
        if not self._may_compare(int(plan.started_at)):
            if len(self._passed_over) < _KEYS_AT_MOST:
                self._passed_over[key] = passed_over + 1
            return
        job = _Seen(key, plan, seen, body, deployment, 1 + passed_over)
        self._meter.later(lambda: self._compare(job), "prefix_watch")

    def _cacheable(self, request: Request, deployment: Deployment) -> bool:
        rules = self._terms.of(deployment.provider, deployment.model, deployment.id).rules
        tokens = opening_chars(request) * self._tokenizers.of(deployment.model)
        return rules.style is not Style.NONE and tokens >= rules.minimum_tokens

    def _may_compare(self, second: int) -> bool:
        if second != self._second:
            self._second, self._compared = second, 0
        self._compared += 1
        return self._compared <= COMPARISONS_A_SECOND

    def _compare(self, seen: _Seen) -> None:
        request, deployment = seen.plan.request, seen.deployment
        opening = opening_of(seen.body, request)
        told = self._openings.compare(seen.key, seen.fingerprint, opening, seen.plan.started_at)
        if told is None:
            return
        tokens = seen.times * int(told.lost_chars * self._tokenizers.of(deployment.model))
        price = self._prices.price(deployment.model, provider=deployment.provider, deployment=deployment.id)
        plain, read = (price.rate(kind, prompt_tokens=0) for kind in (Kind.INPUT, Kind.CACHE_READ))
        usd = Decimal(0) if plain is None or read is None else tokens * (plain - read)
        with self._lock:
            self._tally.add(
                Place.of(seen.plan.route.name, deployment.model, told), Parted(seen.times, tokens, usd, told.offset)
            )
        metrics.prefix_lost_tokens.labels(seen.plan.route.name, deployment.model).inc(tokens)
        self._ensure_thread()

    def _ensure_thread(self) -> None:
        if not self._redis_url or self._owner == os.getpid():  # a forked process has no thread yet
            return
        self._owner, self._stop = os.getpid(), threading.Event()
        self._thread = threading.Thread(target=self._flush_often, name="fivelevers-prefixes", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _flush_often(self) -> None:
        hash_: DifferenceHash | None = None
        running = True
        while running:
            running = not self._stop.wait(FLUSH_EVERY_S)  # and once more after the last wait
            try:
                hash_ = hash_ or DifferenceHash(self._redis_url)
                self._flush(hash_)
            except Exception as error:  # whatever it is, this thread must live
                metrics.count_bypass(_LEVER, "differences", error)
        if hash_ is not None:
            hash_.close()

    def _flush(self, hash_: DifferenceHash) -> None:
        with self._lock:
            sums = self._tally.take()
        if not sums:
            return
        try:
            hash_.add(sums, time.time())
        except StoreError:
            with self._lock:  # for the next turn; the tally is bounded
                for place, parted in sums.items():
                    self._tally.add(place, parted)
            raise

    def close(self) -> None:
        """Hand over what there is, and stop."""
        self._stop.set()
        if self._thread is not None and self._owner == os.getpid():
            self._thread.join(timeout=2)
