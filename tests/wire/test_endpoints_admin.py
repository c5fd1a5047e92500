"""The admin's endpoints on the real proxy: who may use them, and what they answer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.wire.proxy import Proxy, wait_for
from tests.wire.workers import rewrite_policy

KEYS = yaml.safe_load(Path(__file__).with_name("keys.yaml").read_text())["keys"]
ADMIN = next(entry["key"] for entry in KEYS if entry["role"] == "proxy_admin")
OTHERS = [entry for entry in KEYS if entry["role"] != "proxy_admin"]


def ask(proxy: Proxy, method: str, path: str, key: str | None = ADMIN, **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return proxy.http.request(method, f"/fivelevers/v1/{path}", json=body or None, headers=headers)


def post(proxy: Proxy, path: str, key: str | None = ADMIN, **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return proxy.http.post(f"/fivelevers/v1/{path}", json=body, headers=headers)


def places(told: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(place["route"], place["lever"]) for place in told]


@pytest.fixture
def resumed(quiet: Proxy) -> Iterator[Proxy]:
    """The proxy with nothing switched off, before and after."""
    post(quiet, "resume").raise_for_status()
    yield quiet
    post(quiet, "resume").raise_for_status()


@pytest.mark.parametrize("entry", OTHERS, ids=lambda entry: str(entry["key_alias"]))
def test_only_an_admin_may_look_switch_off_or_resume(resumed: Proxy, entry: dict[str, Any]) -> None:
    for answer in (
        ask(resumed, "GET", "off", entry["key"]),
        post(resumed, "off", entry["key"], reason="I should like to"),
        post(resumed, "resume", entry["key"]),
        post(resumed, "off", entry["key"], route="no such route"),
    ):
        assert answer.status_code == 403
        assert "proxy_admin" in answer.json()["detail"]
    assert ask(resumed, "GET", "off").json()["off"] == []


@pytest.mark.parametrize("key", [None, "sk-test-nobody-0000000000", ""])
def test_without_a_good_key_it_is_401(resumed: Proxy, key: str | None) -> None:
    answers = [ask(resumed, "GET", "off", key), post(resumed, "off", key), post(resumed, "resume", key)]
    assert [answer.status_code for answer in answers] == [401, 401, 401]


def test_who_did_what_and_why_is_told_and_kept(resumed: Proxy) -> None:
    told = post(resumed, "off", route="support", lever="batch", reason="[red]wrong[/red] é").raise_for_status().json()
    (place,) = told["off"]
    assert told["done"] == [place]
    assert place | {"at": ""} == {
        "route": "support", "lever": "batch", "kind": "off", "by": "admin", "reason": "[red]wrong[/red] é", "at": ""
    }  # fmt: skip
    assert (told["redis"], told["ledger"], told["off_here"]) == ("up", "up", False)
    assert post(resumed, "off", key=resumed.stack.master_key).json()["done"][0]["by"] == "master"
    told = post(resumed, "resume", reason="repaired").json()
    assert places(told["done"]) == [("*", "*"), ("support", "batch")]
    assert told["off"] == []
    rows = resumed.query("select * from switch where action != 'policy' order by at desc limit 4")
    assert [(row["action"], row["route"], row["lever"], row["actor"], row["reason"]) for row in rows[:3]] == [
        ("resume", "support", "batch", "admin", "repaired"),
        ("resume", "*", "*", "admin", "repaired"),
        ("off", "*", "*", "master", None),
    ]
    assert post(resumed, "resume").json()["done"] == []


def test_resuming_a_place_leaves_what_is_wider_and_what_is_elsewhere(resumed: Proxy) -> None:
    for route, lever in (("*", "batch"), ("support", "*"), ("support", "batch"), ("tickets", "batch")):
        post(resumed, "off", route=route, lever=lever).raise_for_status()
    told = post(resumed, "resume", route="support", lever="batch").json()
    assert places(told["off"]) == [("*", "batch"), ("support", "*"), ("tickets", "batch")]
    assert places(post(resumed, "resume", route="support").json()["off"]) == [("*", "batch"), ("tickets", "batch")]
    assert places(post(resumed, "resume", lever="batch").json()["off"]) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"route": "suport"}, "did you mean 'support'? use '*' or one of support, handbook, coding, tickets,"),
        ({"route": ""}, "route: ''"),
        ({"lever": "semantic"}, "did you mean 'semantic_cache'?"),
        ({"lever": "all"}, "lever: 'all'"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": 7}, "reason"),
        ({"rout": "support"}, "rout"),
    ],
)
@pytest.mark.parametrize("path", ["off", "resume"])
def test_what_can_not_be_meant_is_422_and_named(resumed: Proxy, path: str, body: dict[str, Any], said: str) -> None:
    answer = post(resumed, path, **body)
    assert answer.status_code == 422
    assert said in answer.text
    assert ask(resumed, "GET", "off").json()["off"] == []


def test_a_place_whose_route_is_gone_can_be_resumed(resumed: Proxy) -> None:
    text = resumed.policy.read_text()
    try:
        post(resumed, "off", route="coding").raise_for_status()
        rewrite_policy(resumed, text.replace("name: coding", "name: development"))
        gone = post(resumed, "off", route="coding", lever="batch")
        assert gone.status_code == 422
        assert "development" in gone.text
        assert ("coding", "*") in places(post(resumed, "resume", route="coding").json()["done"])
    finally:
        rewrite_policy(resumed, text)


def test_health_is_open_and_names_nobody(resumed: Proxy) -> None:
    post(resumed, "off", route="support", lever="routing", reason="a secret reason").raise_for_status()
    health = wait_for(lambda: resumed.http.get("/fivelevers/v1/health").json(), lambda found: bool(found["switches"]))
    assert health["switches"] == [{"route": "support", "lever": "routing", "kind": "off"}]
    assert (health["off"], health["redis"], health["ledger"]) == (False, "up", "up")
    assert health["policy_since"] is not None
    assert "secret" not in str(health)
    assert "admin" not in str(health)


def test_a_policy_change_is_recorded_once_for_two_workers(resumed: Proxy) -> None:
    text = resumed.policy.read_text()
    rewrite_policy(resumed, text.replace("holdout: 0.02", "holdout: 0.06", 1))
    before = changes(resumed)
    try:
        rewrite_policy(resumed, text.replace("holdout: 0.02", "holdout: 0.07", 1))
        (change,) = changes(resumed)[len(before) :]
        assert "routes.support.holdout: 0.06 -> 0.07" in json.loads(change["detail"])["changes"]
        assert "@" in change["actor"]
        told = ask(resumed, "GET", "off").json()["policy_change"]
        assert (told["by"], told["new"]) == (change["actor"], json.loads(change["detail"])["new"])
    finally:
        rewrite_policy(resumed, text)
    assert len(changes(resumed)) == len(before) + 2


def changes(proxy: Proxy) -> list[sqlite3.Row]:
    return proxy.query("select * from switch where action = 'policy' order by at")
