"""Traffic of which is known what each lever can save: what repeats, when prefixes come back, who waits, who is right.

Four kinds, each a route of its own. ``desk`` answers under one of a few manuals, whose gaps are drawn, and is asked the
same again at a known share. ``agent`` goes on in conversations. ``tickets`` is a pipeline's: a known share in bursts by
the clock, the rest streamed to people. ``triage`` is answered by a dear model and a cheap one, by chance, and it is
known how often each is right. A seed draws the shares, the gaps and the traffic.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DEAR, CHEAP = "claude-sonnet-4-5", "claude-haiku-4-5"
START = 1_790_000_000.0
DAY_S = 86_400.0
_MANUALS, _TURNS, _BURST = 5, 6, 40
_SAME_WITHIN_S = 43_200.0  # half of what an answer lives
_SYLLABLES = tuple("".join(pair) for pair in zip("bdfglmnprst" * 9, "aeiou" * 19 + "aeio", strict=True))


@dataclass(frozen=True, slots=True)
class Known:
    """What was drawn. ``same``: share of the desk's questions that were asked before. ``gap_s``: mean time until a
    manual is used again. ``batchable``: share of the tickets that nobody waits for. ``right``: of the dear and the
    cheap model's answers on ``triage``."""

    same: float
    gap_s: float
    batchable: float
    right: tuple[float, float]

    @classmethod
    def draw(cls, rng: random.Random) -> Known:
        dear = rng.uniform(0.96, 0.99)
        return cls(
            same=rng.uniform(0.05, 0.3),
            gap_s=30 * 40 ** rng.random(),
            batchable=rng.uniform(0.3, 1),
            right=(dear, dear - rng.choice((0.0, 0.0, 0.15))),
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """One call. ``at``: seconds since the epoch. ``same``: as one that was answered before, at temperature 0.

    ``batchable``: nobody waits for it. ``right``: whether it is answered well; None where nobody says so.
    """

    at: float
    route: str
    key: str
    body: Mapping[str, Any]
    same: bool = False
    batchable: bool = False
    right: bool | None = None


def draw(seed: int, calls: int) -> tuple[Known, list[Sent]]:
    """Some ``calls`` calls in the order in which they are sent."""
    rng = random.Random(seed)
    known, each = Known.draw(rng), calls // 5
    kinds = (_desk(known, each, rng), _agent(each, rng), _tickets(known, each, rng), _triage(known, 2 * each, rng))
    return known, sorted((sent for kind in kinds for sent in kind), key=lambda sent: sent.at)


def _desk(known: Known, calls: int, rng: random.Random) -> Iterator[Sent]:
    manuals = [_text(rng, 1500) for _ in range(_MANUALS)]
    asked: dict[str, list[tuple[float, str]]] = {manual: [] for manual in manuals}
    at = START
    for _ in range(calls):
        at += rng.expovariate(_MANUALS / known.gap_s)
        manual = rng.choice(manuals)
        before = [question for then, question in asked[manual] if 60 < at - then < _SAME_WITHIN_S]
        same = bool(before) and rng.random() < known.same
        question = rng.choice(before) if same else _text(rng, 60)
        if not same:
            asked[manual].append((at, question))
        yield Sent(at, "desk", "desk", _body(DEAR, manual, question, temperature=0, stream=True), same=same)


def _agent(calls: int, rng: random.Random) -> Iterator[Sent]:
    system, at = _text(rng, 1200), START
    for _ in range(calls // _TURNS):
        at += rng.expovariate(1 / 400)
        now, said = at, list[dict[str, str]]()
        for _ in range(_TURNS):
            said.append({"role": "user", "content": _text(rng, 150)})
            yield Sent(now, "agent", "agent", _body(DEAR, system, list(said), stream=True))
            said.append({"role": "assistant", "content": _text(rng, 100)})
            now += rng.lognormvariate(4.5, 1)


def _tickets(known: Known, calls: int, rng: random.Random) -> Iterator[Sent]:
    system, batched = _text(rng, 200), round(calls * known.batchable)
    for number in range(batched):
        at = START + number // _BURST * 3600 + number % _BURST + rng.random()
        yield Sent(at, "tickets", "pipeline", _body(CHEAP, system, _text(rng, 250)), batchable=True)
    for _ in range(calls - batched):
        at = START + rng.random() * DAY_S
        yield Sent(at, "tickets", "people", _body(CHEAP, system, _text(rng, 250), stream=True))


def _triage(known: Known, calls: int, rng: random.Random) -> Iterator[Sent]:
    system = _text(rng, 300)
    for _ in range(calls):
        which = rng.randrange(2)
        right = rng.random() < known.right[which]
        body = _body((DEAR, CHEAP)[which], system, _text(rng, 120), stream=True)
        yield Sent(START + rng.random() * DAY_S, "triage", "triage", body, right=right)


def _body(model: str, system: str, said: str | list[dict[str, str]], **rest: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
    return {"model": model, "max_tokens": 300, "system": system, "messages": messages, **rest}


def _text(rng: random.Random, words: int) -> str:
    """Made-up words, so many that no two texts have one in common: nothing in a manual answers a question."""
    return " ".join("".join(rng.choices(_SYLLABLES, k=3)) for _ in range(words))
