"""A certified cascade is watched on the real proxy: at the lever's expense, and it retreats from a worse weak model."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis

from fivelevers.metering.arms import unit_interval
from tests.wire import cascades
from tests.wire.proxy import Proxy, Reply, wait_for
from tests.wire.test_cascade import NO_NUMBER, SAID, SUM, WAYS, ask, saved
from tests.wire.test_endpoints_admin import ask as ask_as_admin

TASK = {"x-fivelevers-task": cascades.SCORED}  # the cell of the artifact


def cascade(proxy: Proxy, prompt: str = SUM, api: str = "chat", **more: Any) -> Reply:
    return ask(proxy, cascades.WATCHED, prompt, api, **{**more, "headers": {**TASK, **more.get("headers", {})}})


def drawn(reply: Reply) -> bool:
    return unit_interval(cascades.WATCHED, reply.request_id, b"fivelevers watch") < 0.5


def counted(proxy: Proxy) -> Counter[str]:
    """Over all standings of the route's switch."""
    found: Counter[str] = Counter()
    with redis.Redis.from_url(proxy.stack.redis_url) as client:
        for key in client.scan_iter(f"fl:watched:{cascades.WATCHED}:*"):
            found.update({name.decode(): int(count) for name, count in client.hgetall(key).items()})
    return found


def standing(proxy: Proxy) -> list[dict[str, Any]]:
    told = ask_as_admin(proxy, "GET", "off").json()["off"]
    return [place for place in told if place["route"] == cascades.WATCHED]


@pytest.mark.parametrize(("api", "stream"), WAYS)
def test_the_strong_model_is_asked_too_on_the_lever_s_bill_and_on_no_key_s(
    quiet: Proxy, planting_log: Path, api: str, stream: bool
) -> None:
    case, before, reply = "", counted(quiet), None
    while reply is None or not drawn(reply):
        case = uuid.uuid4().hex
        reply = cascade(quiet, api=api, stream=stream, headers={"x-test-case": case})
    rows = quiet.attempts(reply.request_id, 2)
    assert [(row["model"], row["charged_to"]) for row in rows] == [("gpt-4.1-nano", None), ("gpt-4.1", "routing")]
    assert saved(quiet, rows[1]) == [("routing", "observed", -rows[1]["cost_usd"])]
    found = wait_for(lambda: counted(quiet), lambda now: now["tested"] > before["tested"])
    assert (found["tested"] - before["tested"], found["lost"], found["won"]) == (1, before["lost"], before["won"])

    def events() -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in planting_log.read_text().splitlines())
        return [one for one in lines if one["case"] == case and one["hook"] == "log_success"]

    keys = {one["model_group"]: one["key"] for one in wait_for(events, lambda seen: len(seen) >= 3)}
    assert keys["weak-gpt"] is not None
    assert (keys["strong-gpt"], len(events())) == (None, 3)


def test_where_the_strong_model_answered_nothing_is_lost_and_nobody_is_asked(quiet: Proxy) -> None:
    before, reply = counted(quiet), None
    while reply is None or not drawn(reply):
        reply = cascade(quiet, NO_NUMBER)
        assert reply.headers[SAID] == "escalated:scorer"
    found = wait_for(lambda: counted(quiet), lambda now: now["tested"] > before["tested"])
    assert (found["tested"] - before["tested"], found["lost"]) == (1, before["lost"])
    rows = quiet.attempts(reply.request_id, 2)
    assert [(row["model"], row["charged_to"]) for row in rows] == [("gpt-4.1-nano", None), ("gpt-4.1", None)]


def test_a_weak_model_that_became_worse_is_retreated_from(quiet: Proxy) -> None:
    before = counted(quiet)
    replies = [cascade(quiet) for _ in range(30)]
    wait_for(lambda: counted(quiet), lambda now: now["tested"] - before["tested"] >= sum(map(drawn, replies)))
    assert {reply.headers[SAID] for reply in replies} == {"weak"}
    assert standing(quiet) == []
    quiet.fault(fault="wrong", match={"model": "gpt-4.1-nano"})
    try:
        found = wait_for(lambda: cascade(quiet).headers[SAID], lambda said: said == "strong-only:shadow")
        (place,) = wait_for(lambda: standing(quiet), bool)  # the other worker learns of it a moment later
    finally:
        ask_as_admin(quiet, "POST", "resume", route=cascades.WATCHED).raise_for_status()
    assert found == "strong-only:shadow"
    assert (place["lever"], place["kind"], place["by"]) == ("routing", "retreat", "watch")
    assert "got a worse answer than the strong model's and 0 a better one; 0.05 of loss is promised" in place["reason"]
    quiet.no_faults()
    assert wait_for(lambda: cascade(quiet).headers[SAID], lambda said: said == "weak") == "weak"
