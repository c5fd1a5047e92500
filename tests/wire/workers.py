"""The proxy's workers one by one: they share a port, so the others are held while one answers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from fivelevers.policy import parse
from tests.wire.proxy import Proxy, wait_for

T = TypeVar("T")


def on_each_worker(proxy: Proxy, look: Callable[[], T]) -> list[T]:
    """What ``look`` gives while one worker alone runs. It must come over new connections, past Envoy's."""
    pids, found = proxy.stack.worker_pids, []
    for pid in pids:
        others = [other for other in pids if other != pid]
        try:
            for other in others:
                os.kill(other, signal.SIGSTOP)
            found.append(look())
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)
    return found


def health_of_each(proxy: Proxy) -> list[dict[str, Any]]:
    url = f"{proxy.stack.litellm_url}/fivelevers/v1/health"
    return on_each_worker(proxy, lambda: httpx.get(url, timeout=60).raise_for_status().json())


def replace(path: Path, text: str) -> None:
    """In one step: nobody reads a part of it, or finds it empty."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


def rewrite_policy(proxy: Proxy, text: str) -> None:
    """Put another policy in its place, in one step; it is in force in every worker, and the history knows of it."""
    replace(proxy.policy, text)
    new = parse(text).hash
    told = wait_for(
        lambda: health_of_each(proxy),
        lambda each: all(health["policy"] == new and health["policy_since"] for health in each),
    )
    assert {health["policy"] for health in told} == {new}
