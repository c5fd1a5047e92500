"""A question's way through look-up and learning, on a real Redis; embedder and judge are told what to say."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from math import sqrt
from typing import Any

import pytest

from fivelevers.answer import StoredAnswer
from fivelevers.answer_caching import LONGEST_BYTES, Asked, Found, Result, Tier, cost_of_hit, learn, look_up, may_judge
from fivelevers.errors import EmbedderError
from fivelevers.levers.semantic_cache.calibration import Calibration, Holds, Verdict
from fivelevers.levers.semantic_cache.judging import UNKNOWN, Said
from fivelevers.levers.semantic_cache.judging import Verdict as Judged
from fivelevers.levers.semantic_cache.serve import Rule
from fivelevers.levers.semantic_cache.signature import signature_of
from fivelevers.levers.semantic_cache.verify import Spent
from fivelevers.policy import SemanticCacheSwitch
from fivelevers.prices import Usage
from fivelevers.stores.answers import Answers
from tests.redis_server import Server

SCOPE, SWITCH = "5c" * 16, SemanticCacheSwitch(deadline_ms=1000.0, guards=())
SERVES = Calibration(
    Verdict.SERVE, 0.03, 900, 800, 1.0, 2.0, Holds("told", ("m",), ()), Rule(serve_at=0.0, judge_at=0.0)
)
PRICE, COST, WHEN = "what is the price", "how much does it cost", "when does it come"
PLACES = {PRICE: (1.0, 0.05), COST: (1.0, 0.0), WHEN: (0.0, 1.0)}


class Told:
    """An embedder by a table, and a judge by the texts; both count what they are asked."""

    version, dimension = "told", 2

    def __init__(self) -> None:
        self.embedded: list[str] = []
        self.knows = True
        self.expected: list[bool] = []

    async def embed(self, texts: Sequence[str], *, behind: bool = False) -> list[Sequence[float]]:
        self.embedded += texts
        if texts[0] not in PLACES:
            raise EmbedderError("away")
        return [[value / sqrt(sum(v * v for v in PLACES[text])) for value in PLACES[text]] for text in texts]

    async def compare(self, question: str, fresh: str, stored: Sequence[str], *, expects_first: bool = False) -> Judged:
        self.expected.append(expects_first)
        if not self.knows:
            return UNKNOWN
        same = next((at for at, text in enumerate(stored) if text == fresh), None)
        return Judged(Said.DIFFERENT) if same is None else Judged(Said.SAME, same=same)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"), vectors=True)
    yield server
    server.close()


@pytest.fixture
async def memory(redis: Server) -> AsyncIterator[Answers]:
    redis.flush()
    made = Answers(redis.url)
    yield made
    await made.close()


def asked(text: str, **changes: Any) -> Asked:
    question = f"{sum(text.encode()) * 7919:032x}"
    plain = Asked(SCOPE, question, text, signature_of(text), SWITCH, serving=True, calibration=SERVES, draw=0.99)
    return replace(plain, **changes)


def fresh(text: str, model: str = "m") -> StoredAnswer:
    now = time.time()
    return StoredAnswer(text, model, "openai", None, Usage(input=9, output=1), now, now + 600)


async def told(one: Asked, answer: StoredAnswer, memory: Answers, by: Told) -> Found:
    """Look up, and learn from a fresh answer where nothing is served."""
    found = await look_up(one, memory, by, now=time.time())
    if found.result is not Result.HIT or not one.serving:
        compare, _ = may_judge(one, found, Spent(1000))
        await learn(one, found, answer, memory, by, compare=compare, new_id=f"{len(by.embedded):016x}")
    return found


async def test_other_words_are_a_hit_once_calibrated_and_the_same_words_always(memory: Answers) -> None:
    by = Told()
    assert (await told(asked(PRICE), fresh("29"), memory, by)).why == "empty"
    same = await told(asked(PRICE, calibration=None), fresh("29"), memory, by)
    assert (same.result, same.tier, same.why) == (Result.HIT, Tier.EXACT, "same")
    waiting = await look_up(asked(COST, calibration=None), memory, by, now=time.time())
    assert (waiting.result, waiting.why) == (Result.MISS, "score")
    await memory.release(SCOPE, asked(COST).question)
    hit = await told(asked(COST), fresh("29"), memory, by)
    assert (hit.result, hit.tier) == (Result.HIT, Tier.SEMANTIC)
    assert hit.answer is not None
    assert hit.answer.text == "29"
    assert (await told(asked(WHEN), fresh("Tuesday"), memory, by)).why == "similarity"


async def test_an_audit_that_finds_a_hit_wrong_deletes_what_led_to_it(memory: Answers) -> None:
    by = Told()
    await told(asked(PRICE), fresh("29"), memory, by)
    audit = await told(asked(COST, draw=0.0), fresh("39"), memory, by)
    assert (audit.result, audit.answer and audit.answer.text) == (Result.AUDIT, "29")
    assert not await memory.forget_question(SCOPE, asked(PRICE).question)  # it is gone already
    assert (await look_up(asked(COST), memory, by, now=time.time())).tier is Tier.EXACT


@pytest.mark.parametrize("knows", [True, False], ids=["judged", "unjudged"])
async def test_an_alias_is_made_by_a_verdict_alone_and_keeps_its_own_answer(memory: Answers, knows: bool) -> None:
    by = Told()
    by.knows = knows
    await told(asked(PRICE, serving=False), fresh("29"), memory, by)
    await told(asked(COST, serving=False), fresh("29"), memory, by)
    near = await memory.nearest(SCOPE, (await by.embed([PRICE]))[0], 2)
    assert len({neighbour.answer for neighbour in near}) == (1 if knows else 2)
    exact = await memory.exact(SCOPE, asked(COST).question, lease_s=0)
    assert exact.own
    assert exact.id != (await memory.exact(SCOPE, asked(PRICE).question, lease_s=0)).id


async def test_what_nobody_can_tell_from_an_answer_near_it_is_known_word_for_word_alone(
    memory: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = Told()
    by.knows = False
    monkeypatch.setattr("fivelevers.answer_caching.EXPECTED_FROM", 0.01)  # whatever is near counts as surely near
    await told(asked(PRICE, serving=False), fresh("29"), memory, by)
    await told(asked(COST, serving=False), fresh("29"), memory, by)
    assert by.expected == [True]
    near = await memory.nearest(SCOPE, (await by.embed([PRICE]))[0], 2)
    assert [neighbour.question for neighbour in near] == [asked(PRICE).question]
    assert (await memory.exact(SCOPE, asked(COST).question, lease_s=0)).own


async def test_what_was_not_judged_or_is_too_old_is_not_served(memory: Answers) -> None:
    by = Told()
    await told(asked(PRICE), fresh("29", model="another"), memory, by)
    assert (await look_up(asked(COST), memory, by, now=time.time())).why == "model"
    later = await look_up(asked(PRICE, max_age_s=5.0), memory, by, now=time.time() + 60)
    assert (later.result, later.why) == (Result.MISS, "too-old")


async def test_an_answer_that_was_asked_for_afresh_takes_the_place_of_the_stored_one(memory: Answers) -> None:
    by = Told()
    await told(asked(PRICE), fresh("29"), memory, by)
    assert (await told(asked(PRICE, serving=False, afresh=True), fresh("31"), memory, by)).result is not Result.MISS
    found = [await look_up(asked(text), memory, by, now=time.time()) for text in (PRICE, COST)]
    assert [one.answer and one.answer.text for one in found] == ["31", "31"]


async def test_judging_stays_within_its_share_once_a_route_serves(memory: Answers) -> None:
    by = Told()
    await told(asked(PRICE), fresh("29"), memory, by)
    shy = asked(COST, calibration=replace(SERVES, rule=Rule(serve_at=1.1, judge_at=0.0)))
    found = await look_up(shy, memory, by, now=time.time())
    assert may_judge(shy, found, Spent(99, 10))[0]
    assert may_judge(shy, found, Spent(99, 45)) == ((), Spent(100, 45))
    shadow = replace(shy, serving=False, calibration=None)
    everything, spent = may_judge(shadow, await look_up(shadow, memory, by, now=time.time()), Spent(99, 9))
    assert everything
    assert spent == Spent(99, 9)  # or no audit would be judged for as long as the route was in shadow


@pytest.mark.parametrize(
    ("text", "why", "embedded"),
    [("x" * LONGEST_BYTES, "embedder", 1), ("x" * (LONGEST_BYTES + 1), "long", 0), ("語" * LONGEST_BYTES, "long", 0)],
    ids=["whole", "long", "wide"],
)
async def test_a_question_that_is_longer_than_an_embedder_sees_has_the_exact_tier_alone(
    memory: Answers, text: str, why: str, embedded: int
) -> None:
    by = Told()
    found = await look_up(asked(text), memory, by, now=time.time())
    assert (found.result, found.why, len(by.embedded), found.leads) == (Result.MISS, why, embedded, True)


def test_a_hit_had_cost_what_its_answer_did_with_a_warm_prefix_while_it_is_warm() -> None:
    written = Usage(input=10, cache_write_5m=1000, output=5)
    stored = replace(fresh("29"), usage=written, created_at=100.0)
    (warm,), (cold,) = cost_of_hit(stored, now=200.0), cost_of_hit(stored, now=9999.0)
    assert (warm.usage, cold.usage) == (Usage(input=10, cache_read=1000, output=5), written)
    plain = Usage(input=1010, output=5)
    assert [(one.lever, one.usage) for one in cost_of_hit(replace(stored, plain=plain), now=9999.0)] == [
        ("prompt_cache", plain),
        ("semantic_cache", written),
    ]
