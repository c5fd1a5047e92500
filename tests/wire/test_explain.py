"""`fivelevers explain prefix` names what keeps prompts from being read again, from what the running proxies noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.stores.difference_hash import KEY
from tests.wire import caching
from tests.wire.proxy import ACME, Proxy, wait_for

HEAD = "You are the assistant of Harrow & Finch, a small firm that repairs clocks. Be kind and brief. The time is "
REST = "\nNever quote a price before the clock was seen. " * 400
REQUESTS = 6


def explained(proxy: Proxy, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    command = ["explain", "prefix", "--redis", proxy.stack.redis_url, "--json", *arguments]
    result = CliRunner().invoke(app, command)
    return result.exit_code, json.loads(result.stdout) if result.exit_code < 2 else []


def send(proxy: Proxy, api: str, alias: str, system: str, **params: Any) -> None:
    body = {**caching.conversation(api, alias, system, stream=False), **params}
    answer = proxy.http.post(caching.PATHS[api], json=body, headers={"authorization": f"Bearer {ACME}"})
    assert answer.status_code == 200, answer.text


def in_system(places: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [place for place in places if place["what"] == "timestamp" and place["offset"] == len(HEAD)]


@pytest.mark.parametrize(
    ("api", "alias", "route"),
    [
        ("messages", caching.SHADOW, "shadow"),
        ("chat", caching.CLAUDE, "caching"),
        ("responses", caching.GPT, "caching"),
        ("messages", caching.GPT, "caching"),
    ],
)
def test_a_timestamp_in_the_system_text_is_named(quiet: Proxy, api: str, alias: str, route: str) -> None:
    def times() -> int:
        _, places = explained(quiet, "--route", route)
        return sum(place["times"] for place in in_system(places))

    before = times()
    for second in range(REQUESTS):
        send(quiet, api, alias, f"{HEAD}2026-11-25T19:20:{second:02}Z.{REST}")
    # Two workers, each of which compares with what itself has seen.
    told = wait_for(times, lambda found: found >= before + REQUESTS - 2)
    assert before + REQUESTS - 2 <= told <= before + REQUESTS - 1
    code, places = explained(quiet, "--route", route)
    assert code == 1
    place = in_system(places)[0]
    assert place["in_words"] == f"timestamp in the system text at character {len(HEAD)}"
    assert place["tokens"] > 0
    assert float(place["cost_usd"]) > 0
    assert "behind what stays the same" in place["fix"]


def test_no_text_is_kept(quiet: Proxy) -> None:
    with Redis.from_url(quiet.stack.redis_url) as redis:
        kept = [redis.dump(key) for key in redis.scan_iter(f"{KEY}*")]
    assert kept
    assert not any(b"Harrow" in value for value in kept)


def test_a_route_on_which_the_lever_is_off_is_not_looked_at(quiet: Proxy) -> None:
    for second in range(3):
        quiet.call("messages", "coding-agent", "Hi", system=f"{HEAD}2026-11-25T19:20:{second:02}Z.{REST}")
    assert explained(quiet, "--route", "coding") == (0, [])
