"""The words of the policy: total about requests, and a hash that names the meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.order import Mode
from fivelevers.policy import EMPTY, Caller, end_user_digest, parse

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
    support, tickets, default = parse(FULL).routes
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
    policy = parse("routes: [{name: a, match: {model: xy}}, {name: b, match: {model: x*}}]")
    assert [policy.match(caller(), model).name for model in ("xy", "xz")] == ["a", "b"]


def test_an_empty_file_is_the_policy_that_does_nothing() -> None:
    assert parse("") == parse("# nothing\n") == EMPTY
    (default,) = EMPTY.routes
    assert {default.levers.of(name).mode for name in type(default.levers).model_fields} == {Mode.OFF}
    assert default.content == "off"


def test_the_hash_names_the_meaning_and_not_the_text() -> None:
    assert parse("routes: []").hash == parse("{routes: [], version: 1}").hash
    one, other = (
        "routes: [{name: a, match: {header: {" + inner + "}, model: x}}]" for inner in ("a: b, c: d", "c: d, a: b")
    )
    assert parse(one).hash == parse(other).hash


def test_the_hash_covers_everything() -> None:
    texts = [
        "",
        "order: strict",
        "defaults: {holdout: 0.1}",
        "defaults: {tenant: key}",
        "defaults: {failure_cost_usd: 1}",
        "defaults: {content: all}",
        "defaults: {content_share: 0.5}",
        "defaults: {retention_days: 31}",
        "defaults: {repeat_means: retry}",
        "defaults: {repeat_window_s: 60}",
        "defaults: {max_success_loss: 0.1}",
        "defaults: {validators: [{regex: a}]}",
        "defaults: {validators: [{regex: b}]}",
        "defaults: {levers: {batch: {mode: not-applicable}}}",
        "defaults: {levers: {batch: {percent: 1}}}",
        "routes: [{name: a, match: {model: x}}]",
    ]
    assert len({parse(text).hash for text in texts}) == len(texts)


def test_words_that_yaml_reads_as_booleans_mean_what_they_say() -> None:
    policy = parse("defaults: {content: off, levers: {batch: {mode: off}, prompt_cache: {mode: on}}}")
    levers = policy.routes[0].levers
    assert (levers.batch.mode, levers.prompt_cache.mode, policy.routes[0].content) == (Mode.OFF, Mode.ON, "off")


def test_a_validator_knows_its_kind() -> None:
    text = (
        "defaults: {validators: [{json_schema: {type: object}}, {tool_arguments: true}, {regex: a}, {python: m.n:f}]}"
    )
    kinds = [validator.kind for validator in parse(text).routes[0].validators]
    assert kinds == ["json_schema", "tool_arguments", "regex", "python"]


def test_tenants_of_different_kinds_never_share_a_name() -> None:
    who = caller(key="acme", team=None, end_user="acme")
    assert who.tenant("team") == "key:acme"
    assert caller(key="k", team="acme").tenant("team") == "team:acme"
    assert who.tenant("end_user") == f"end_user:acme:{end_user_digest('acme')}"
