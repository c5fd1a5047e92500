"""Lever 2's part of the audit, on logs whose answer can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from fivelevers.audit.answer_lines import AnswerLine, Charge, wilson
from fivelevers.audit.answers import Said
from fivelevers.audit.asked import asked_without_prompt
from fivelevers.audit.calls import LoggedCall
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.policy import Caller
from fivelevers.request import Api
from tests.unit.audit.logged import call

CHARGE = Charge(Decimal(3), Decimal(2))


def body(question: str, **more: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}]
    return {"system": "You help.", "messages": turns, "temperature": 0, **more}


def ask(at: float, question: str = "When do you open?", answer: str | None = None, **more: Any) -> LoggedCall:
    said = None if answer is None else Said(True, answer)
    return call(at, body=body(question, **more), input=100, ended=at + 1, said=said)


def audited(calls: Iterable[LoggedCall], route: str = "shop", *, similar: bool = False) -> SemanticCacheAudit:
    told = SemanticCacheAudit(similar=similar)
    for one in calls:
        told.see(one, route, CHARGE)
    return told


def only_line(told: SemanticCacheAudit) -> AnswerLine:
    (line,) = told.lines().values()
    return line


def test_the_same_again_is_counted_once_as_what_it_is() -> None:
    line = only_line(audited([ask(0), ask(0.5), ask(10), ask(20, "Where are you?")]))
    assert (line.calls, line.may_be, line.at_once, line.answered) == (4, 4, 1, 1)
    assert line.saving(after_lever_1=True) == (Decimal(4), Decimal(4))
    assert line.saving(after_lever_1=False) == (Decimal(6), Decimal(6))


@pytest.mark.parametrize(
    "other",
    [
        ask(10, top_p=0.5),
        ask(10, system="You help less."),
        replace(ask(10), alias="other"),
        replace(ask(10), caller=Caller("", {}, "key-2")),
        replace(ask(10), caller=Caller("", {}, "key-1", team="a")),
    ],
)
def test_it_is_the_same_only_within_tenant_alias_parameters_and_prompt(other: LoggedCall) -> None:
    assert only_line(audited([ask(0), other])).duplicates == 0


def test_routes_stay_apart() -> None:
    told = SemanticCacheAudit(similar=False)
    told.see(ask(0), "a", CHARGE)
    told.see(ask(10), "b", CHARGE)
    assert [line.duplicates for line in told.lines().values()] == [0, 0]


def test_a_log_with_names_of_keys_alone_keeps_them_apart() -> None:
    callers = [Caller("", {}, "unknown", name) for name in ("one", "two", None)]
    told = audited(replace(ask(10.0 * n), caller=caller) for n, caller in enumerate(callers))
    assert only_line(told).duplicates == 0
    assert told.callers_unknown == 1


def test_what_the_lever_leaves_alone_is_no_duplicate() -> None:
    for more in ({"mcp_servers": [{"url": "x"}]}, {"cache": {"no-cache": True}}):
        line = only_line(audited([ask(0, **more), ask(10, **more)]))
        assert (line.may_be, line.duplicates) == (0, 0)
        assert line.saving(after_lever_1=True) is None
    cut = [replace(ask(at), asked=replace(ask(at).asked, stored=False)) for at in (0, 10)]  # type: ignore[type-var]
    assert only_line(audited(cut)).duplicates == 0


def test_sampled_ones_are_in_the_high_end_alone() -> None:
    for temperature in (0.7, None):
        line = only_line(audited([ask(0, temperature=temperature), ask(10, temperature=temperature)]))
        assert (line.answered, line.sampled) == (1, 1)
        assert line.saving(after_lever_1=True) == (Decimal(0), Decimal(2))


def test_without_a_prompt_our_ledger_still_tells_what_was_the_same() -> None:
    bare = [
        replace(call(at, input=100), asked=asked_without_prompt(api, "d0", at + 1, whole=True))
        for at, api in ((0.0, Api.CHAT), (0.5, Api.CHAT), (10.0, Api.CHAT), (20.0, Api.EMBEDDINGS))
    ]
    line = only_line(audited(bare, similar=True))
    assert (line.may_be, line.at_once, line.answered, line.blind, line.asked) == (3, 1, 1, 2, 0)
    assert line.saving(after_lever_1=True) == (Decimal(0), Decimal(4))
    assert only_line(audited([call(0, input=100)])).unknown == 1


QUESTIONS = (
    ("When does the shop open?", "At ten.", (1.0, 0.0, 0.0)),
    ("Where is the shop?", "In the High Street.", (0.0, 1.0, 0.0)),
    ("When does the shop open today?", "at ten", (0.995, 0.0, 0.1)),
    ("When does the shop open, please?", "At eleven.", (0.999, 0.0, 0.045)),
    ("So when does the shop open?", "*at ten*", (0.999, 0.0, 0.045)),
    ("Who runs the shop?", "Nora.", (0.0, 0.0, 1.0)),
)


def looked_up(questions: Iterable[tuple[str, str, tuple[float, ...]]], gap_s: float = 10) -> AnswerLine:
    found = list(questions)
    told = audited((ask(n * gap_s, text, said) for n, (text, said, _) in enumerate(found)), similar=True)
    vectors = {text: vector for text, _, vector in found}
    asked = told.questions
    told.look_up(asked, np.array([vectors[one.text] for one in asked], np.float32))
    return only_line(told)


def test_similar_questions_are_served_by_the_live_decision_and_their_answers_compared() -> None:
    line = looked_up(QUESTIONS)
    assert (line.asked, line.looked_at, line.alone) == (6, 6, 0)
    assert line.similar.calls == 2
    assert (line.compared, line.agreed) == (2, 1)  # "*at ten*" is "At ten.", and "At eleven." is not
    assert line.saving(after_lever_1=True) == (Decimal(0), Decimal("3.80"))  # one of twenty is audited
    share, low, high = line.rate or (0, 0, 0)
    assert low < share == 2 / 6 < high


def test_a_question_that_is_not_served_stands_for_the_answer_that_the_log_shows_to_be_the_same() -> None:
    """With an answer of its own it is a rival as near as the first, and nobody can tell which of the two is right."""
    today = [(text, "At noon." if "today" in text else said, vector) for text, said, vector in QUESTIONS]
    assert looked_up(today).similar.calls < looked_up(QUESTIONS).similar.calls


def test_an_answer_runs_out_and_one_that_is_not_there_yet_is_not_given() -> None:
    assert looked_up(QUESTIONS, gap_s=90_000).similar.calls == 0
    assert looked_up(QUESTIONS, gap_s=0.1).similar.calls == 0


def test_of_a_part_the_rest_is_told() -> None:
    line = looked_up(QUESTIONS)
    line.asked = 60
    assert line.saving(after_lever_1=True) == (Decimal(0), Decimal(38))


def test_a_question_alone_in_its_scope_needs_no_look_up() -> None:
    told = audited([ask(0), ask(10, system="It is 12:01.")], similar=True)
    assert told.questions == []
    told.look_up([], np.empty((0, 3), np.float32))
    line = only_line(told)
    assert (line.looked_at, line.alone, line.similar.calls) == (2, 2, 0)


def test_wilson_intervals() -> None:
    assert wilson(0, 100) == pytest.approx((0.0, 0.0370), abs=1e-4)  # Newcombe 1998, table I: 0/n and 81/263
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(10, 10)[1] == 1.0
