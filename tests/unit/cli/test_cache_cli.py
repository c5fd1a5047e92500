"""`fivelevers cache forget` on a real Redis, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.stores.answers import Answers
from tests.redis_server import Server
from tests.unit.stores.answering import put, said

SCOPE, QUESTION = "5c" * 16, "9f" * 16


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.close()


def forget(redis: Server, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["cache", "forget", *arguments, "--redis", redis.url], env={"COLUMNS": "200"})
    return done.exit_code, done.output


def test_an_entry_and_a_tag_are_deleted_once_and_a_route_is_raised(redis: Server) -> None:
    async def fill() -> None:
        store = Answers(redis.url)
        await put(store, SCOPE, QUESTION, answer="a1", tags=("prices",))
        await put(store, SCOPE, "8e" * 16, answer="a2", new=said())
        await store.close()

    redis.flush()
    asyncio.run(fill())
    assert forget(redis, "--tag", "prices") == (0, "tag prices: 2 questions and answers deleted\n")
    assert forget(redis, "--tag", "prices")[0] == 1
    assert forget(redis, "--entry", f"{SCOPE}.a2") == (0, f"entry {SCOPE}.a2: deleted\n")
    assert forget(redis, "--route", "support")[1] == "route support: epoch 1\n"
    assert forget(redis, "--tenant", "team:shop")[1] == "tenant team:shop: epoch 1\n"


def test_what_is_no_name_is_refused(redis: Server, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("routes: [{name: support, match: {model: s*}}]\n")
    code, told = forget(redis, "--route", "suport", "--policy", str(policy))
    assert (code, "did you mean 'support'" in told) == (2, True)
    code, told = forget(redis, "--entry", "zzz")
    assert (code, "'zzz' is no entry" in told) == (2, True)
    assert forget(redis)[0] == 2
    assert forget(redis, "--tag", "a", "--route", "b")[0] == 2
