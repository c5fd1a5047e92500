"""A subject's stored answers go when it is forgotten, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from fivelevers.answer import subject_tag
from fivelevers.stores.answers import Answers
from fivelevers.stores.forget import Subject, SubjectKind, Traces
from fivelevers.stores.forget_answers import AnswerForgetter
from tests.redis_server import Server
from tests.unit.stores.answering import put, said

SCOPE = "5c" * 16
TEAM = Traces(Subject(SubjectKind.TEAM, "acme"), frozenset())


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


def test_what_a_team_had_stored_is_found_removed_and_left_nowhere(redis: Server) -> None:
    async def fill() -> None:
        store = Answers(redis.url)
        for at, team in enumerate(("acme", "acme", "globex")):
            tags = (subject_tag(f"team:{team}"),)
            await put(store, SCOPE, f"{at:032x}", answer=f"a{at}", new=said(), tags=tags)
        await store.close()

    redis.flush()
    asyncio.run(fill())
    forgetter = AnswerForgetter(redis.url)
    assert sum(forgetter.find(TEAM).values()) == 2
    assert sum(forgetter.remove(TEAM).values()) == 2
    assert sum(forgetter.left(TEAM).values()) == 0
    assert sum(forgetter.find(Traces(Subject(SubjectKind.TEAM, "globex"), frozenset())).values()) == 1
    assert AnswerForgetter("").find(TEAM) == {}
