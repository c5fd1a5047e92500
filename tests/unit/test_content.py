"""An answered request becomes one event, off the request's path; where it can not, metering goes on."""

from base64 import b64encode
from pathlib import Path

import pytest

from fivelevers import metrics
from fivelevers.content import LONGEST_BYTES, keep
from fivelevers.engine import Plan, prepare
from fivelevers.meter import Meter
from fivelevers.metering.event import ContentKept, Event
from fivelevers.output import Output
from fivelevers.policy import Caller, Policy, Route, end_user_digest
from fivelevers.request import Api, parse
from fivelevers.stores.content_key import KEY, Sealer

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


class Recording(Meter):
    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), "sqlite://")
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)


def plan() -> Plan:
    policy = Policy(routes=(Route(name="default", content="all", retention_days=7),))
    caller = Caller(path="", headers={}, key="k", team="acme", end_user="bob")
    return prepare(parse(Api.CHAT, BODY), BODY, caller, policy, request_id="r1", now=0.0)


def kept(answer: str = "hi", key: str = b64encode(bytes(32)).decode()) -> list[Event]:
    meter = Recording()
    keep(plan(), BODY, Output(answer), at=1000.0, sealer=Sealer({KEY: key}), meter=meter)
    return meter.events


def bypasses(reason: str) -> float:
    return metrics.registry.get_sample_value("fivelevers_bypass_total", {"lever": "metering", "reason": reason}) or 0.0


def test_it_says_whose_it_is_and_when_it_goes() -> None:
    (event,) = kept()
    assert isinstance(event, ContentKept)
    assert (event.request_id, event.route, event.tenant) == ("r1", "default", "team:acme")
    assert (event.at, event.expires_at) == (1000.0, 1000.0 + 7 * 86400)
    assert event.end_user == end_user_digest("bob")
    assert b"hello" not in event.blob


@pytest.mark.parametrize(
    ("reason", "answer", "key"),
    [("content_key", "hi", "a passphrase"), ("content_size", "x" * LONGEST_BYTES, "")],
)
def test_what_can_not_be_kept_is_counted(reason: str, answer: str, key: str) -> None:
    before = bypasses(reason)
    assert kept(answer, key) == []
    assert bypasses(reason) == before + 1
