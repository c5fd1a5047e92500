"""On a LiteLLM that the hooks were not tested on, the plugin steps aside: said once, counted, and without a crash."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fivelevers.proxies.litellm.versions import SUPPORTED, installed, supported

ROOT = Path(__file__).parents[3]

# What a proxy does with the plugin: load it, call a hook, serve its routes.
PROXY = """
import asyncio, sys
from fastapi import FastAPI
import litellm.proxy.proxy_server as server
from fivelevers.proxies.litellm.callback import plugin
from fastapi.testclient import TestClient

for _ in range(3):
    answer = asyncio.run(plugin.async_pre_call_hook(None, None, {"model": "m"}, "acompletion"))
    assert answer is None, answer
client = TestClient(server.app)
print(type(plugin).__name__)
print(client.get("/fivelevers/v1/health").text)
print(client.get("/fivelevers/v1/metrics").text)
"""
LOGGER = "class CustomLogger:\n    def __init__(self, **rest): pass\n"


@pytest.mark.parametrize("version", ["1.106.2", "1.106.3", "1.106.99", "1.106.4rc1"])
def test_versions_that_were_tested(version: str) -> None:
    assert supported(version)


@pytest.mark.parametrize("version", ["1.106.1", "1.107.0", "1.107.0rc1", "1.82.7", "2.0.0", "0.1", "nightly", "", None])
def test_versions_that_were_not(version: str | None) -> None:
    assert not supported(version)


def test_the_range_is_the_one_that_is_installed() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["proxy"]
    assert any(f"litellm[proxy]{SUPPORTED}," in f"{name}," for name in wanted)
    assert supported(installed())


def stub(folder: Path, version: str | None, *, logger: bool) -> dict[str, str]:
    """A LiteLLM of another version, with an app and little else; the environment of a process that finds it first."""
    package = folder / "litellm"
    for name in ("", "proxy", "integrations"):
        (package / name).mkdir(parents=True, exist_ok=True)
        (package / name / "__init__.py").touch()
    (package / "proxy/proxy_server.py").write_text("from fastapi import FastAPI\napp = FastAPI()\n")
    if logger:
        (package / "integrations/custom_logger.py").write_text(LOGGER)
    about = folder / "litellm-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\n")
    path = f"{folder}:{ROOT / 'plugins'}"
    return {"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "FIVELEVERS_STATE_DIR": str(folder / "state")}


def run(env: dict[str, str], code: str = PROXY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.parametrize("logger", [True, False])
def test_on_another_version_it_steps_aside_and_says_so(tmp_path: Path, logger: bool) -> None:
    done = run(stub(tmp_path, "1.999.0", logger=logger))
    assert done.returncode == 0, done.stderr
    kind, health, metrics = done.stdout.split("\n", 2)
    assert kind == "StandAside"
    assert "LiteLLM 1.999.0 is not in the range" in health
    assert 'fivelevers_bypass_total{lever="all",reason="litellm_version"} 3.0' in metrics
    said = [line for line in done.stderr.splitlines() if "1.999.0" in line]
    assert len(said) == 1
    assert SUPPORTED in said[0]
    assert "FIVELEVERS_ANY_LITELLM=1" in said[0]
    assert not (tmp_path / "state").exists()


INSIST = {"FIVELEVERS_ANY_LITELLM": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
LOAD = "from fivelevers.proxies.litellm.callback import plugin; print(type(plugin).__name__)"


def test_who_insists_gets_the_plugin(tmp_path: Path) -> None:
    env = stub(tmp_path, "1.999.0", logger=True) | INSIST
    shutil.rmtree(tmp_path / "litellm")  # the real one, which says that it is another version
    assert run(env, LOAD).stdout.strip() == "FiveLevers"


def test_who_insists_on_one_that_lacks_something_is_told_what(tmp_path: Path) -> None:
    done = run(stub(tmp_path, "1.999.0", logger=True) | INSIST, LOAD)
    assert (done.stdout.strip(), done.returncode) == ("StandAside", 0), done.stderr
    assert "No module named 'litellm." in done.stderr
