"""Our own ledger as a log: every attempt that a provider answered, with its prompt where that is kept and readable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from fivelevers.audit import ledger_log
from fivelevers.audit.asked import Asked
from fivelevers.audit.calls import Account, LoggedCall, Reason, Text
from fivelevers.audit.manner import Manner
from fivelevers.metering.attribution import Basis, Saving
from fivelevers.metering.event import UsageSource, to_record
from fivelevers.metering.outcomes import Outcome, Source
from fivelevers.prices import Usage
from fivelevers.request import Api
from fivelevers.stores.content_key import Keys
from fivelevers.stores.ledger import Ledger
from tests.unit.events import attempt, outcome
from tests.unit.stores.test_content import content, keys


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    made = Ledger(ledger_url)
    made.create()
    yield made
    made.close()


def read(ledger: Ledger, with_keys: Keys) -> tuple[list[LoggedCall], Account]:
    account = Account()
    return list(ledger_log.read(ledger, account, with_keys)), account


def test_attempts_come_in_the_order_in_which_they_were_sent(ledger: Ledger) -> None:
    later, first = attempt(started_at=20.0, at=21.0), attempt(started_at=10.0, at=30.0, usage=Usage(1, 2, 3, 4, 5))
    ledger.insert([to_record(later), to_record(first)])
    (one, two), account = read(ledger, keys())
    assert (one.at, two.at) == (10.0, 20.0)
    assert one.usage == Usage(1, 2, 3, 4, 5)
    assert (one.route, one.model, one.provider, one.alias) == ("support", "gpt-4.1", "openai", "support-assistant")
    assert one.logged_usd == first.cost_usd
    assert account.texts == {Text.ABSENT: 2}


def test_what_no_provider_answered_or_counted_is_left_out_by_reason(ledger: Ledger) -> None:
    kinds = (
        attempt(success=False, error="RateLimitError"),
        attempt(usage_source=UsageSource.ESTIMATED),
        attempt(usage=Usage(), usage_source=UsageSource.NONE),
    )
    ledger.insert([to_record(kind) for kind in kinds])
    calls, account = read(ledger, keys())
    assert calls == []
    assert set(account.left) == {Reason.FAILED, Reason.ESTIMATED, Reason.SERVED}
    assert account.damaged == 0


def test_prompts_are_there_where_they_are_kept_and_can_be_read(ledger: Ledger) -> None:
    asked = attempt()
    ledger.insert([to_record(asked), to_record(replace(content(asked.request_id), tenant=asked.tenant))])
    ((whole,), _), ((sealed,), _) = read(ledger, keys()), read(ledger, Keys({}))
    assert whole.text is Text.WHOLE
    assert whole.request is not None
    assert whole.request.chars == len("hello")
    assert (sealed.text, sealed.request) == (Text.SEALED, None)


def test_content_past_its_time_is_not_read(ledger: Ledger) -> None:
    asked = attempt()
    ledger.insert([to_record(asked), to_record(replace(content(asked.request_id), expires_at=2000.0))])
    ((call,), _) = read(ledger, keys())
    assert call.text is Text.ABSENT


def test_what_lever_2_goes_by_is_there_with_content_and_without(ledger: Ledger) -> None:
    kept, bare, cut = attempt(), attempt(), attempt(finish_reason="length")
    ledger.insert([to_record(one) for one in (kept, bare, cut, replace(content(kept.request_id), tenant=kept.tenant))])
    calls, _ = read(ledger, keys())
    found = {call.place: call.asked for call in calls}
    with_text, without, truncated = (found[f"attempt {one.event_id}"] for one in (kept, bare, cut))
    assert with_text is not None
    assert with_text.question is not None
    assert (with_text.question.text, with_text.sampled, with_text.may_be) == ("hello", True, True)
    assert without == Asked("d0", may_be=True, ended=1000.0)
    assert with_text.digest == "d0"
    assert truncated is not None
    assert not truncated.stored


def test_the_ledger_knows_what_was_streamed_and_called(ledger: Ledger) -> None:
    ledger.insert([to_record(attempt(stream=True)), to_record(attempt(stream=False))])
    calls, _ = read(ledger, keys())
    assert {call.manner for call in calls} == {Manner(Api.CHAT, True), Manner(Api.CHAT, False)}


def test_a_request_s_outcome_is_its_label(ledger: Ledger) -> None:
    good, bad, silent = attempt(at=1.0), attempt(at=2.0), attempt(at=3.0)
    said = [
        outcome(good.request_id, Outcome.FAILURE, Source.VALIDATOR, at=1002.0),
        outcome(good.request_id, Outcome.SUCCESS),
        outcome(bad.request_id, Outcome.FAILURE, Source.VALIDATOR),
    ]
    ledger.insert([*map(to_record, (good, bad, silent)), *map(to_record, said)])
    calls, _ = read(ledger, keys())
    assert sorted(str(call.good) for call in calls) == ["False", "None", "True"]


def test_what_was_batched_already_is_left_out(ledger: Ledger) -> None:
    """Its price was the batch's, and lever 3 has done what it can."""
    saved = (Saving("batch", Basis.OBSERVED, Decimal("0.001")),)
    ledger.insert([to_record(attempt()), to_record(attempt(savings=saved))])
    calls, account = read(ledger, keys())
    assert len(calls) == 1
    assert account.left[Reason.BATCHED].rows == 1
    assert account.damaged == 0
