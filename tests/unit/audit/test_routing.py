"""What a log tells of lever 4: nothing without labels, a hint with several models, and a benchmark's price."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from fivelevers.audit.answer_lines import Taken
from fivelevers.audit.routing import TO_CERTIFY, TO_FIT, RoutingAudit, Shown, Unknown
from fivelevers.prices import PriceBook, find_litellm_map
from tests.unit.audit.logged import SONNET, call

HAIKU = "claude-haiku-4-5"
BOOK = PriceBook.from_litellm_map(find_litellm_map())


def audited(*groups: tuple[str, int, int], silent: int = 0) -> RoutingAudit:
    """``groups``: a model, how many of its answers were good, how many bad."""
    audit, at = RoutingAudit(BOOK), 0.0
    for model, good, bad in groups:
        for label in [True] * good + [False] * bad + [None] * silent:
            audit.see(replace(call(at, model=model, input=1000, output=100), good=label), "support", Taken.NO)
            at += 1
    return audit


def shown(audit: RoutingAudit, model: str = SONNET) -> Shown | Unknown:
    return audit.shown(audit.line("support", model))


def test_without_labels_nothing_is_known() -> None:
    assert shown(audited((SONNET, 0, 0), (HAIKU, 0, 0), silent=5)) is Unknown.NO_LABELS
    assert shown(audited((SONNET, 9, 1))) is Unknown.ONE_MODEL
    assert shown(audited((SONNET, 9, 1), (HAIKU, 9, 1)), HAIKU) is Unknown.CHEAPEST
    assert shown(audited(("nobody-knows", 9, 1)), "nobody-knows") is Unknown.NO_PRICE
    answered = RoutingAudit(BOOK)
    answered.see(call(0.0), "support", Taken.SURELY)
    assert shown(answered) is Unknown.NOTHING_LEFT


def test_a_cheaper_model_has_to_be_shown_as_good() -> None:
    few = audited((SONNET, 45, 5), (HAIKU, 45, 5))
    assert shown(few) is Unknown.NOT_SHOWN
    worse = audited((SONNET, 1900, 100), (HAIKU, 1700, 300))
    assert shown(worse) is Unknown.NOT_SHOWN
    same = shown(audited((SONNET, 1900, 100), (HAIKU, 1900, 100)))
    assert isinstance(same, Shown)
    assert (same.model, same.difference) == (HAIKU, 0)
    assert -0.02 < same.least < 0
    assert float(same.share) == pytest.approx(1 / 3)  # $1 and $5 against $3 and $15


def test_calls_that_lever_2_answers_are_not_left_to_route() -> None:
    audit = RoutingAudit(BOOK)
    for at, taken in enumerate((Taken.SURELY, Taken.PERHAPS, Taken.NO)):
        audit.see(call(float(at), input=10, output=1), "support", taken)
    assert audit.line("support", SONNET).left == 2


def test_the_benchmark_is_priced_by_the_tokens_of_the_log() -> None:
    told = audited((SONNET, 0, 0), silent=3).line("support", SONNET).benchmark_usd()
    assert told is not None
    once, twice = told
    each = Decimal("0.000003") * 1000 + Decimal("0.000015") * 100
    assert once == each * (TO_FIT + TO_CERTIFY)
    assert twice == 2 * once
    assert audited(("nobody-knows", 1, 0)).line("support", "nobody-knows").benchmark_usd() is None


@pytest.mark.parametrize("cached", [0, 900])
def test_what_was_read_from_a_cache_is_priced_as_if_it_was_not(cached: int) -> None:
    audit = RoutingAudit(BOOK)
    audit.see(call(0.0, input=1000 - cached, cache_read=cached, output=100), "support", Taken.NO)
    line = audit.line("support", SONNET)
    assert line.usd(line.price) == Decimal("0.0045")
