"""The policy: strict about the file, total about requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.errors import PolicyError
from fivelevers.order import Mode
from fivelevers.policy import EMPTY, Caller, Policy, order_warnings, parse

FULL = """
version: 1
defaults:
  holdout: 0.05
  levers: {prompt_cache: {mode: shadow, percent: 30}}
routes:
- name: support
  match: {model: "support-*", path: /v1/chat/*, header: {X-App: desk}, team: t1, key_alias: k1, tag: prod}
  levers: {prompt_cache: {mode: on}}
- name: tickets
  match: {model: ticket-*}
  holdout: 0
  tenant: key
"""


def caller(**fields: object) -> Caller:
    base: dict[str, object] = {"path": "/v1/chat/completions", "headers": {}, "key": "k"}
    return Caller(**(base | fields))  # type: ignore[arg-type]


def test_a_route_inherits_the_defaults_field_by_field() -> None:
    policy = parse(FULL)
    support, tickets, default = policy.routes
    assert (support.levers.prompt_cache.mode, support.levers.prompt_cache.percent) == (Mode.ON, 30)
    assert (support.holdout, tickets.holdout, default.holdout) == (0.05, 0, 0.05)
    assert default.name == "default"
    assert default.levers.prompt_cache.mode is Mode.SHADOW


@pytest.mark.parametrize(
    ("change", "route"),
    [
        ({}, "support"),
        ({"path": "/v1/messages"}, "default"),
        ({"headers": {"x-app": "other"}}, "default"),
        ({"headers": {}}, "default"),
        ({"team": "t2", "team_alias": "t1"}, "support"),
        ({"team": "t2"}, "default"),
        ({"key_alias": None}, "default"),
        ({"tags": ("test",)}, "default"),
    ],
)
def test_every_field_of_a_match_must_hold(change: dict[str, object], route: str) -> None:
    who = caller(**{"headers": {"x-app": "desk"}, "team": "t1", "key_alias": "k1", "tags": ("a", "prod")} | change)
    assert parse(FULL).match(who, "support-assistant").name == route


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_every_request_has_exactly_one_route(model: str, path: str, headers: dict[str, str]) -> None:
    policy = parse(FULL)
    assert policy.match(caller(path=path, headers=headers), model) in policy.routes


def test_the_first_route_that_matches_wins() -> None:
    policy = parse("routes: [{name: a, match: {model: x*}}, {name: b, match: {model: xy}}]")
    assert policy.match(caller(), "xy").name == "a"


def test_all_problems_are_told_at_once_with_path_value_and_fix() -> None:
    text = """
routes:
- name: support
  match: {modle: "support-*"}
  holdout: 3
  levers: {prompt_cach: {mode: on}, batch: {mode: maybe, percent: 101}}
tenants: x
"""
    with pytest.raises(PolicyError) as caught:
        parse(text, "fivelevers.yaml")
    told = str(caught.value).splitlines()
    for expected in (
        "fivelevers.yaml: routes[0].match.modle: 'support-*' is not a known key; did you mean `model`?",
        "fivelevers.yaml: routes[0].holdout: 3",
        "fivelevers.yaml: routes[0].levers.prompt_cach: {'mode': True} is not a known key; did you mean",
        "fivelevers.yaml: routes[0].levers.batch.mode: 'maybe'",
        "fivelevers.yaml: routes[0].levers.batch.percent: 101",
        "fivelevers.yaml: tenants: 'x' is not a known key",
    ):
        assert any(line.startswith(expected) for line in told), (expected, told)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "is not a mapping"),
        ("a: [", "is not YAML"),
        ("routes: [{name: default}, {name: x, match: {model: a}}]", "is not the last route"),
        ("routes: [{name: a, match: {model: a}}, {name: a, match: {model: b}}]", "names a route above it too"),
        ("routes: [{name: a}, {name: b, match: {model: b}}]", "matches every request"),
        ("routes: [{name: default, match: {model: b}}]", "narrows the default route"),
        ("routes: [{match: {model: b}}]", "routes[0].name"),
        ("version: 2", "version"),
        ("routes: 3", "routes"),
        ("defaults: 3", "defaults"),
    ],
)
def test_what_a_policy_may_not_say(text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says.replace("[", r"\[")):
        parse(text)


def test_an_empty_file_is_the_policy_that_does_nothing() -> None:
    assert parse("") == EMPTY
    assert [lever.mode for lever in (EMPTY.routes[0].levers.prompt_cache, EMPTY.routes[0].levers.batch)] == [
        Mode.OFF
    ] * 2


def test_the_hash_names_the_meaning_and_not_the_text() -> None:
    assert parse("routes: []").hash == parse("{routes: [], version: 1}").hash
    assert parse("routes: []").hash != parse("defaults: {holdout: 0.1}").hash


def test_a_lever_before_its_foundation_is_warned_of() -> None:
    policy = parse("defaults: {levers: {semantic_cache: {mode: on}}}")
    assert list(order_warnings(policy)) == [
        "routes.default.levers.semantic_cache: on before prompt_cache, which shrinks what it works on"
    ]
    assert not list(order_warnings(Policy(routes=EMPTY.routes)))


def test_tenants_of_different_kinds_never_share_a_name() -> None:
    who = caller(key="acme", team=None, end_user="acme")
    assert who.tenant("team") == "key:acme"
    assert caller(key="k", team="acme").tenant("team") == "team:acme"
    assert who.tenant("end_user") == "end_user:acme:acme"
