"""A subject's stored answers go when it is forgotten, those without a question too, and nobody else's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from fivelevers.answer import subject_tag
from fivelevers.stores.answers import Answers
from fivelevers.stores.forget import Subject, SubjectKind, Traces
from fivelevers.stores.forget_answers import AnswerForgetter
from tests.redis_server import Server
from tests.unit.stores.answering import SIGNATURE, put, said

SCOPE = "5c" * 16
TEAM = Traces(Subject(SubjectKind.TEAM, "acme"), frozenset({"a1" * 16, "b2" * 16}))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


async def fill(url: str) -> None:
    """Of acme: a question with its answer, an alias with the answer of its own, an answer whose question is gone, and a
    request that was served; and a question of globex, with a request of its own.
    """
    store, acme, globex = Answers(url), (subject_tag("team:acme"),), (subject_tag("team:globex"),)
    await put(store, SCOPE, f"{1:032x}", answer="a1", new=said("acme's first", tags=acme), tags=acme)
    own = ("a2", said("acme's second", tags=acme))
    await store.store(
        SCOPE, f"{2:032x}", None, SIGNATURE, answer="a1", new=None, judged=True, tags=acme,
        expires_at=time.time() + 600, given=own,
    )  # fmt: skip
    await put(store, SCOPE, f"{3:032x}", answer="a3", new=said("acme's third", tags=acme), tags=acme)
    await store.forget_question(SCOPE, f"{3:032x}")
    await put(store, SCOPE, f"{4:032x}", answer="a4", new=said("globex's", tags=globex), tags=globex)
    await store.served("a1" * 16, SCOPE, f"{1:032x}")
    await store.served("c3" * 16, SCOPE, f"{4:032x}")
    await store.close()


def test_what_a_team_had_stored_is_found_removed_and_left_nowhere(redis: Server) -> None:
    redis.flush()
    asyncio.run(fill(redis.url))
    forgetter = AnswerForgetter(redis.url)
    found = {"redis (questions and answers)": 5, "redis (requests served)": 1}
    assert forgetter.find(TEAM) == found
    assert forgetter.remove(TEAM) == found
    assert set(forgetter.left(TEAM).values()) == {0}
    with redis.client() as client:
        kept = sorted(key.decode().rsplit(":", 1)[1] for key in client.scan_iter("fl:*"))
    assert kept == sorted([f"{4:032x}", "a4", "c3" * 16])
    assert AnswerForgetter("").find(TEAM) == {}
