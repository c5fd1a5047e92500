"""A turn that one process holds: until it gives it back, or until its time is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fivelevers.errors import StoreError
from fivelevers.stores.lease import Lease
from tests.redis_server import Server, soon


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


def test_who_holds_it_alone_gives_it_back(server: Server) -> None:
    one, other, third = (Lease(server.url, "guard") for _ in range(3))
    assert one.take(60.0)
    assert not other.take(60.0)
    other.close()
    assert not third.take(60.0)
    assert one.take(60.0)
    one.close()
    assert third.take(60.0)
    third.close()


def test_of_a_process_that_was_killed_it_ends_by_itself(server: Server) -> None:
    assert Lease(server.url, "guard").take(0.3)
    assert soon(lambda: Lease(server.url, "guard").take(60.0))


def test_without_redis_none_is_taken_and_none_needs_to_be_given_back(server: Server) -> None:
    lease = Lease(server.url, "guard")
    assert lease.take(60.0)
    server.kill()
    with pytest.raises(StoreError, match="can not be taken"):
        lease.take(60.0)
    lease.close()
