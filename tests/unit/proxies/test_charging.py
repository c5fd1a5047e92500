"""Who charges a call to a lever: an operator, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fivelevers import metrics
from fivelevers.charge import HEADER, charge_of, header_of
from fivelevers.engine import Plan, prepare
from fivelevers.policy import Caller, parse
from fivelevers.request import Api
from fivelevers.request import parse as parse_request
from tests.unit.proxies.routed import loaded

POLICY = parse("""
defaults: {holdout: 0.5}
routes:
  - {name: support, match: {model: support}, levers: {routing: {mode: shadow}}}
  - {name: sums, match: {model: sums}}
""")


@pytest.fixture
def module(proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded("fivelevers.proxies.litellm.charging", proxy_server, monkeypatch)


def planned(header: str | None, session: str = "s") -> Plan:
    body = {"model": "sums", "messages": [{"role": "user", "content": "2 + 2"}]}
    headers = {"x-fivelevers-session": session} | ({} if header is None else {HEADER: header})
    caller = Caller("/", headers, "k")
    return prepare(parse_request(Api.CHAT, body), body, caller, POLICY, request_id="r", now=1.7e9)


def refused() -> float:
    return (
        metrics.registry.get_sample_value("fivelevers_requests_total", {"lever": "routing", "result": "charge-refused"})
        or 0.0
    )


def key(role: Any, **more: Any) -> Any:
    return SimpleNamespace(user_role=role, **more)


@pytest.mark.parametrize(("header", "route"), [
    (header_of("routing", "support"), "support"),
    (header_of("routing", "nothing of the policy's"), "sums"),
    ("routing", "sums"),
])  # fmt: skip
def test_an_operator_charges_a_call_to_the_lever_and_names_the_route(
    module: ModuleType, header: str, route: str
) -> None:
    for session in map(str, range(8)):  # half of them are held out as traffic
        plan = module.charging(planned(header, session), key("proxy_admin"), POLICY)
        assert (plan.charged_to, plan.route.name) == (("routing", route), "sums")  # how it is answered stays
        assert (plan.arm.holdout, plan.arm.treated) == (False, frozenset())


@pytest.mark.parametrize(("header", "by"), [
    ("routing", key("internal_user")),
    ("routing", key("proxy_admin_viewer")),
    ("routing", key(None)),
    ("routing", object()),
    ("routing", key("proxy_admin", allowed_routes=["/v1/chat/completions"])),
    ("batch", key("proxy_admin")),
    ("anything", key("proxy_admin")),
    ("", key("proxy_admin")),
])  # fmt: skip
def test_from_all_others_it_is_traffic_and_counted(module: ModuleType, header: str, by: Any) -> None:
    before, plan = refused(), planned(header)
    assert module.charging(plan, by, POLICY) is plan
    assert refused() == before + 1


def test_without_the_header_nothing_is_looked_at(module: ModuleType) -> None:
    before, plan = refused(), planned(None)
    assert module.charging(plan, key("proxy_admin"), POLICY) is plan
    assert refused() == before


def test_the_header_holds_any_name_of_a_route() -> None:
    assert header_of("routing", "sums") == "routing:sums"
    assert header_of("routing", "r\u00e9sum\u00e9\r\nx: y").isascii()
    assert "\n" not in header_of("routing", "a\nb")
    assert charge_of("routing:sums") == ("routing", "sums")
    assert charge_of("semantic_cache:sums") is None


def test_a_call_of_a_lever_s_own_has_no_outcome(module: ModuleType, callback: ModuleType) -> None:
    from fivelevers.proxies.litellm.flight import Flight

    seen: list[Any] = []
    state = callback.plugin.state
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state.meter, "record", seen.append)
        for plan in (planned(None), replace(planned(None), charged_to=("routing", "sums"))):
            Flight(plan, state).fail("Timeout")
    assert [one.request_id for one in seen] == ["r"]
