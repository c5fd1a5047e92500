"""A state whose policy routes by an artifact, for tests of lever 4 in the proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from fivelevers.proxies.litellm.state import State
from fivelevers.stores import route_artifact
from tests.unit.levers.routing.test_artifact import ARTIFACT


def loaded(name: str, proxy_server: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ``name``, in a proxy without models."""
    monkeypatch.setattr(proxy_server, "llm_router", import_module("litellm").Router(model_list=[]))
    return import_module(name)


@contextmanager
def routing_state(policy: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """``policy`` names the artifact `a.route`."""
    (folder / "policy.yaml").write_text(policy)
    route_artifact.write(folder / "a.route", ARTIFACT)
    for name in ("FIVELEVERS_REDIS_URL", "FIVELEVERS_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FIVELEVERS_POLICY", str(folder / "policy.yaml"))
    monkeypatch.setenv("FIVELEVERS_STATE_DIR", str(folder))
    made = State.from_environment()
    yield made
    made.switches.close()  # its thread asks for the policy
    made.policy.close()
    made.meter.close()
