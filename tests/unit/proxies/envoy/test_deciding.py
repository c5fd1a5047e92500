"""The filter lets through to the lane what the lane may batch on some route, and nothing that it surely would not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.policy import Caller, parse
from fivelevers.proxies.envoy.deciding import Decided, InForce, Seen, candidates, decide_seen, wants_body
from fivelevers.switch import EVERY_LEVER

POLICY = parse("""
defaults: {levers: {batch: {mode: off}}}
routes:
- name: chat
  match: {model: chat-*}
- name: tickets
  match: {model: ticket-*, path: /v1/*}
  levers: {batch: {mode: on}}
- name: nightly
  match: {key_alias: nightly}
  levers: {batch: {mode: on, opt_in: route, inspect: body}}
- name: watched
  match: {header: {x-app: watched}}
  levers: {batch: {mode: shadow, inspect: body}}
""")
FORCE = InForce(POLICY)
CHAT = "/v1/chat/completions"
ASYNC = (("prefer", "respond-async"),)
PATIENT = (("x-stainless-read-timeout", "14400"),)


def seen(*headers: tuple[str, str], path: str = CHAT, route: str = "", model: str | None = None, **body: Any) -> Seen:
    whole = None if model is None else {"model": model, **body}
    return Seen(path, headers, route, whole)


def names(one: Seen) -> list[str]:
    return [route.name for route in candidates(one, POLICY)]


def told(one: Seen, force: InForce = FORCE) -> tuple[str, str, str]:
    decided = decide_seen(one, force)
    return decided.verdict.lane, decided.verdict.why, decided.route


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (seen(), ["chat", "tickets", "nightly", "default"]),
        (seen(("x-app", "watched")), ["chat", "tickets", "nightly", "watched"]),
        (seen(path="/chat/completions"), ["chat", "nightly", "default"]),
        (seen(model="ticket-a"), ["tickets"]),
        (seen(model="other"), ["nightly", "default"]),
        (seen(route="tickets", model="other"), ["tickets"]),
        (seen(route="gone"), []),
    ],
)
def test_the_routes_that_a_request_may_be_on(one: Seen, expected: list[str]) -> None:
    assert names(one) == expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (seen(*ASYNC), ("batch", "eligible", "tickets")),
        (seen(*ASYNC, model="ticket-a"), ("batch", "eligible", "tickets")),
        (seen(*ASYNC, model="chat-a"), ("live", "off", "chat")),
        (seen(*PATIENT), ("batch", "eligible", "nightly")),  # whose key it is, the lane will tell
        (seen(*PATIENT, route="tickets"), ("live", "not-asked", "tickets")),
        (seen(model="ticket-a", stream=True, background=True), ("live", "stream", "tickets")),
        (seen(model="other"), ("live", "caller-waits", "nightly")),
        (seen(model="other", background=True), ("batch", "eligible", "nightly")),
        (seen(*ASYNC, route="watched"), ("live", "shadow", "watched")),
        (seen(*ASYNC, route="default"), ("live", "off", "default")),
        (seen(*ASYNC, route="gone"), ("live", "no-route", "")),
        (seen(*ASYNC, path="/v1/files"), ("live", "endpoint", "tickets")),
        (seen(*ASYNC, ("x-fivelevers-skip", "batch")), ("live", "skipped", "tickets")),
        (seen(*ASYNC, ("x-fivelevers-skip", "routing")), ("batch", "eligible", "tickets")),
    ],
)
def test_where_a_request_goes(one: Seen, expected: tuple[str, str, str]) -> None:
    assert told(one) == expected


@pytest.mark.parametrize(
    ("one", "wanted"),
    [(seen(), True), (seen(route="tickets"), False), (seen(route="nightly"), True), (seen(route="default"), False)],
)
def test_bodies_are_wanted_where_a_route_decides_by_them(one: Seen, wanted: bool) -> None:
    assert wants_body(one, FORCE) is wanted


def test_what_is_switched_off_or_back_in_shadow_is_not_batched() -> None:
    one = seen(*ASYNC, route="tickets")
    assert told(one, replace(FORCE, off=lambda _: EVERY_LEVER))[:2] == ("live", "skipped")
    assert told(one, replace(FORCE, retreated=lambda route: frozenset({"batch"})))[:2] == ("live", "shadow")


texts = st.sampled_from(["chat-a", "ticket-a", "other", ""])
headers = st.lists(
    st.sampled_from([*ASYNC, *PATIENT, ("x-app", "watched"), ("x-fivelevers-deadline", "4h"), ("prefer", "wait=9")]),
    max_size=3,
)
bodies = st.fixed_dictionaries({"model": texts}, optional={"background": st.booleans(), "stream": st.booleans()})


@given(headers, bodies, st.sampled_from(["k", "nightly"]), st.sampled_from([CHAT, "/chat/completions"]))
def test_the_true_route_is_among_the_candidates(
    sent: list[tuple[str, str]], body: dict[str, Any], key_alias: str, path: str
) -> None:
    caller = Caller(path=path, headers=dict(sent), key="k", key_alias=key_alias)
    route = POLICY.match(caller, body["model"])
    for known in (None, body):
        assert route.name in names(Seen(path, tuple(sent), "", known))


@given(headers, bodies, st.sampled_from(["chat", "tickets", "nightly", "watched", "default"]))
def test_the_headers_alone_never_divert_less_than_needed_to_decide(
    sent: list[tuple[str, str]], body: dict[str, Any], route: str
) -> None:
    """Where the headers opt in, the filter without the body diverts all that the body would divert."""
    by_body = decide_seen(Seen(CHAT, tuple(sent), route, {**body, "background": False}), FORCE)
    by_headers = decide_seen(Seen(CHAT, tuple(sent), route), FORCE)
    if by_body.verdict.lane == "batch":
        assert by_headers == Decided(by_body.verdict, route)
