"""LiteLLM's proxy in this process, imported once and only where a test asks for it: it takes seconds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest

from fivelevers.embedded.environment import LITELLM_QUIET


@pytest.fixture(scope="session")
def proxy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """`litellm.proxy.proxy_server` with our plugin's endpoints in its app; nothing is started."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        for name in ("FIVELEVERS_POLICY", "FIVELEVERS_PRICES", "FIVELEVERS_LEDGER_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("FIVELEVERS_STATE_DIR", str(tmp_path_factory.mktemp("plugin")))
        for name, value in LITELLM_QUIET.items():
            patch.setenv(name, value)
        module = import_module("litellm.proxy.proxy_server")
        import_module("fivelevers.proxies.litellm.callback")
        yield module


@pytest.fixture
def callback(proxy_server: ModuleType) -> ModuleType:
    """Our module of hooks."""
    return import_module("fivelevers.proxies.litellm.hooks")
