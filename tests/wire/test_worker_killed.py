"""A worker is killed while requests are in flight. Last of the proxy's tests, by its name: uvicorn's supervisor starts
another at once, or, when it was just waiting for the killed one's pong, after `--timeout_worker_healthcheck`.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai

from fivelevers.metering.reconcile import Why
from tests.wire.agreement import Books, judged
from tests.wire.proxy import GPT, Proxy, wait_for


def test_it_loses_only_what_was_in_flight_and_the_comparison_names_it(quiet: Proxy) -> None:
    books = Books.opened(quiet)
    done = [quiet.call("chat", GPT, f"What is {n} + {n}?") for n in range(6)]
    assert judged(books.settled()) == ([], [])
    quiet.fault(fault="timeout", hang_s=4, match={"contains": "in flight"})
    started = time.time()
    with ThreadPoolExecutor(8) as pool:
        hanging = [pool.submit(answered, quiet, f"What is {n} + 1, in flight?") for n in range(8)]
        assert wait_for(lambda: at_the_provider(quiet, "in flight"), lambda n: n == len(hanging)) == len(hanging)
        quiet.stack.kill_worker()
        window = (started, time.time())
    quiet.no_faults()
    lost = sum(not call.result() for call in hanging)
    assert lost > 0

    def in_flight() -> int:
        told = books.compare(kill_windows=[window])
        return sum(alone.why is Why.IN_FLIGHT_AT_KILL for alone in told.bill_alone)

    # What the other worker answered is metered; what the killed one had in flight is on the bill alone, and named.
    assert wait_for(in_flight, lambda n: n == lost) == lost
    assert judged(books.settled(kill_windows=[window])) == ([], [])
    for reply in done:
        assert len(quiet.attempts(reply.request_id)) == 1
    quiet.stack.check()
    quiet.call("chat", GPT, "What is 2 + 2?")


def at_the_provider(proxy: Proxy, text: str) -> int:
    """How many requests with this text have arrived there."""
    rows = httpx.get(f"{proxy.stack.simulator_url}/sim/requests?last=100").json()["requests"]
    return sum(text in row["body"] for row in rows)


def answered(proxy: Proxy, prompt: str) -> bool:
    try:
        proxy.call("chat", GPT, prompt)
    except openai.OpenAIError:
        return False
    return True
