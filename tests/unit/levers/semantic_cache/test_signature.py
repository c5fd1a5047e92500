"""Signatures: what is kept of a text, and that packing loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.semantic_cache.dates import dates_of
from fivelevers.levers.semantic_cache.numbers import Number, numbers_of
from fivelevers.levers.semantic_cache.signature import NEUTRAL, Signature, signature_of
from fivelevers.levers.semantic_cache.words import words_of

LONGEST = 160


@given(st.text(max_size=400))
def test_packing_loses_nothing_and_stays_small(text: str) -> None:
    signature = signature_of(text)
    packed = signature.pack()
    assert len(packed) <= LONGEST
    assert Signature.unpack(packed) == signature


@given(st.binary(max_size=200))
def test_other_bytes_are_read_as_a_signature_or_as_neutral(raw: bytes) -> None:
    signature = Signature.unpack(raw)
    assert Signature.unpack(signature.pack()) == signature


def test_the_fullest_text_fits() -> None:
    words = " ".join(
        f"unopened{chr(97 + n % 26)}{chr(97 + n // 26)} {n} Closed open hot cold buy sell" for n in range(60)
    )
    assert len(signature_of(words).pack()) <= LONGEST


def test_another_version_is_neutral() -> None:
    packed = bytearray(signature_of("How much is the Pro plan?").pack())
    packed[0] += 1
    assert Signature.unpack(bytes(packed)) is NEUTRAL
    assert Signature.unpack(b"") is NEUTRAL
    assert not Signature.unpack(NEUTRAL.pack()).known


def test_a_cut_one_is_neutral() -> None:
    packed = signature_of("Is the clinic open on 3 Sundays?").pack()
    assert Signature.unpack(packed[:-1]) is NEUTRAL
    assert Signature.unpack(packed + b"\0") is NEUTRAL


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("fifty pounds", [Number(50, 50, "gbp")]),
        ("£50", [Number(50, 50, "gbp")]),
        ("£2.5m or 300k", [Number(2.5e6, 2.5e6, "gbp"), Number(3e5, 3e5, "")]),
        ("two weeks", [Number(2, 1_209_600, "s")]),
        ("14 days", [Number(14, 1_209_600, "s")]),
        ("one hundred and twenty-five dollars", [Number(125, 125, "usd")]),
        ("two and three", [Number(2, 2, ""), Number(3, 3, "")]),
        ("fifteen percent of 1,200", [Number(15, 15, "%"), Number(1200, 1200, "")]),
        ("at 7pm", [Number(7, 7, "pm")]),
        ("the 3rd", [Number(3, 3, "")]),
        ("a 10GB plan", [Number(10, 1e10, "byte")]),
        ("the P60 form", [Number(60, 60, "")]),
        ("wait a second for one thing", []),
        ("one day", [Number(1, 86_400, "s")]),
        ("five second rule", [Number(5, 5, "s")]),
    ],
)
def test_numbers_have_one_notation(text: str, numbers: list[Number]) -> None:
    assert numbers_of(words_of(text)) == numbers


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("on weekdays", "Monday to Friday", True),
        ("at the weekend", "on Saturdays and Sundays", True),
        ("in Jan", "in January", True),
        ("you may march", "you", True),
        ("in May", "in March", False),
        ("last year", "next year", False),
        ("this evening", "this morning", False),
        ("the previous month", "last month", True),
    ],
)
def test_dates_have_one_notation(one: str, other: str, equal: bool) -> None:
    assert (dates_of(words_of(one)) == dates_of(words_of(other))) is equal
