"""What tests of several folders share."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import Server

# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# Fixtures that take seconds to make, once in a process.
SLOW = ("proxy", "proxy_server")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Of several processes (`make test` runs two) one alone makes what is slow, and a file is not torn apart."""
    for item in items:
        slow = [name for name in SLOW if name in getattr(item, "fixturenames", ())]
        item.add_marker(pytest.mark.xdist_group(slow[0] if slow else item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """An empty place in it."""
    return postgres.new_url()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that a ledger may be in."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/deep/ledger.db"
    url: str = request.getfixturevalue("postgres_url")
    return url
