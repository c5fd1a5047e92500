"""Which Redis runs the lane's scripts; what its configuration says is tested where `check` asks it."""

import pytest

from fivelevers.stores.redis_config import too_old


@pytest.mark.parametrize(
    ("version", "old"),
    [("6.2.14", True), ("7.0.15", True), ("7.2.0", False), ("8.2.1", False), ("10.0", False), ("", True)],
)
def test_a_redis_without_flags_of_scripts_or_waitaof_is_too_old(version: str, old: bool) -> None:
    assert too_old(version) is old
